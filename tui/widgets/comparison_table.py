"""The comparison as a table that is sorted and unfolded by keys: a strategy a line, below it its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.comparison.columns import columns
from engine.comparison.rows import Comparison, Row
from engine.states.state import Condition
from engine.text import shown
from engine.units import UNKNOWN
from tui.drawing.intervals import Ends, drawn, scale_in_words, scale_of
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, BLUE, GREEN, GREY, SIGNS, Colour, rgb, strategy_colours
from tui.measures import Line, Measure, Order, best_in, lines, measures
from tui.widgets.listing import Listing

GAP = 2
WORTH_A_SIGN: tuple[Condition, ...] = (
    "failed",
    "running",
    "paused",
    "interrupted",
    "stopped",
    "skipped",
    "waiting",
    "not begun",
)
MOST_NAME = 34
MOST_CHARACTERS = 160
WIDEST = 1000
"""Cells in which no name is cut."""
PICTURE = (10, 30)
"""Cells of an interval's picture: at least, and at most, since a longer line is no clearer."""
KEPT = ("memory", "+memory", "time")
"""Columns that a picture takes no room from: the time alone where both leave it none."""


class ComparisonTable(Listing):
    """Draws as many columns as have room, the first of them always: the names, and beyond them those around the
    chosen one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="compare.detail", tooltip="details of this strategy or run"),
        Binding("space", "unfold", "Runs", id="compare.unfold", tooltip="expand or collapse a strategy's runs"),
        Binding("left,h", "column(-1)", "Column ←", show=False, id="compare.left", tooltip="previous column"),
        Binding("right,l", "column(1)", "Column →", show=False, id="compare.right", tooltip="next column"),
        Binding("s", "sort", "Sort", id="compare.sort", tooltip="sort by this column (again: reverse)"),
    ]

    class Opened(Message):
        """Show the details of the line under the cursor."""

    class Chosen(Message):
        """Another column is chosen."""

    def __init__(self) -> None:
        super().__init__(id="comparison-table")
        self.comparison: Comparison | None = None
        self.measures: tuple[Measure, ...] = ()
        self.lines: list[Line] = []
        self.unfolded: frozenset[str] = frozenset()
        self.order = Order()
        self.column = 0
        self.first_column = 0
        self._cells: list[list[str]] = []
        self._widths: list[int] = []
        self._is_best: list[list[bool]] = []
        self._named: tuple[int, list[Text]] = 0, []
        self._colours: dict[str, Colour] = {}
        self._intervals: list[tuple[Ends, float] | None] = []
        self._scale: Ends = (0.0, 1.0)

    @property
    def count(self) -> int:
        """Lines."""
        return len(self.lines)

    @property
    def current(self) -> Line | None:
        """The line under the cursor."""
        return self.lines[self.cursor] if 0 <= self.cursor < len(self.lines) else None

    @property
    def measure(self) -> Measure | None:
        """The chosen column."""
        return self.measures[self.column] if self.column < len(self.measures) else None

    def show(self, comparison: Comparison) -> None:
        """Shows this comparison in the order and as far unfolded as it was; of another experiment its first columns."""
        is_other = self.comparison is None or self.comparison.experiment != comparison.experiment
        title = "" if is_other or self.measure is None else self.measure.title
        if is_other:
            self.first_column = 0
        self.comparison, self.measures = comparison, measures(comparison)
        self.column = next((place for place, one in enumerate(self.measures) if one.title == title), 0)
        self._arrange()

    def _arrange(self) -> None:
        if self.comparison is None:
            return
        before = self.current
        self._named = 0, []
        self._colours = strategy_colours(row.strategy for row in self.comparison.runs)
        self.lines = lines(self.comparison, self.measures, self.unfolded, self.order)
        self._cells = [[one.cell(line.column.rows) for one in self.measures] for line in self.lines]
        self._widths = [
            max(5, len(one.title) + 1, *(len(cells[place]) for cells in self._cells))
            for place, one in enumerate(self.measures)
        ]
        self._intervals = [self._interval(line.column.rows) for line in self.lines]
        every = (*columns(self.comparison), *columns(self.comparison, single_runs=True))
        self._scale = scale_of(found[0] for one in every if (found := self._interval(one.rows)) is not None)
        bests = [best_in(self.comparison, one) for one in self.measures]
        self._is_best = [[not line.is_run and line.column.title in best for best in bests] for line in self.lines]
        if before is not None:
            same = ((line.name, line.column.title, line.is_run) for line in self.lines)
            wanted = (before.name, before.column.title, before.is_run)
            parent = (before.column.title, before.column.title, False)
            places = list(same)
            at = wanted if wanted in places else parent
            self.cursor = places.index(at) if at in places else 0
        self.draw()

    def _interval(self, rows: Sequence[Row]) -> tuple[Ends, float] | None:
        """That of the accuracy, which is the first column, and the accuracy."""
        ends = next((one.ends for one in self.measures if one.ends is not None), None)
        found, accuracy = ends(rows) if ends is not None else None, self.measures[0].number(rows)
        return None if found is None or accuracy is None else (found, accuracy)

    def action_open(self) -> None:
        """Asks the screen for the detail, also of what is still being compared."""
        self.post_message(self.Opened())

    def action_unfold(self) -> None:
        """Shows a strategy's runs, or hides them; of a run those of its strategy."""
        if self.current is not None:
            self.unfolded ^= {self.current.column.title}
            self._arrange()
            self.post_message(self.Moved())

    def action_column(self, step: int) -> None:
        """Chooses the next column or the one before."""
        before, self.column = self.column, max(0, min(self.column + step, len(self.measures) - 1))
        if self.column != before:
            self.draw()
            self.post_message(self.Chosen())

    def action_sort(self) -> None:
        """Sorts by the chosen column from its good end, then from the other, then not at all."""
        if self.measure is None:
            return
        if self.order.title != self.measure.title:
            self.order = Order(self.measure.title)
        else:
            self.order = Order(self.measure.title, False) if self.order.best_first else Order()
        self._arrange()

    def _name_width(self, width: int) -> int:
        longest = max((name.cell_len for name in _names(self.lines, self.unfolded, WIDEST, self._colours)), default=8)
        return max(12, min(longest, MOST_NAME, width // 2))

    def _name_of(self, number: int, width: int) -> Text:
        """A line's name; all are cut together, once for a width."""
        if self._named[0] != width:
            self._named = width, _names(self.lines, self.unfolded, width, self._colours)
        return self._named[1][number].copy()

    def _drawn(self, number: int, width: int) -> str:
        """The interval of a line of the table."""
        found = self._intervals[number]
        return " " * width if found is None else drawn(*found, self._scale, width)

    def _picture(self, room: int) -> int:
        """Cells of an interval's picture, where names leave so much room; 0 where it has none."""
        titles = [one.title for one in self.measures]
        at = next((place for place, one in enumerate(self.measures) if one.ends is not None), None)
        if at is None or not any(self._intervals):
            return 0
        for last in [titles.index(title) for title in KEPT if title in titles] or [at]:
            spare = room - sum(GAP + cells for cells in self._widths[: last + 1]) - 1
            if spare >= PICTURE[0]:
                return min(spare, PICTURE[1])
        return 0

    def _layout(self, width: int) -> tuple[int, list[tuple[int, int]]]:
        """Cells of the names, and of each column in view its place and its cells."""
        names = self._name_width(width)
        room = width - names
        picture = self._picture(room)
        widths = [
            cells + (picture + 1 if picture and one.ends is not None else 0)
            for cells, one in zip(self._widths, self.measures, strict=True)
        ]
        self.first_column = min(self.first_column, self.column)
        while sum(widths[self.first_column : self.column + 1]) + GAP * (self.column - self.first_column + 1) > room:
            if self.first_column >= self.column:
                break
            self.first_column += 1
        placed, used = [], 0
        for place in range(self.first_column, len(widths)):
            used += GAP + widths[place]
            if used > room:
                break
            placed.append((place, widths[place]))
        return names, placed

    def head(self, width: int) -> list[Text]:
        """The columns' titles: the chosen one, and the one that sorts with an arrow."""
        names, placed = self._layout(width)
        last = placed[-1][0] if placed else 0
        text = Text.assemble((f"{'←' if self.first_column else '':>{names}}", rgb(AMBER)), no_wrap=True)
        for place, cells in placed:
            one = self.measures[place]
            arrow = ""
            if one.title == self.order.title:
                falls = (one.better != "lower") == self.order.best_first
                arrow = "▾" if falls else "▴"
            style = f"bold {rgb(AMBER)}" if arrow else rgb(GREY)
            text.append(" " * GAP)
            if picture := cells - self._widths[place]:
                text.append(f"{scale_in_words(self._scale, picture - 1)} ", rgb(GREY))
            text.append(
                f"{one.title + arrow:>{self._widths[place]}}", f"{style} reverse" if place == self.column else style
            )
        if last < len(self.measures) - 1 and text.cell_len < width:
            text.append("→", rgb(AMBER))
        return [text]

    def line(self, number: int, width: int) -> Text:
        """A strategy or a run, and its numbers; the best strategy's are marked."""
        line = self.lines[number]
        names, placed = self._layout(width)
        text = self._name_of(number, names)
        text.pad_right(names - text.cell_len)
        for place, cells in placed:
            said = self._cells[number][place]
            is_best = self._is_best[number][place]
            style = f"bold {rgb(GREEN)}" if is_best else rgb(GREY) if line.is_run or said == UNKNOWN else ""
            text.append(" " * GAP)
            if picture := cells - self._widths[place]:
                text.append(f"{self._drawn(number, picture - 1)} ", rgb(self._colours[line.column.title]))
            text.append(f"{said:>{self._widths[place]}}", style)
        text.no_wrap = True
        return text


def _names(lines: Sequence[Line], unfolded: frozenset[str], width: int, colours: Mapping[str, Colour]) -> list[Text]:
    """Strategies with the number of their runs, and runs, with a sign where something is not over or went wrong."""
    behind = [_behind(line) for line in lines]
    room = width - max(map(len, behind), default=0)
    names = [shown(line.name, MOST_CHARACTERS) for line in lines]
    said = [
        short if line.is_run else long
        for line, short, long in zip(lines, told_apart(names, room - 4), told_apart(names, room - 2), strict=True)
    ]
    return [
        _name(line, name, after, unfolded, colours.get(line.name, BLUE))
        for line, name, after in zip(lines, said, behind, strict=True)
    ]


def _behind(line: Line) -> str:
    states = [row.state for row in line.column.rows]
    sign = next((SIGNS[state] for state in WORTH_A_SIGN if state in states), "")
    return (f" ×{line.runs}" if line.runs > 1 else "") + (f" {sign}" if sign else "")


def _name(line: Line, name: str, behind: str, unfolded: frozenset[str], colour: Colour) -> Text:
    if line.is_run:
        return Text(f"    {name}{behind}", rgb(GREY))
    fold = "  " if line.runs == 1 else "▾ " if line.column.title in unfolded else "▸ "
    return Text.assemble(fold, (name, f"bold {rgb(colour)}"), (behind, rgb(GREY)))
