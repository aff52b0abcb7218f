"""The view that Compare begins with: the verdict above a table of strategies, what differs and curves below it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from tui.compared import Compared
from tui.drawing import curves
from tui.drawing.theme import GREY, rgb
from tui.widgets.chart import Chart
from tui.widgets.comparison_table import ComparisonTable
from tui.widgets.dialogs import reading_width
from tui.widgets.view import View
from tui.words.headline import Answer, difference, headline
from tui.words.spec_differences import SpecDifference, side_by_side, spec_differences

AROUND = 6
"""Rows of the screen that are neither the verdict's nor a strategy's: tabs, keys, the table's head and foot, a gap."""
FEWEST = 6
"""Rows of strategies and runs that are left room in any window but the lowest."""
TALL, BELOW = 30, 11
"""Rows of the screen from which on there is room below the table, and above it for more than the verdict; and those
that long words then leave to what is below.
"""


class TableView(View):
    """Set the ``answer``, the ``verdict``, and ``brief``, the part of it that says the most, before a comparison is
    shown.
    """

    DEFAULT_CSS = """
    TableView { padding: 0 1; }
    TableView #compare-words { height: auto; margin-bottom: 1; }
    TableView #compare-below { height: 1fr; margin-top: 1; }
    TableView #compare-differences { width: auto; max-width: 60%; text-wrap: nowrap; text-overflow: ellipsis; }
    TableView #compare-chart { width: 1fr; padding-left: 2; }
    TableView #compare-foot { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__(id="compare-table")
        self.words = Static(markup=False, id="compare-words")
        self.table = ComparisonTable()
        self.differences = Static(markup=False, id="compare-differences")
        self.chart = Chart(id="compare-chart")
        self.below = Horizontal(self.differences, self.chart, id="compare-below")
        self.foot = Static(markup=False, id="compare-foot")
        self.compared: Compared | None = None
        self.answer: Answer | None = None
        self.verdict, self.brief = Text(), Text()

    def compose(self) -> ComposeResult:
        """The words, the table, what is below it, and the chosen column in words."""
        yield self.words
        yield self.table
        yield self.below
        yield self.foot

    def show(self, compared: Compared) -> None:
        """Shows this comparison."""
        if compared is self.compared:
            return
        self.compared = compared
        self.table.show(compared.comparison)
        self.fit()

    def take_focus(self) -> None:
        """The keys work in the table."""
        self.screen.set_focus(self.table)

    def in_full(self) -> Text:
        """All the words, and in what the strategies differ."""
        width = reading_width(self.screen.size.width)
        text = self._answer(width).append("\n").append_text(self.verdict)
        if self.compared is not None and (found := _differences(self.compared)):
            text.append("\n\nSettings that differ\n", "bold")
            text.append_text(side_by_side(self.compared.strategies, found, width))
        return text

    def _answer(self, width: int) -> Text:
        """The lines above the verdict: the answer, and the difference that it tells of as a picture."""
        if self.answer is None:
            return Text()
        lines = headline(self.answer, width), difference(self.answer, width)
        return Text("\n").join([*(line for line in lines if line is not None), Text()])

    def fit(self) -> None:
        """Shows above and below the table what the screen has room for."""
        if self.compared is None:
            return
        width, height = self.screen.size
        others = AROUND + max(FEWEST, len(self.compared.strategies)) + (BELOW if height >= TALL else 0)
        rows = max(height * 4 // 10, height - others)
        self.words.styles.max_height = rows
        text = self._answer(max(20, width - 2)).append("\n" if height >= TALL else "")
        text.append_text(self.verdict if height >= TALL else self.brief)
        text.rstrip()  # there may be no words
        said = shortened(text, max(20, width - 2), rows)
        if self.words.content != said:
            self.words.update(said)
        self._place_table()
        self.below.display = height >= TALL
        if self.below.display:
            self._show_below(self.compared, max(20, width * 6 // 10 - 2))
        self._explain()

    def _show_below(self, compared: Compared, width: int) -> None:
        """In what the strategies differ, and how accurate they became."""
        found = _differences(compared)
        self.differences.display = bool(found)
        text = side_by_side(compared.strategies, found, width)
        if text != self.differences.content:
            self.differences.update(text)
        self.chart.curves = curves.together([(name, compared.runs_of(name)) for name in compared.strategies])

    @on(ComparisonTable.Moved)
    def _place_table(self) -> None:
        """The table is as high as its lines where something stands below it."""
        height = self.screen.size.height
        self.table.styles.height = "1fr" if height < TALL else min(self.table.count + 1, height // 3)

    @on(ComparisonTable.Chosen)
    def _explain(self) -> None:
        one, compared = self.table.measure, self.compared
        if one is not None and compared is not None:
            has_seeds = len(compared.strategies) < len(compared.runs)
            several = " · mean ± sd" if one.spread and has_seeds else ""
            text = Text.assemble((f"{one.title}: ", "bold"), f"{one.words}{several}")
            if text != self.foot.content:
                self.foot.update(text, layout=False)


def _differences(compared: Compared) -> tuple[SpecDifference, ...]:
    return spec_differences([compared.runs_of(name) for name in compared.strategies])


def shortened(text: Text, width: int, rows: int) -> Text:
    """The text on so many rows; where it needs more, the last one tells which key shows all of it."""
    lines = text.wrap(Console(width=width), width)
    if len(lines) <= rows:
        return text
    return Text("\n").join([*lines[: rows - 1], Text("… v shows all of it", rgb(GREY))])
