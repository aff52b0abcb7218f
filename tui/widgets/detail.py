"""Everything measured of a strategy or of one run: a table of words, confusion matrices, and curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from engine.comparison.aspects import sections
from engine.comparison.columns import Column, columns
from engine.comparison.confusion import matrices
from engine.comparison.rows import Comparison
from engine.states.state import RunState
from engine.text import shown
from tui.compared import Compared
from tui.drawing import curves
from tui.drawing.confusion_tables import confusion_tables
from tui.drawing.tables import add_sections
from tui.drawing.theme import GREY, Colour, rgb, strategy_colours
from tui.measures import Line
from tui.widgets.chart import Chart
from tui.widgets.view import View

WIDE = 110
"""Cells from which on words and curves have room side by side."""


class DetailView(View, can_focus=True):
    """Words at the left, curves at the right; where there is no room for both, a key turns over."""

    DEFAULT_CSS = """
    DetailView { padding: 0 1; }
    DetailView #detail-title { height: 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    DetailView #detail-words { width: 1fr; height: 1fr; }
    DetailView #detail-charts { width: 1fr; height: 1fr; padding-left: 2; }
    DetailView.-narrow #detail-charts { padding-left: 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="detail.back", tooltip="back to the table"),
        Binding("c", "turn", "Curves", id="detail.curves", tooltip="curves, more curves, then words again"),
        Binding("left,h", "other(-1)", "Before", show=False, id="detail.before", tooltip="previous row of the table"),
        Binding("right,l", "other(1)", "Next", show=False, id="detail.next", tooltip="next row of the table"),
        Binding("enter", "cells", "Matrix", show=False, id="detail.matrix", tooltip="the confusion matrix"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="detail.up", tooltip="scroll up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="detail.down", tooltip="scroll down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="detail.page-up", tooltip="page up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="detail.page-down", tooltip="page down"),
    ]

    class Cells(Message):
        """Open the confusion matrix."""

    class Other(Message):
        """Show the details of the next or the previous line."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self) -> None:
        super().__init__(id="detail")
        self.title = Static(id="detail-title", markup=False)
        self.text = Static(markup=False)
        self.words = VerticalScroll(self.text, id="detail-words")
        self.words.can_focus = False
        self.charts = (Chart(), Chart(), Chart())
        self.right = Vertical(*self.charts, id="detail-charts")
        self.line: Line | None = None
        """The line of the table that is shown."""
        self.page = 0
        self._shown: tuple[Comparison, Column] | None = None

    def compose(self) -> ComposeResult:
        """The title above both halves."""
        yield self.title
        yield Horizontal(self.words, self.right)

    def show(self, compared: Compared) -> None:
        """Shows the ``line``, which is one of this comparison."""
        comparison, line = compared.comparison, self.line
        if line is None or self._shown == (comparison, line.column):
            return
        rows = set(map(id, line.column.rows))  # two runs may have measured the same
        runs = [one.run for row, one in zip(comparison.runs, compared.runs, strict=True) if id(row) in rows]
        colour = compared.colours[line.column.title]
        name = Text.assemble(
            (shown(line.column.title, 120), f"bold {rgb(colour)}"), (f"  {line.column.note}", rgb(GREY))
        )
        self._shown = comparison, line.column
        self.title.update(name)
        self.text.update(_Detail(comparison, line.column))
        self._draw(runs, line.column, colour)
        self._place()

    def to_top(self) -> None:
        """Begins at the top."""
        self.words.scroll_home(animate=False)

    def _draw(self, runs: Sequence[RunState], column: Column, colour: Colour) -> None:
        turned = [row.val_loss_turned for row in column.rows if row.val_loss_turned is not None]
        wanted = curves.accuracy(runs, colour), curves.loss(runs, colour, turned), curves.gap(runs)
        for chart, of_it in zip(self.charts, wanted, strict=True):
            chart.curves = of_it

    def on_resize(self) -> None:
        """Both halves, or one."""
        self._place()
        self.screen.refresh_bindings()  # whether there is anything to turn over

    def _place(self) -> None:
        wide = self.size.width >= WIDE
        self.set_class(not wide, "-narrow")
        self.words.display = wide or self.page == 0
        self.right.display = wide or self.page > 0
        for number, chart in enumerate(self.charts):
            chart.display = wide or number // 2 == self.page - 1

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing needs to be turned over where both halves have room."""
        del parameters
        return None if action == "turn" and self.size.width >= WIDE else True

    def action_turn(self) -> None:
        """Turns over: two curves, the third, the words again."""
        self.page = (self.page + 1) % 3
        self._place()

    def action_cells(self) -> None:
        """Asks for the confusion matrix."""
        self.post_message(self.Cells())

    def action_other(self, step: int) -> None:
        """Asks for another line."""
        self.post_message(self.Other(step))

    def action_scroll(self, lines: int) -> None:
        """Scrolls the words."""
        self.words.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scrolls the words by a page."""
        self.words.scroll_relative(y=pages * max(1, self.words.size.height - 1), animate=False)


class _Detail:
    """Rich tells it the width."""

    def __init__(self, comparison: Comparison, column: Column) -> None:
        self.sections = sections(comparison, (column,))
        others = [other for other in columns(comparison) if other.title != column.title]
        self.matrices = matrices((column, *others))
        self.colours = strategy_colours(row.strategy for row in comparison.runs)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        del console
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        table.add_column(style=rgb(GREY), max_width=36)
        table.add_column(overflow="fold")
        add_sections(table, self.sections, range(1))
        yield table
        yield Text()
        yield from confusion_tables(self.matrices, self.colours, options.max_width)
