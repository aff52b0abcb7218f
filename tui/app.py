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

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Event, Key, Paste
from textual.keys import key_to_character
from textual.notifications import Notify, SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.widget import MountError
from textual.widgets import Input
from textual.worker import get_current_worker

from engine.history.experiment_state import read_state, running_elsewhere
from engine.history.summaries import iter_summaries
from engine.specs.spec import Experiment
from engine.states.state import ExperimentState
from engine.text import shown
from tui.drawing.ascii import Ascii, wanted
from tui.drawing.theme import THEME
from tui.errors import app_log, record_error, unexpected
from tui.help import help_text
from tui.lifecycle import Lifecycle
from tui.messages import StateRead
from tui.screens.exporting import export
from tui.screens.frame import HIGH_ENOUGH, SMALLEST, WIDE_ENOUGH, Mode, framed
from tui.screens.setup import SetupScreen
from tui.widgets import notices
from tui.widgets.dialogs import Reading, reading_width
from tui.widgets.header import MODES, Tabs
from tui.widgets.order import all_caught_up, caught_up, moves_in
from tui.work import follow
from tui.work.collector import collect
from tui.work.hosting import Hosting
from tui.work.loading import load_ahead
from tui.work.threads import Threads

if TYPE_CHECKING:
    from rich.console import RenderableType

