"""The app: its four modes, the experiment that they show, and the keys that work in all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rich.text import Text
from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Event, Key, Paste
from textual.notifications import Notify, SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.widget import MountError, Widget
from textual.widgets import Input
from textual.widgets._toast import Toast
from textual.worker import get_current_worker

from engine.history.experiment_state import read_state, running_elsewhere
from engine.history.summaries import iter_summaries
from engine.specs.spec import Experiment
from engine.states.state import ExperimentState
from engine.text import listed, shown
from tui.drawing.ascii import Ascii, wanted
from tui.drawing.theme import THEME
from tui.errors import app_log, record_error, told, unexpected
from tui.help import help_text
from tui.messages import HandedOver, HostStarted, LoadedAhead, OthersTrain, StartFailed, StateRead
from tui.screens.frame import HIGH_ENOUGH, SMALLEST, WIDE_ENOUGH, Mode, framed
from tui.screens.setup import SetupScreen
from tui.widgets.dialogs import Leaving, Question, Reading, Way, reading_width
from tui.widgets.header import MODES, Tabs
from tui.widgets.order import caught_up
from tui.work import follow
from tui.work.collector import collect
from tui.work.hosting import Hosting
from tui.work.loading import load_ahead, load_for_comparing
from tui.work.threads import Threads

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tui.work.comparing import Marks

LOADED_AFTER = 1.0
"""Seconds after the first result until what compares is loaded: what is shown first has gone before."""
WATCHED = 20.0
"""Seconds without a key after which nobody may be looking."""
UNWATCHED_SECONDS = 3.0
"""What only moves a number is then shown this often; the next key brings all up to date."""
LOADERS = ("discover", "check", "hosting")
"""The groups of workers that may be loading a part of the same libraries."""
QUIT = "quit (asks first while a run is training)"
QUITS = ("q", "ctrl+c")
"""The keys that quit; ctrl+c also works in fields and windows, as in a shell."""
TOLD_FOR: dict[SeverityLevel, float] = {"information": 3, "warning": 6, "error": 15}
"""Seconds for which a notice stays, by severity."""


class TlTui(App[None], inherit_bindings=False):
    """Shows one experiment at a time: ``state`` is what the log in ``folder`` tells, nothing where none is open.

    ``out``: the folder of experiments; ``opened``: that of the experiment to open at first; ``seeks_running``: one
    that is going on already is. ``experiment`` is what Setup begins with; ``clock`` tells the time of day.
    """

    CSS_PATH = Path(__file__).with_name("app.tcss")
    TITLE = "tl-tui"
    ENABLE_COMMAND_PALETTE = False

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"go('{mode}')", name, show=False, id=f"app.{mode}", tooltip=f"go to {name}")
            for number, (mode, name) in enumerate(MODES.items(), start=1)
        ),
        Binding("e", "export", "Export", id="app.export", tooltip="write the comparison as CSV, JSON and Markdown"),
        Binding("question_mark", "help", "Help", key_display="?", id="app.help", tooltip="show every key"),
        *(
            Binding(key, "quit", "Quit", show=key == "q", priority=key != "q", id="app.quit", tooltip=QUIT)
            for key in QUITS
        ),
    ]

    def __init__(
        self,
        out: Path,
        experiment: Experiment | None = None,
        *,
        opened: Path | None = None,
        seeks_running: bool = False,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (SMALLEST[0], "-narrow"), (WIDE_ENOUGH, "-wide-enough")]
        self.VERTICAL_BREAKPOINTS = [(0, "-too-low"), (SMALLEST[1], "-low"), (HIGH_ENOUGH, "-high-enough")]
        self.out = out
        self.clock = clock
        self.state = ExperimentState()
        self.folder: Path | None = None
        self._awaits_new = False  # whether one was started, and no other opened since
        self.marks: dict[Path, frozenset[str] | None] = {}  # what is to be compared, of each which runs: None for all
        self.positive: str | None = None  # of two classes the one that a person made the positive one
        self._threads = Threads()
        self.hosting = Hosting(partial(self.write, "hosting"), self.post_message)
        self.failure = ""  # what ended the app, if it failed: to be said once the terminal is the command line's again
        self.left = False  # by the person's wish: else what trains goes on without the screen
        self._was_at = self.current_mode
        self._visited: set[str] = set()
        self._is_first_visit = False
        self._is_ready_to_compare = False
        self._keys: dict[Screen[None], tuple[tuple[str, bool], ...]] = {}
        self._opened_first = opened
        self._seeks_running = seeks_running
        self._setup = experiment
        self._pressed = monotonic()  # when the latest key came
        self._read_at = 0.0  # when the latest state did
        self._setup_screen: SetupScreen | None = None
        self.register_theme(THEME)
        self.theme = THEME.name
        self.is_plain = wanted()
        if self.is_plain:
            self._filters.append(Ascii())

    def on_mount(self) -> None:
        """Opens Setup."""
        asyncio.get_running_loop().set_default_executor(self._threads)
        screens: dict[str, Callable[[], Mode]] = {
            "setup": self._new_setup,
            "live": _live,
            "compare": _compare,
            "runs": _runs,
        }
        for mode, screen in screens.items():
            self.add_mode(mode, partial(self._framed, mode, screen))
        self.screen_change_signal.subscribe(self, self._moved_on)
        self.set_interval(1, self._tick)
        if self._opened_first is None:
            self.call_later(self.action_go, "setup")
            if self._seeks_running:
                self.run_worker(self._open_running, thread=True, group="seek", exit_on_error=False)
        else:
            self.open_experiment(self._opened_first)

    def _framed(self, mode: str, make: Callable[[], Mode]) -> Mode:
        screen = framed(mode, make)
        # Textual takes it for older than the styles, and would parse them all and apply them to all widgets, twice.
        screen._css_update_count = self._css_update_count
        return screen

    def get_key_display(self, binding: Binding) -> str:
        """Textual's name of a key; its signs for Enter and Backspace have no like in ASCII."""
        display = super().get_key_display(binding)
        return display.replace("⏎", "Enter").replace("⌫", "Backspace") if self.is_plain else display

    def delay_update(self, delay: float = 0.05) -> None:
        """Textual holds every frame back for ``delay`` at a change of mode, the app's first frame too.

        That hides how widgets come one after the other, at the first visit to a mode; else it only makes keys slow.
        """
        if self._is_first_visit:
            super().delay_update(delay)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Shows a one-line notice for as long as its severity asks; may be called from any thread.

        Never parsed as markup, whatever ``markup`` says, as the text may come from outside.
        """
        del markup
        said = f"{title}: {message}" if title else message
        super().notify(said, severity=severity, timeout=timeout or TOLD_FOR[severity], markup=False)

    @on(Notify)
    def _one_at_a_time(self, message: Notify) -> None:
        """Removes earlier notices, but errors only for another error; lesser notices stand below them."""
        self._clear_told(errors=message.notification.severity == "error")

    def _moved_on(self, screen: Screen[Any]) -> None:
        """Removes notices when another screen or window opens, so that they do not cover it; errors stay."""
        was_at, self._was_at = self._was_at, self.current_mode
        if isinstance(screen, ModalScreen) or was_at != self.current_mode:
            self._clear_told(errors=False)

    def _clear_told(self, *, errors: bool) -> None:
        """Takes away what is told, the ``errors`` too or all but these."""
        for one in list(self._notifications):
            if errors or one.severity != "error":
                self._unnotify(one)
        for screen in self.screen_stack[-1:]:
            for toast in screen.query(Toast):
                if (errors or not toast.has_class("-error")) and isinstance(toast.parent, Widget):
                    toast.parent.remove()  # Textual takes its words away, and leaves their row

    # What is shown

    def open_experiment(self, folder: Path, mode: Literal["live", "compare"] = "live") -> None:
        """Shows the experiment in ``folder``, from its beginning to now and as it goes on."""
        self._turn_and_follow(folder)
        self.call_later(self.action_go, mode)

    def _turn_and_follow(self, folder: Path) -> None:
        self._awaits_new = False
        if folder != self.folder:
            self.folder = folder
            self.state = ExperimentState()
            self.run_worker(partial(self._follow, folder), thread=True, exclusive=True, group="follow")

    async def start_experiment(self, experiment: Experiment, *, beside_others: bool = False) -> None:
        """Starts the experiment in the background and goes to Live at once, so that the keys which come next do not
        change in Setup what was asked; says why where it cannot start, and asks first where another is running
        elsewhere, unless it is to run ``beside_others``, back in Setup.
        """
        if self.hosting.is_busy:
            self.notify("An experiment is already running; stop it first (press 2, then s).", severity="warning")
        else:
            self._awaits_new = True
            self.hosting.start(experiment, self.out, beside_others=beside_others)
            await self.action_go("live")

    async def _back_to_setup(self) -> None:
        if self.current_mode == "live":  # else the person has gone on meanwhile
            while isinstance(self.screen, Reading):  # its keys, say: of a Live that is being left
                await self.pop_screen()
            await self.action_go("setup")

    def _new_setup(self) -> Mode:
        self._setup_screen = SetupScreen(self._setup)
        return self._setup_screen

    def set_up(self, experiment: Experiment, name: str) -> None:
        """Loads the settings of the experiment of this ``name`` into Setup, to be changed and started as a new one;
        asks first if Setup has changes that were not run.
        """

        def answered(yes: bool | None) -> None:
            if yes:
                self.call_later(self._set_up, experiment, f"Setup now has the settings of {shown(name)}.")

        if self._setup_screen is None or not self._setup_screen.is_unsaved:
            answered(True)
            return
        self.push_screen(
            Question(
                "Replace the settings in Setup?",
                f"Setup has changes that were not run.\nThe settings of {shown(name)} would replace them.",
                "Replace (y)",
                "Keep (n)",
            ),
            answered,
        )

    async def _set_up(self, experiment: Experiment, said: str) -> None:
        """Replaces Setup by a new one with these settings."""
        if isinstance(self.screen, ModalScreen) or self.current_mode == "setup":
            return  # the person has gone on meanwhile
        self._setup = experiment
        if self._setup_screen is not None:
            self._keys.pop(self._setup_screen, None)
        await self.remove_mode("setup")
        self.add_mode("setup", partial(self._framed, "setup", self._new_setup))
        await self.action_go("setup")
        self.notify(said)

    def mark(self, folder: Path, runs: frozenset[str] | None) -> None:
        """Marks runs (None: all) of the experiment in a folder for Compare, at which the person may look by now."""
        self.marks[folder] = runs
        self._show()

    def forget(self, folder: Path) -> None:
        """Closes an experiment that was deleted."""
        if self.folder is not None and folder.absolute() == self.folder.absolute():  # it may be named otherwise
            self.workers.cancel_group(self, "follow")
            self.folder, self.state = None, ExperimentState()
        self._show()

    @on(OthersTrain)
    async def _others_train(self, message: OthersTrain) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.call_later(self.start_experiment, message.experiment, beside_others=True)

        await self._back_to_setup()
        are, all_of = ("is", "Both") if len(message.names) == 1 else ("are", "All")
        self.push_screen(
            Question(
                "Start another experiment?",
                f"{shown(listed(message.names, 2), 160)}\n{are} already training on this machine.\n"
                f"{all_of} would slow down, and their times would not be comparable.",
                "Start (y)",
                "Not now (n)",
            ),
            answered,
        )

    def resume_experiment(self, folder: Path) -> None:
        """Resumes an interrupted experiment in the background and shows it in Live, or says why it cannot."""
        if self.hosting.is_busy:
            self.notify("An experiment is running here; stop or detach it first.", severity="warning")
        else:
            self.hosting.resume(folder)
            self.open_experiment(folder)

    def write(self, group: str, work: Callable[[], None]) -> None:
        """Runs in a thread what the app, where it ends meanwhile, waits for."""
        self.run_worker(self._threads.write(work), group=group, exit_on_error=False)

    def send(self, work: Callable[[], None]) -> None:
        """Runs in a thread, in the order of the calls, what is done even where the app is about to end."""
        self._threads.send(work)

    def _follow(self, folder: Path) -> None:
        worker = get_current_worker()
        has_writer = partial(self.hosting.has_writer, folder)
        for message in follow.follow(folder, lambda: worker.is_cancelled, has_writer, pause=self._pause):
            self.post_message(message)

    def _pause(self) -> float:
        """Seconds between two drawings where only numbers change: training has the time of those that nobody sees."""
        return follow.PROGRESS_SECONDS if monotonic() - self._pressed < WATCHED else UNWATCHED_SECONDS

    def _open_running(self) -> None:
        """Opens an experiment that is already running, as nothing else was asked for; else says if the latest one was
        interrupted.
        """
        running = next(iter(running_elsewhere(self.out)), None)
        if running is not None:
            self.call_from_thread(self._show_running, running)
        elif (latest := next(iter_summaries(self.out), None)) is not None and latest.status == "interrupted":
            self.notify(f"{shown(latest.name, 60)} was interrupted. Press 4, then Enter to resume.", timeout=8)

    def _show_running(self, folder: Path) -> None:
        """Opens a running experiment, unless the person has started something meanwhile whose keys would act there."""
        if self.hosting.host is not None or self.hosting.is_busy:
            return
        if (
            self._visited <= {"setup"}
            and not isinstance(self.screen, ModalScreen)
            and not isinstance(self.focused, Input)
        ):
            self.open_experiment(folder)
        else:
            self.notify(f"{shown(folder.name, 60)} is already training; press 4 to see it.", timeout=8)

    @on(HostStarted)
    def _started(self, message: HostStarted) -> None:
        """Shows it unless the person has opened another one since, and never takes them to another mode: the keys that
        they press there would act in Live.
        """
        folder, said = message.host.folder, "4 to see it"
        if self._awaits_new or folder == self.folder:
            self._turn_and_follow(folder)
            said = "2 to see it"
        self._show()
        if self.current_mode != "live" or self.folder != folder:
            self.notify(f"{shown(folder.name, 60)} has started; press {said}.", timeout=8)

    @on(StartFailed)
    async def _start_failed(self, message: StartFailed) -> None:
        if message.is_new:
            await self._back_to_setup()
        self._show()
        self.push_screen(Reading("Cannot start", Text(shown(message.reason))))

    @on(HandedOver)
    def _handed_over(self) -> None:
        self._quit()

    @on(StateRead)
    def _read(self, message: StateRead) -> None:
        if message.folder == self.folder:
            self._read_at = monotonic()
            self.state = message.state
            self.hosting.has_read(message.folder, message.state)
            self._show()
            if not self._is_ready_to_compare and any(run.epochs for run in self.state.runs):
                self._is_ready_to_compare = True
                self.set_timer(LOADED_AFTER, self._load_ahead)

    def _load_ahead(self) -> None:
        """Loads what a comparison needs, which takes seconds, before a person asks for one."""
        if any(worker.is_running and worker.group in LOADERS for worker in self.workers):
            self.set_timer(LOADED_AFTER, self._load_ahead)
        else:
            Thread(target=self._loading, name="loading").start()

    def _loading(self) -> None:
        if load_ahead(lambda: self.is_running):
            self.post_message(LoadedAhead())

    @on(LoadedAhead)
    async def _compose_ahead(self) -> None:
        """Composes the modes that are visited later, so that the first key to one takes no longer than the next."""
        for mode in ("compare", "runs"):
            await self._init_mode(mode)

    def _show(self) -> None:
        """Brings the present mode up to date; an error in it is told and recorded, and the app goes on."""
        screen = self._mode_screen
        if screen is None:
            return
        state = ExperimentState() if self.waits_for_a_start else self.state
        try:
            with self.batch_update():
                self._show_time(screen)
                screen.show_header(state)
                screen.show(state)
                self._refresh_keys(screen)
        except Exception as error:
            if self.is_headless:
                raise
            self.notify(unexpected(error), title="This screen could not be drawn", severity="error")

    @property
    def waits_for_a_start(self) -> bool:
        """Whether Live is seen, and what it will show is about to begin: nothing of another experiment counts there."""
        return self.current_mode == "live" and self.hosting.is_starting_new and self._awaits_new

    @property
    def _mode_screen(self) -> Mode | None:
        """The present mode's screen, whatever window lies over it; None before the first, and while the app closes."""
        screen = self.screen_stack[0] if self.screen_stack else None
        return screen if isinstance(screen, Mode) and screen.is_attached else None

    def _refresh_keys(self, screen: Screen[None]) -> None:
        """Redraws the key line, only if other keys work now, as that lays out the whole screen."""
        works = tuple((one.binding.action, one.enabled) for one in screen.active_bindings.values())
        if works != self._keys.get(screen):
            self._keys[screen] = works
            screen.refresh_bindings()

    def _tick(self) -> None:
        collect(monotonic() - self._pressed)
        if self._mode_screen is None:
            return
        if monotonic() - self._read_at > self._pause() + follow.POLL_SECONDS:  # else it is drawn with what is read
            self._show_time(self._mode_screen)
        for trouble in self.hosting.troubles(self.folder, self.state):
            self.notify(trouble.text, title=trouble.title, severity="error", timeout=60)
            self._show()  # where it was to be resumed, nothing of it may be in the log

    def _show_time(self, screen: Mode) -> None:
        screen.header.show_time(f"{self.clock():%H:%M:%S}")

    # Keys

    async def on_event(self, event: Event) -> None:
        """Takes no keys but those that quit where the window is too small to show what the others do.

        A window over it shows as much as fits, and takes its keys.
        """
        if isinstance(event, Key):
            self._pressed = monotonic()
        width, height = self.size
        is_too_small = width < SMALLEST[0] or height < SMALLEST[1]
        takes_keys = not is_too_small or any(isinstance(one, ModalScreen) for one in self.screen_stack[-1:])
        if takes_keys or not isinstance(event, Key | Paste) or event.is_forwarded:
            if not await self._leaves_field(event):
                await super().on_event(event)
        elif isinstance(event, Key) and event.key in QUITS:
            await self.action_quit()

    async def _leaves_field(self, event: Event) -> bool:
        """Acts at once on Escape in a field, after what was typed there: the keys that came with it are no text."""
        if not isinstance(event, Key) or event.key != "escape" or event.is_forwarded:
            return False
        if not isinstance(field := self.focused, Input):
            return False
        await caught_up(field)
        return await self._check_bindings("escape")

    async def action_go(self, mode: str) -> None:
        """Goes to a mode and brings it up to date."""
        if isinstance(self.screen, ModalScreen):
            return
        self._is_first_visit = bool(self._visited) and mode not in self._screen_stacks
        self._visited.add(mode)
        await self.switch_mode(mode)
        self._show()

    @on(Tabs.Chosen)
    def _tab_chosen(self, message: Tabs.Chosen) -> None:
        self.call_later(self.action_go, message.mode)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dims keys that would do nothing now and hides those that this mode does not have."""
        del parameters
        if action == "export":
            if self.waits_for_a_start or self.current_mode not in ("live", "compare"):
                return False
            marked = self.marks and self.current_mode == "compare"
            return True if marked or any(run.epochs for run in self.state.runs) else None
        return True

    def action_export(self) -> None:
        """Writes the comparison into its experiment's folder, of several marked ones beside them, and says where."""
        marks = dict(self.marks) if self.current_mode == "compare" else {}
        of_one = next(iter(marks), self.folder)
        if (folder := self.out if len(marks) > 1 else of_one) is not None:
            asked = partial(self._export, self.state, self.folder, marks, self.positive, folder)
            self.write("export", asked)

    def _export(
        self, state: ExperimentState, opened: Path | None, marks: Marks, positive: str | None, folder: Path
    ) -> None:
        with told(self, "Not exported", folder):
            load_for_comparing()
            from tui.work.comparing import export_all  # noqa: PLC0415 - the first comparison loads scipy

            self.notify(export_all(state, opened, marks, positive, folder), title="Exported", timeout=8)

    def action_help(self) -> None:
        """Shows every key that works now."""
        self.push_screen(
            Reading("Keys", help_text(self.screen.active_bindings.values(), reading_width(self.size.width)))
        )

    async def action_quit(self) -> None:
        """Quits, after asking if a run is training."""
        if self.hosting.is_handing_over:
            self.notify("Handing over to a background process; tl-tui quits once it has started.")
        elif not self.hosting.is_busy:
            self._quit()
        elif isinstance(self.screen, Leaving):
            await self.screen.run_action("now")
        else:
            self.push_screen(Leaving(self.hosting), self.leave)

    def leave(self, way: Way | None) -> None:
        """Quits, where it is to be handed over once that is done."""
        if way is None:
            return
        if way == "suspend" and (host := self.hosting.host) is not None:
            self._turn_and_follow(host.folder)  # it may go on here after all
            self.hosting.hand_over(host.folder)
        else:
            self._quit()

    def turn_to(self, folder: Path) -> None:
        """Makes this folder's experiment, as its log says now, the current one, for what is printed after the app: its
        event loop must not wait for a long log.
        """
        if folder != self.folder:
            self.folder, self.state = folder, ExperimentState()
        with suppress(OSError):  # a disk that is away: then what was read last
            self.state = read_state(folder)

    def _quit(self) -> None:
        """Ends the app because the person asked for it."""
        self.left = True
        self.exit()

    def panic(self, *renderables: RenderableType) -> None:
        """What Textual calls where a thread of its own cannot go on: what it says belongs into the app's log."""
        self._return_code = 1
        self.failure = f"tl-tui crashed; details in {app_log()}"
        super().panic(*renderables)

    def _handle_exception(self, error: Exception) -> None:
        """An app that ends mounts no more widgets, in the middle of what needs them: that is no failure."""
        if not self._exit or not isinstance(error, MountError | NoMatches):
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """What Textual calls where the app cannot go on: one line instead of a traceback."""
        record_error()
        self.panic()


# The other modes are loaded at the first visit: the first frame of Setup does not wait for them.


def _live() -> Mode:
    from tui.screens.live import LiveScreen  # noqa: PLC0415

    return LiveScreen()


def _compare() -> Mode:
    from tui.screens.compare import CompareScreen  # noqa: PLC0415

    return CompareScreen()


def _runs() -> Mode:
    from tui.screens.runs import RunsScreen  # noqa: PLC0415

    return RunsScreen()
