"""What trains in this process, from the person's wish to its end: started, resumed, detached, left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.screen import ModalScreen, Screen

from engine.specs.spec import Experiment
from engine.text import listed, shown
from tui.widgets.dialogs import Leaving, Question, Reading, Way
from tui.work.hosting import HandedOver, NotHandedOver, NotStarted, OthersTrain, Outcome, Started

if TYPE_CHECKING:
    from tui.app import TlTui


class Lifecycle:
    """Asks and tells the person about what ``app.hosting`` does."""

    def __init__(self, app: TlTui) -> None:
        self._app = app
        self.awaits_new = False  # whether one was started, and no other opened since

    @property
    def is_awaited(self) -> bool:
        """Whether Live is seen, and what it will show is about to begin: nothing of another experiment counts there."""
        return self.awaits_new and self._app.hosting.is_starting_new and self._app.current_mode == "live"

    async def start(self, experiment: Experiment, *, beside_others: bool = False) -> None:
        """Starts the experiment in the background and goes to Live at once, so that the keys which come next do not
        change in Setup what was asked; says why where it cannot start, and asks first where another is running
        elsewhere, unless it is to run ``beside_others``, back in Setup.
        """
        app = self._app
        if app.hosting.is_busy:
            app.notify("An experiment is already running; stop it first (press 2, then s).", severity="warning")
        else:
            self.awaits_new = True
            app.hosting.start(experiment, app.out, beside_others=beside_others)
            await app.action_go("live")

    async def resume(self, folder: Path) -> None:
        """Resumes an interrupted experiment in the background and shows it in Live, or says why it cannot."""
        app = self._app
        if app.hosting.is_busy:
            app.notify("An experiment is running here; stop or detach it first.", severity="warning")
        else:
            app.hosting.resume(folder)
            await app.open_experiment(folder)

    async def quit(self) -> None:
        """Ends the app, after asking if a run is training."""
        app = self._app
        if app.hosting.is_handing_over:
            app.notify("Handing over to a background process; tl-tui quits once it has started.")
        elif not app.hosting.is_busy:
            app.end()
        elif isinstance(app.screen, Leaving):
            await app.screen.run_action("now")
        else:
            self.ask_to_leave()

    def ask_to_leave(self, way: Way | None = None) -> None:
        """Asks how to leave what trains here, unless the ``way`` is known; ends the app once that is done."""
        self._app.push_screen(Leaving(self._app.hosting, way), self._leave)

    def _leave(self, way: Way | None) -> None:
        app = self._app
        if way == "suspend" and (host := app.hosting.host) is not None:
            app.make_current(host.folder)  # it may go on here after all
            app.hosting.hand_over(host.folder)
        elif way is not None:
            app.end()

    async def tell(self, outcome: Outcome) -> None:
        """Shows what became of what was asked for."""
        match outcome:
            case Started(host):
                self._tell_started(host.folder)
            case OthersTrain(experiment, names):
                await self._back_to_setup()
                if not _ends(self._app.screen):
                    self._ask_beside(experiment, names)
            case NotStarted(reason, is_new):
                if is_new:
                    await self._back_to_setup()
                self._tell_why("Cannot start", reason)
            case NotHandedOver(reason):
                self._tell_why("Cannot detach", f"It continues here: {reason}")
            case HandedOver():
                self._app.end()

    def _tell_started(self, folder: Path) -> None:
        """Shows it unless the person has opened another one since, and never takes them to another mode: the keys that
        they press there would act in Live.
        """
        app, said = self._app, "4 to see it"
        if self.awaits_new or folder == app.folder:
            app.make_current(folder)
            said = "2 to see it"
        app.bring_up_to_date()
        if app.current_mode != "live" or app.folder != folder:
            app.notify(f"{shown(folder.name, 60)} has started; press {said}.", timeout=8)

    def _ask_beside(self, experiment: Experiment, names: list[str]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._app.call_later(self.start, experiment, beside_others=True)

        are, all_of = ("is", "Both") if len(names) == 1 else ("are", "All")
        self._app.push_screen(
            Question(
                "Start another experiment?",
                f"{shown(listed(names, 2), 160)}\n{are} already training on this machine.\n"
                f"{all_of} would slow down, and their times would not be comparable.",
                "Start (y)",
                "Not now (n)",
            ),
            answered,
        )

    def _tell_why(self, title: str, reason: str) -> None:
        self._app.bring_up_to_date()
        self._app.push_screen(Reading(title, Text(shown(reason))))

    async def _back_to_setup(self) -> None:
        """Leaves the Live in which the person waits for what does not begin, and the windows over it but one that is
        about to end the app; wherever else they have gone meanwhile they stay.
        """
        app = self._app
        if self.awaits_new and app.current_mode == "live":
            while isinstance(app.screen, ModalScreen) and not _ends(app.screen):
                await app.pop_screen()
            await app.action_go("setup")
        self.awaits_new = False


def _ends(window: Screen[Any]) -> bool:
    """Whether the app ends with it: how to leave was chosen."""
    return isinstance(window, Leaving) and window.way is not None