LOADED_AFTER = 1.0
"""Seconds after the first result until what compares is loaded: what is shown first has gone before."""
WATCHED_SECONDS = 20.0
"""Seconds without a key after which nobody may be looking."""
LOADERS = ("discover", "check", "hosting")
"""The groups of workers that may be loading a part of the same libraries."""
QUIT = "quit (asks first while a run is training)"
QUITS = ("q", "ctrl+c")
"""The keys that quit; ctrl+c also works in fields and windows, as in a shell."""


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
        self.marks: dict[Path, frozenset[str] | None] = {}  # what is to be compared, of each which runs: None for all
        self.positive: str | None = None  # of two classes the one that a person made the positive one
        self._threads = Threads()
        self.lifecycle = Lifecycle(self)
        self.hosting = Hosting(partial(self.write, "hosting"), partial(self.call_later, self.lifecycle.tell))
        self.failure = ""  # what ended the app, if it failed: to be said once the terminal is the command line's again
        self.left = False  # by the person's wish: else what trains goes on without the screen
        self._is_first_visit = False
        self._is_ready_to_compare = False
        self._opened_first = opened
        self._seeks_running = seeks_running
        self._pressed = monotonic()  # when the latest key came
        self._key = ""  # that key
        self._read_at = 0.0  # when the latest state did
        for mode, make in (
            ("setup", lambda: SetupScreen(experiment)),
            ("live", _live),
            ("compare", _compare),
            ("runs", _runs),
        ):
            self._add_mode(mode, make)
        self.register_theme(THEME)
        self.theme = THEME.name
        self.is_plain = wanted()
        if self.is_plain:
            self._filters.append(Ascii())

    def on_mount(self) -> None:
        """Opens Setup, or what was to be opened at first."""
        asyncio.get_running_loop().set_default_executor(self._threads)
        self.screen_change_signal.subscribe(self, self._keep_errors)
        self.set_interval(1, self._tick)
        if self._opened_first is None:
            self.call_later(self._open_setup)
        else:
            self.call_later(self.open_experiment, self._opened_first)

    async def _open_setup(self) -> None:
        await self.action_go("setup")
        if self._seeks_running:
            self.run_worker(self._open_running, thread=True, group="seek", exit_on_error=False)

    def _add_mode(self, mode: str, make: Callable[[], Mode]) -> None:
        def screen() -> Mode:
            made = framed(mode, make)
            # else Textual takes it for older than the styles, parses them all and applies them to all widgets, twice
            made._css_update_count = self._css_update_count
            return made

        self.add_mode(mode, screen)

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
        super().notify(said, severity=severity, timeout=timeout or notices.TOLD_FOR[severity], markup=False)

    @on(Notify)
    def _one_at_a_time(self, message: Notify) -> None:
        """Removes earlier notices, but errors only for another error; lesser notices stand below them."""
        notices.clear(self, errors=message.notification.severity == "error")

    def _keep_errors(self, screen: Screen[Any]) -> None:
        """Removes notices when a window opens, so that they do not cover it; errors stay."""
        if isinstance(screen, ModalScreen):
            notices.clear(self, errors=False)

    # What is shown

    async def open_experiment(self, folder: Path, mode: Literal["live", "compare"] = "live") -> None:
        """Shows the experiment in ``folder``, from its beginning to now and as it goes on."""
        self.make_current(folder)
        await self.action_go(mode)

    def make_current(self, folder: Path) -> None:
        """Opens it likewise, and leaves the person in the mode where they are."""
        self.lifecycle.awaits_new = False
        if folder != self.folder:
            self.folder = folder
            self.state = ExperimentState()
            self.run_worker(partial(self._follow, folder), thread=True, exclusive=True, group="follow")

    async def renew_setup(self, experiment: Experiment) -> None:
        """Puts a new Setup, with these settings, in the place of the present one, and goes there from another mode."""
        await self.remove_mode("setup")
        self._add_mode("setup", lambda: SetupScreen(experiment))
        await self.action_go("setup")

    def mark(self, folder: Path, runs: frozenset[str] | None) -> None:
        """Marks runs (None: all) of the experiment in a folder for Compare, at which the person may look by now."""
        self.marks[folder] = runs
        self.bring_up_to_date()

    def forget(self, folder: Path) -> None:
        """Closes an experiment that was deleted."""
        if self.folder is not None and folder.absolute() == self.folder.absolute():  # it may be named otherwise
            self.workers.cancel_group(self, "follow")
            self.folder, self.state = None, ExperimentState()
        self.bring_up_to_date()

    def write(self, group: str, work: Callable[[], None]) -> None:
        """Runs in a thread what the app, where it ends meanwhile, waits for."""
        self.run_worker(self._threads.write(work), group=group, exit_on_error=False)

    def send(self, work: Callable[[], None]) -> None:
        """Runs in a thread, in the order of the calls, what is done even where the app is about to end."""
        self._threads.send(work)

    def _follow(self, folder: Path) -> None:
        worker = get_current_worker()
        has_writer = partial(self.hosting.has_writer, folder)
        for message in follow.follow(folder, lambda: worker.is_cancelled, has_writer, pace=self._pace):
            self.post_message(message)

    def _pace(self) -> follow.Pace:
        """How often what changes all the time is shown: where nobody looks, training has the time that this takes."""
        return follow.WATCHED if monotonic() - self._pressed < WATCHED_SECONDS else follow.UNWATCHED

    def _open_running(self) -> None:
        """Opens an experiment that is already running, as nothing else was asked for; else says if the latest one was
        interrupted.
        """
        running = next(iter(running_elsewhere(self.out)), None)
        if running is not None:
            self.call_later(self._show_running, running)
        elif (latest := next(iter_summaries(self.out), None)) is not None and latest.status == "interrupted":
            self.notify(f"{shown(latest.name, 60)} was interrupted. Press 4, then Enter to resume.", timeout=8)

    async def _show_running(self, folder: Path) -> None:
        """Opens a running experiment, unless the person has started something meanwhile whose keys would act there."""
        if self.hosting.host is not None or self.hosting.is_busy:
            return
        if self._mode_screen is self.screen and self.current_mode == "setup" and not isinstance(self.focused, Input):
            await self.open_experiment(folder)
        else:
            self.notify(f"{shown(folder.name, 60)} is already training; press 4 to see it.", timeout=8)

    @on(StateRead)
    def _read(self, message: StateRead) -> None:
        if message.folder == self.folder:
            self._read_at = monotonic()
            self.state = message.state
            self.hosting.has_read(message.folder, message.state)
            self.bring_up_to_date()
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
            self.call_later(self._compose_ahead)

    async def _compose_ahead(self) -> None:
        """Composes the modes that are visited later, so that the first key to one takes no longer than the next."""
        for mode in ("compare", "runs"):
            await self._init_mode(mode)

    def bring_up_to_date(self) -> None:
        """Shows how things stand now in the present mode; an error in it is told and recorded, and the app goes on."""
        screen = self._mode_screen
        if screen is None:
            return
        state = ExperimentState() if self.lifecycle.is_awaited else self.state
        try:
            with self.batch_update():
                self._show_time(screen)
                screen.show_header(state)
                screen.show(state)
                screen.refresh_keys()
        except Exception as error:
            if self.is_headless:
                raise
            self.notify(unexpected(error), title="This screen could not be drawn", severity="error")

    @property
    def _mode_screen(self) -> Mode | None:
        """The present mode's screen, whatever window lies over it; None before the first, and while the app closes."""
        screen = self.screen_stack[0] if self.screen_stack else None
        return screen if isinstance(screen, Mode) and screen.is_attached else None

    def _tick(self) -> None:
        collect(monotonic() - self._pressed)
        if self._mode_screen is None:
            return
        pace = self._pace()
        if monotonic() - self._read_at > pace.numbers + pace.looks + follow.POLL_SECONDS:  # else what is read shows it
            self._show_time(self._mode_screen)
        for trouble in self.hosting.troubles(self.folder, self.state):
            self.notify(trouble.text, title=trouble.title, severity="error", timeout=60)
            self.bring_up_to_date()  # where it was to be resumed, nothing of it may be in the log

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
            await super().on_event(event)
        elif isinstance(event, Key) and event.key in QUITS:
            await self.action_quit()

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Acts on a key when it comes, with ``priority``. Textual acts on most only when they have risen from widget to
        widget to the app: behind keys that came later, which may have led elsewhere.
        """
        if not priority:
            return False
        is_held, self._key = key == self._key, key
        if await super()._check_bindings(key, priority):
            return True
        focused = self.focused
        if focused is not None and focused.check_consume_key(key, key_to_character(key)):
            return False
        if focused is not None and is_held and moves_in(focused, key):
            await caught_up(focused)
        else:
            await all_caught_up(focused or self.screen)
        return await super()._check_bindings(key)

    async def action_go(self, mode: str) -> None:
        """Goes to a mode and brings it up to date."""
        if isinstance(self.screen, ModalScreen):
            return
        self._is_first_visit = self._mode_screen is not None and mode not in self._screen_stacks
        if mode != self.current_mode:
            notices.clear(self, errors=False)  # they would cover it
        await self.switch_mode(mode)
        self.bring_up_to_date()

    @on(Tabs.Chosen)
    def _tab_chosen(self, message: Tabs.Chosen) -> None:
        self.call_later(self.action_go, message.mode)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dims keys that would do nothing now and hides those that this mode does not have."""
        del parameters
        if action == "export":
            if self.lifecycle.is_awaited or self.current_mode not in ("live", "compare"):
                return False
            marked = self.marks and self.current_mode == "compare"
            return True if marked or any(run.epochs for run in self.state.runs) else None
        return True

    def action_export(self) -> None:
        """Writes the comparison that is seen into files, and says where."""
        export(self)

    def action_help(self) -> None:
        """Shows every key that works now."""
        self.push_screen(
            Reading("Keys", help_text(self.screen.active_bindings.values(), reading_width(self.size.width)))
        )

    async def action_quit(self) -> None:
        """Quits, after asking if a run is training."""
        await self.lifecycle.quit()

    def turn_to(self, folder: Path) -> None:
        """Makes this folder's experiment, as its log says now, the current one, for what is printed after the app: its
        event loop must not wait for a long log.
        """
        if folder != self.folder:
            self.folder, self.state = folder, ExperimentState()
        with suppress(OSError):  # a disk that is away: then what was read last
            self.state = read_state(folder)

    def end(self) -> None:
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
