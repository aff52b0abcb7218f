"""Live: the runs of an experiment while they train, or as they ended."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from engine.logs.events import Action
from engine.logs.log import send_command
from engine.states.state import can_go_on
from engine.text import shown
from tui.drawing.text import below
from tui.drawing.theme import AMBER, ROSE, rgb
from tui.errors import told
from tui.host import app_of
from tui.naming import called
from tui.screens.frame import Mode
from tui.widgets.dialogs import Leaving, Question, Reading
from tui.widgets.run_list import RunList
from tui.widgets.run_pane import RunPane
from tui.words.run_words import KEPT_IF_STOPPED, asked, kept_if_skipped

if TYPE_CHECKING:
    from engine.states.state import ExperimentState, RunState

PANE_WIDTH = 58
EMPTY = "No experiment open.\n\nPress 1 to choose data and strategies and start, or 4 to open an earlier experiment."
STARTING = "Starting: loading PyTorch and reading the images …"
RESUMING = "Resuming: loading PyTorch and the saved state …"
NOT_YET = ("pause", "go_on", "resume", "stop", "skip", "detach")
"""Actions on an experiment that goes on, or could."""
OF_RUNS = ("verdict", "charts", "warnings")
"""Actions on what an experiment has told."""


class LiveScreen(Mode):
    """As many panes as have room side by side; every run as a line where that is not all of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", id="live.pause", tooltip="pause training"),
        Binding("space", "go_on", "Resume", id="live.go_on", tooltip="resume what was paused"),
        Binding("r", "resume", "Resume", id="live.resume", tooltip="resume the interrupted experiment"),
        Binding("s", "stop", "Stop", id="live.stop", tooltip="stop the experiment (asks first)"),
        Binding("k", "skip", "Skip", id="live.skip", tooltip="skip the highlighted run (asks first)"),
        Binding("d", "detach", "Detach", id="live.detach", tooltip="quit and keep training in the background"),
        Binding("3", "verdict", "Verdict", id="live.verdict", tooltip="the comparison and its verdict"),
        Binding("c", "charts", "Charts", id="live.charts", tooltip="next charts"),
        Binding("right,down,l", "next(1)", "Run →", show=False, id="live.next", tooltip="the next run"),
        Binding("left,up,h", "next(-1)", "Run ←", show=False, id="live.previous", tooltip="the run before"),
        Binding("pagedown", "jump(5)", "Down", show=False, id="live.page-down", tooltip="five runs down"),
        Binding("pageup", "jump(-5)", "Up", show=False, id="live.page-up", tooltip="five runs up"),
        Binding("home", "jump(-1_000_000)", "First", show=False, id="live.first", tooltip="first run"),
        Binding("end", "jump(1_000_000)", "Last", show=False, id="live.last", tooltip="last run"),
        Binding(
            "w",
            "warnings",
            "Warnings",
            show=False,
            id="live.warnings",
            tooltip="all warnings, and why the experiment failed",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.panes: list[RunPane] = []
        self.row = Horizontal(id="panes")
        self.runs = RunList()
        self.notice = Static(id="notice", markup=False)
        self.empty = Static(EMPTY, id="empty", markup=False)
        self.state: ExperimentState | None = None
        self.chosen: int | None = None
        self._folder: Path | None = None  # of what was shown last
        self._is_opened_over = True  # it had ended whenever it was shown

    def compose(self) -> ComposeResult:
        """A line for warnings, the panes, the other runs."""
        yield self.notice
        yield self.empty
        yield self.row
        yield self.runs

    def on_mount(self) -> None:
        """Panes fit themselves after every layout: one that was just added may miss the event that tells its size."""
        self.screen_layout_refresh_signal.subscribe(self, self._fit)

    def _fit(self, _screen: Screen[Any]) -> None:
        for pane in self.panes:
            pane.fit()

    def show(self, state: ExperimentState) -> None:
        """Shows the experiment as it stands now."""
        folder = app_of(self).folder
        if folder != self._folder:
            self._folder, self.chosen, self._is_opened_over = folder, None, True
        self.state = state
        self._is_opened_over &= state.end is not None or not state.runs
        self.empty.display = not state.runs
        self.row.display = bool(state.runs)
        if not state.runs:
            app = app_of(self)
            begins = app.lifecycle.is_awaited
            self.empty.update(STARTING if begins else empty_text(state, app.folder is not None))
        self._show_notice(state)
        self._show_runs(state)

    def on_resize(self, event: Resize) -> None:
        """As many panes as there is room for now."""
        del event
        self.call_after_refresh(self._show_again)

    def _show_again(self) -> None:
        if self.state is not None:  # as it is now: it may have gone on since
            self.show(self.state)

    def action_charts(self) -> None:
        """Shows the next charts in every pane."""
        for pane in self.panes:
            pane.cycle()

    async def action_verdict(self) -> None:
        """Goes to Compare."""
        await app_of(self).action_go("compare")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What may be possible later is grey, what an end has made void is not shown, and the verdict only after it.

        Nothing is asked of an experiment that is being started.
        """
        del parameters
        app = app_of(self)
        state = app.state
        can: bool | None = True
        if app.lifecycle.is_awaited and action in (*NOT_YET, *OF_RUNS):
            return False
        if app.hosting.is_resuming(app.folder) and action in NOT_YET:
            return False
        match action:
            case "pause" | "go_on" | "stop" | "skip":
                is_void = action == ("pause" if state.paused else "go_on")
                can = False if state.interrupted or state.end or is_void else True if self._is_live else None
            case "resume":
                can = can_go_on(state)
            case "detach":
                can = app.hosting.is_training or (None if app.hosting.is_busy else self._is_live)
            case "verdict":
                can = bool(state.end) and bool(state.runs)
            case "charts":
                can = None if all(pane.shows_all_charts for pane in self.panes if pane.display) else True
        return can

    def action_next(self, step: int) -> None:
        """Selects the next run or the one before."""
        if self.state is not None and self.state.runs:
            self._choose((self.selected + step) % len(self.state.runs))

    def action_jump(self, step: int) -> None:
        """Selects the run so many lines below, at most the last, or above."""
        if self.state is not None and self.state.runs:
            self._choose(max(0, min(self.selected + step, len(self.state.runs) - 1)))

    def action_pause(self) -> None:
        """Pauses the experiment."""
        self._send("pause")

    def action_go_on(self) -> None:
        """Goes on with the experiment that was paused."""
        self._send("resume")

    def action_skip(self) -> None:
        """Asks, then ends the highlighted run, or leaves it out before it begins."""
        app = app_of(self)
        run = app.state.runs[self.selected]
        if run.is_over:
            self.notify(f"{shown(run.run, 60)} has already ended ({run.status}); nothing to skip.", severity="warning")
            return
        app.push_screen(
            Question("Skip this run?", partial(self._of_skipping, run.run), "Skip (y)", "Keep it (n)"),
            partial(self._answered, "skip", app.folder, run.run),
        )

    def _of_skipping(self, name: str) -> str:
        run = self._run(name)
        return shown(name, 160) + ("" if run is None else f"\n{kept_if_skipped(run)}.")

    def _run(self, name: str) -> RunState | None:
        """The run of this id as it stands now, None where another experiment is shown by now."""
        return next((run for run in app_of(self).state.runs if run.run == name), None)

    async def action_resume(self) -> None:
        """Goes on with the experiment that was interrupted or stopped."""
        app = app_of(self)
        if app.folder is not None and can_go_on(app.state):
            await app.lifecycle.resume(app.folder)

    async def action_detach(self) -> None:
        """Hands what trains here over to a process of its own, and quits; what trains elsewhere is left as it is."""
        app = app_of(self)
        if app.hosting.is_training and not isinstance(app.screen, Leaving):
            app.lifecycle.ask_to_leave("suspend")
        elif not app.hosting.is_busy:
            await app.action_quit()

    def action_stop(self) -> None:
        """Asks, then ends the experiment."""
        app = app_of(self)
        app.push_screen(
            Question("Stop the experiment?", self._of_stopping, "Stop (y)", "Keep going (n)"),
            partial(self._answered, "stop", app.folder, ""),
        )

    def _of_stopping(self) -> str:
        app = app_of(self)
        run = app.state.current
        kept = "" if run is None else f"{shown(run.run, 160)}\n{KEPT_IF_STOPPED}.\n"
        later = "" if app.folder is None else f" or `tl-tui resume {called(app.folder)}`"
        return f"{kept}Waiting runs will not start. Resume later with r{later}."

    def _answered(self, action: Action, folder: Path | None, name: str, yes: bool | None) -> None:
        """Sends the command, unless what the question was about (the run ``name``, all of it if empty) has ended
        meanwhile.
        """
        if not yes:
            return
        app = app_of(self)
        run = self._run(name)
        if folder != app.folder or not self._is_live or (name and (run is None or run.is_over)):
            self.notify(f"Nothing to {action}: it has already finished.", severity="warning")
        else:
            self._send(action, name)

    def _send(self, action: Action, name: str = "") -> None:
        app = app_of(self)
        if app.folder is None or not self._is_live:
            return
        said = asked(action, self._run(name) if name else app.state.current)
        app.send(partial(self._sent, app.folder, action, name, said))

    def _sent(self, folder: Path, action: Action, name: str, said: str) -> None:
        with told(self.app, "Not sent", folder):
            send_command(folder, action, name)
            self.app.notify(said)

    @property
    def _is_live(self) -> bool:
        """Whether what the log tells of goes on, here or elsewhere."""
        app = app_of(self)
        state = app.state
        return app.folder is not None and state.end is None and not state.interrupted and bool(state.runs)

    def action_warnings(self) -> None:
        """Shows every warning, below why the experiment failed."""
        state = app_of(self).state
        failed = Text.assemble(("The experiment failed: ", f"bold {rgb(ROSE)}"), shown(state.error, 2000))
        lines = [failed] if state.error else []
        lines += [
            Text.assemble((f"{shown(warned.run, 60)}: " if warned.run else "", "bold"), shown(warned.message, 400))
            for warned in state.warnings
        ]
        self.app.push_screen(Reading("Warnings", Text("\n").join(lines) if lines else Text("No warnings.")))

    @on(RunList.Selected)
    def _clicked(self, event: RunList.Selected) -> None:
        self._choose(event.index)

    @property
    def selected(self) -> int:
        """The run that a person chose, else the one that trains or trained last; of an experiment that was opened once
        it was over the first.
        """
        runs = self.state.runs if self.state is not None else ()
        if self.chosen is not None and self.chosen < len(runs):
            return self.chosen
        if self._is_opened_over:
            return 0
        return max(range(len(runs)), key=lambda number: last_heard(runs[number]), default=0)

    def _choose(self, index: int) -> None:
        if self.state is None:
            return
        self.chosen = None
        self.chosen = None if self.selected == index else index
        self.show(self.state)

    def _show_notice(self, state: ExperimentState) -> None:
        folder, hosting, width = app_of(self).folder, app_of(self).hosting, max(20, self.size.width - 2)
        if hosting.is_resuming(folder):
            text = Text(RESUMING)
        elif problem := hosting.problem_in(folder):
            text = unwritten(problem, width)
        else:
            text = notice(state, width)
        self.notice.display = bool(text)
        if text != self.notice.content:
            self.notice.update(text, layout=False)

    def _show_runs(self, state: ExperimentState) -> None:
        panes = min(len(state.runs), max(1, self.size.width // PANE_WIDTH))
        while len(self.panes) < panes:
            pane = RunPane()
            self.panes.append(pane)
            self.row.mount(pane)
        first = max(0, min(self.selected // max(1, panes) * panes, len(state.runs) - panes))
        for number, pane in enumerate(self.panes):
            pane.display = number < panes
            if pane.display:
                pane.set_class(first + number == self.selected and len(state.runs) > 1, "-selected")
                pane.show(state.runs[first + number], state)
        self.runs.display = len(state.runs) > panes
        if self.runs.display:
            self.runs.show(state, range(first, first + panes), self.selected)


def last_heard(run: RunState) -> float:
    """The elapsed seconds at which a run last began or ended an epoch; endless while it trains, 0 if it never began."""
    if run.status == "running":
        return math.inf
    return max(run.started or 0.0, run.latest.elapsed if run.latest is not None else 0.0)


def empty_text(state: ExperimentState, is_open: bool) -> str:
    """What is said where there are no runs to show."""
    if not is_open:
        return EMPTY
    if state.error:
        return shown(state.error, 600)
    if state.interrupted:
        return "Interrupted before anything was written."
    return STARTING


def unwritten(problem: str, width: int) -> Text:
    """One line: what trains here cannot write its log, and why; ``problem`` as the host gives it."""
    said = f"{problem.rpartition(': ')[2]}; training continues unseen"
    text = Text.assemble(("! Cannot write the log: ", f"bold {rgb(ROSE)}"), said)
    text.truncate(width, overflow="ellipsis")
    return text


def notice(state: ExperimentState, width: int) -> Text:
    """One line: why the experiment failed, or how many warnings there are with the latest; empty where neither."""
    if state.error:
        text = Text.assemble(("The experiment failed (w): ", f"bold {rgb(ROSE)}"), shown(state.error, 400))
    elif state.warnings:
        number = len(state.warnings)
        count = f"{number} warnings (w)" if number > 1 else "Warning (w)"
        data = state.spec.data.path if state.spec is not None else None
        said = below(shown(data or ""), shown(state.warnings[-1].message, 400))
        text = Text.assemble((f"! {count}: ", f"bold {rgb(AMBER)}"), said)
    else:
        return Text("")
    text.truncate(width, overflow="ellipsis")
    return text
