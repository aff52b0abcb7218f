"""Runs: every earlier experiment in the folder of experiments."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static
from textual.worker import get_current_worker

from engine import history
from engine.history import Summary
from engine.text import shown
from engine.units import percent, percent_range
from tui.errors import unexpected
from tui.loading import load_for_comparing
from tui.screens.dialogs import Question, Tick
from tui.screens.frame import Mode
from tui.screens.host import app_of
from tui.text import apart, middle
from tui.theme import AMBER, ROSE, rgb
from tui.widgets.runs_table import MARK, RunsTable

if TYPE_CHECKING:
    from engine.state import ExperimentState, RunState

TICKED_NAME = 38
"""Cells for the name of a run that can be ticked, beside what it reached."""
SHOWN_EVERY = 0.3
"""Seconds between two drawings while many logs are being read."""
DRAWING_SHARE = 4
"""For so many times as long as the last drawing took, nothing is drawn: of thousands it takes long."""
READ_EVERY = 3.0
"""Seconds after which the folder is looked at again for what others began or went on with."""


class RunsScreen(Mode):
    """The experiments, and of the one under the cursor where it is and why it ended."""

    DEFAULT_CSS = """
    RunsScreen #runs-empty {
        height: 1fr; padding: 0 4; content-align: center middle; text-align: center; color: $text-muted;
    }
    RunsScreen #runs-detail { height: 2; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space", "mark", "Mark", id="runs.mark", tooltip="mark the experiment for Compare, or take the mark away"
        ),
        Binding("m", "mark_runs", "Mark runs", id="runs.mark-runs", tooltip="mark single runs of the experiment"),
        Binding("x", "unmark", "Unmark all", show=False, id="runs.unmark", tooltip="take all marks away"),
        Binding("c", "compare", "Compare", id="runs.compare", tooltip="compare what is marked, else this experiment"),
        Binding("r", "refresh", "Read again", id="runs.refresh", tooltip="look for new experiments and results"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.table = RunsTable(id="runs")
        self.table.display = False
        self.empty = Static("reading …", markup=False, id="runs-empty")
        self.detail = Static(markup=False, id="runs-detail")
        self.known: tuple[Summary, ...] = ()
        self.has_read = False
        self._marking: set[Path] = set()  # until it is known whether they may be
        self._last_seen: object = None

    def compose(self) -> ComposeResult:
        """The table, or what to do where there is nothing to show."""
        yield self.table
        yield self.empty
        yield self.detail

    def on_mount(self) -> None:
        """Looks again every few seconds; logs that have not changed are not read."""
        self.set_interval(READ_EVERY, self._look_again)

    def _look_again(self) -> None:
        reads = any(one.is_running and one.node is self and one.group == "runs" for one in self.workers)
        if self.is_current and not reads:
            self.action_refresh()

    def on_screen_resume(self) -> None:
        """Looks again whenever the person comes here."""
        self.action_refresh()

    def on_resize(self) -> None:
        """The folder's name fits the width."""
        self._say()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing can be marked or compared before there is something."""
        del parameters
        return None if action in ("compare", "mark", "mark_runs", "unmark") and not self.known else True

    def show(self, state: ExperimentState) -> None:
        """Looks again when an epoch or the experiment ended."""
        seen = (state.name, state.end, sum(len(run.epochs) for run in state.runs))
        if seen != self._last_seen:
            self._last_seen = seen
            self.action_refresh()

    def action_refresh(self) -> None:
        """Reads the logs that have changed."""
        self._read(app_of(self).out, self.known)

    def action_compare(self) -> None:
        """Compares what is marked, or where nothing is the experiment under the cursor."""
        if app_of(self).marks:
            self.app.call_later(app_of(self).action_go, "compare")
        else:
            self._open("compare")

    def action_mark(self) -> None:
        """Marks the experiment under the cursor, or takes its mark away."""
        summary, marks = self._markable(), app_of(self).marks
        if summary is None:
            return
        if summary.folder in marks:
            del marks[summary.folder]
            self._show_marks()
        elif summary.folder in self._marking:  # pressed again before it was marked
            self._marking.remove(summary.folder)
        else:
            self._begin_marking(summary.folder, None)

    def action_mark_runs(self) -> None:
        """Asks which of the experiment's runs to mark."""
        if (summary := self._markable()) is not None:
            self._ask_runs(summary.folder)

    def action_unmark(self) -> None:
        """Takes all marks away."""
        app_of(self).marks.clear()
        self._show_marks()

    def _markable(self) -> Summary | None:
        summary = self.table.current
        if summary is None or summary.strategies:
            return summary
        self.notify(f"{shown(summary.name)}: {shown(summary.note)}", severity="warning")
        return None

    def _begin_marking(self, folder: Path, runs: frozenset[str] | None) -> None:
        """Marks the runs (None: all) in a folder, unless they are of other data than what is marked."""
        self._marking.add(folder)
        self._mark_if_comparable(folder, runs, self._marked_beside(folder))

    def _marked_beside(self, folder: Path) -> Path | None:
        return next((other for other in app_of(self).marks if other != folder), None)

    @work(thread=True, group="marks", exit_on_error=False)
    def _mark_if_comparable(self, folder: Path, runs: frozenset[str] | None, beside: Path | None) -> None:
        try:
            load_for_comparing()
            from engine.comparison.same_data import what_differs  # noqa: PLC0415
            from tui.comparing import state_of  # noqa: PLC0415 - not needed before

            differs = what_differs([state_of(beside or folder), state_of(folder)])
        except Exception as error:  # a person wants to know, and to go on
            differs = unexpected(error)
        self.app.call_from_thread(self._mark, folder, runs, beside, differs)

    def _mark(self, folder: Path, runs: frozenset[str] | None, beside: Path | None, differs: str) -> None:
        if folder not in self._marking:
            return
        if (now := self._marked_beside(folder)) != beside:  # another was marked meanwhile
            self._mark_if_comparable(folder, runs, now)
            return
        self._marking.remove(folder)
        if differs:
            self.notify(f"{differs}.", title="Not marked", severity="warning")
            return
        app_of(self).marks[folder] = runs
        self._show_marks()

    @work(thread=True, exclusive=True, group="ask", exit_on_error=False)
    def _ask_runs(self, folder: Path) -> None:
        load_for_comparing()
        from tui.comparing import state_of  # noqa: PLC0415

        self.app.call_from_thread(self._tick_runs, folder, state_of(folder).runs)

    def _tick_runs(self, folder: Path, runs: Sequence[RunState]) -> None:
        marked = app_of(self).marks.get(folder, frozenset())
        said = apart([shown(run.run, 160) for run in runs], TICKED_NAME)
        cells = max(map(len, said), default=0)
        names = [
            f"{name:<{cells}}  {percent(run.best.val.accuracy) if run.best else run.status}"
            for name, run in zip(said, runs, strict=True)
        ]
        ticked = [number for number, run in enumerate(runs) if marked is None or run.run in marked]

        def answered(numbers: frozenset[int] | None) -> None:
            if numbers is None:
                return
            if numbers:
                chosen = frozenset(runs[number].run for number in numbers)
                self._begin_marking(folder, None if len(chosen) == len(runs) else chosen)
            else:
                app_of(self).marks.pop(folder, None)
                self._show_marks()

        self.app.push_screen(Tick(f"Runs of {shown(folder.name, 40)}", names, ticked), answered)

    def _show_marks(self) -> None:
        self.table.mark(app_of(self).marks)
        self._say()

    @on(RunsTable.RowSelected)
    def _selected(self) -> None:
        summary = self.table.current
        if summary is None or summary.status != "interrupted":
            self._open("live")
            return
        reached = {name: summary.accuracies(name) for name in summary.strategies}
        best = ", ".join(f"{shown(name, 60)} {percent_range(some)}" for name, some in reached.items() if some)
        so_far = f"Best validation accuracy so far: {best}" if best else "No epoch of it has ended."
        self.app.push_screen(
            Question(
                "Go on with this experiment?",
                f"{shown(summary.name)} was interrupted.\n{so_far}\nIt goes on exactly where it stood.",
                "Resume (y)",
                "Only look (n)",
            ),
            partial(self._answered, summary),
        )

    def _answered(self, summary: Summary, resume: bool | None) -> None:
        if resume:
            app_of(self).resume_experiment(summary.folder)
        elif resume is False:
            app_of(self).open_experiment(summary.folder)

    @on(RunsTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._say()

    def _open(self, mode: Literal["live", "compare"]) -> None:
        summary = self.table.current
        if summary is None:
            return
        if summary.status == "damaged":
            self.notify(f"{shown(summary.name)}: {shown(summary.note)}", severity="warning")
            return
        app_of(self).open_experiment(summary.folder, mode)

    @work(thread=True, exclusive=True, group="runs")
    def _read(self, out: Path, known: Sequence[Summary]) -> None:
        try:
            self._read_each(out, known)
        except Exception as error:  # a person wants to know, and to go on
            self.notify(unexpected(error), title="Runs", severity="error")

    def _read_each(self, out: Path, known: Sequence[Summary]) -> None:
        worker = get_current_worker()
        read: list[Summary] = []
        drawn, pause = time.monotonic(), SHOWN_EVERY
        for summary in history.each(out, known):
            if worker.is_cancelled:
                return
            read.append(summary)
            if not known and time.monotonic() - drawn > pause:
                began = time.monotonic()
                self.app.call_from_thread(self._put, tuple(read))
                drawn = time.monotonic()
                pause = max(SHOWN_EVERY, DRAWING_SHARE * (drawn - began))
        if not worker.is_cancelled:
            self.app.call_from_thread(self._put, tuple(read))

    def _put(self, summaries: tuple[Summary, ...]) -> None:
        if summaries == self.known and self.has_read:
            return
        self.has_read = True
        self.known = summaries
        self.table.display = bool(summaries)
        self.empty.display = not summaries
        out = middle(shown(str(app_of(self).out)), 50)
        self.empty.update(f"No experiments in {out} yet.\nPress 1 for Setup, then Enter to start the first one.")
        self.table.marks = dict(app_of(self).marks)
        self.table.put(summaries)
        if summaries:
            self.table.focus()
        self._say()
        self.refresh_bindings()

    def _say(self) -> None:
        summary = self.table.current
        if summary is None:
            self.detail.update("")
            return
        text = Text(middle(shown(str(summary.folder)), max(20, self.size.width - 2)))
        if number := len(app_of(self).marks):
            things = "1 marked experiment" if number == 1 else f"{number} marked experiments"
            text.append(f"\n{MARK} Compare (3) shows {things}; x takes all marks away", rgb(AMBER))
        elif summary.note:
            text.append(f"\n{shown(summary.note)}", rgb(ROSE if summary.status in ("failed", "damaged") else AMBER))
        self.detail.update(text)
