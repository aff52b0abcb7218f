"""Compare: what the runs of an experiment came to, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import get_current_worker

from tui.messages import TableMade

if TYPE_CHECKING:
    from engine.state import ExperimentState
from tui.screens.host import app_of

EMPTY = "Nothing to compare: press 1 to start a comparison, or 4 to open an earlier one."


class CompareScreen(Screen[None]):
    """The comparison table with its verdict; also while runs are still going on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", "Up", show=False, id="compare.up", tooltip="scroll up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="compare.down", tooltip="scroll down"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.body = VerticalScroll(id="comparison")
        self.table = Static(EMPTY, markup=False)
        self._seen: object = None

    def compose(self) -> ComposeResult:
        """The table in a frame that scrolls."""
        with self.body:
            yield self.table

    def on_mount(self) -> None:
        """The keys that scroll work at once."""
        self.body.focus()

    def show(self, state: ExperimentState) -> None:
        """Makes the table again when a run began, finished an epoch, or ended."""
        interrupted = app_of(self).interrupted
        seen = (
            state.name,
            interrupted,
            [(run.run, run.status, len(run.epochs), run.parameters_total) for run in state.runs],
        )
        if seen == self._seen:
            return
        self._seen = seen
        if state.runs:
            if self.table.content == EMPTY:
                self.table.update("Comparing …")
            self._make(state, interrupted)
        else:
            self.table.update(EMPTY)

    def action_scroll(self, lines: int) -> None:
        """Scrolls by so many lines."""
        self.body.scroll_relative(y=lines, animate=False)

    @work(thread=True, exclusive=True, group="compare")
    def _make(self, state: ExperimentState, interrupted: bool) -> None:
        # In a thread: the first comparison loads scipy.
        from engine.comparison.rows import Source, compare  # noqa: PLC0415
        from tui.tables import comparison_table  # noqa: PLC0415

        worker = get_current_worker()
        source = Source(state, app_of(self).folder, interrupted)
        table = comparison_table(compare([source]), verdict_first=True)
        if not worker.is_cancelled:
            self.post_message(TableMade(table))

    @on(TableMade)
    def _made(self, message: TableMade) -> None:
        self.table.update(message.table)
