"""Earlier experiments as a table, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from rich.cells import get_character_cell_size
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from engine.history.experiment_state import Status
from engine.history.summaries import Summary
from engine.text import shown
from engine.units import duration, percent_range
from tui.drawing.text import cut_in_the_middle, told_apart
from tui.drawing.theme import AMBER, BLUE, GREY, ROSE, SIGNS, STYLES, rgb
from tui.words.summaries import MARK, this_year, when

GAP = 2
NUMBERS = ("val acc", "time")
BOTH = "status, time"
MM_DD_TIME = "11-23 12:00"
MARKED = 8
"""Cells that a mark and its words need."""
LEAST_DATA, LEAST_STRATEGY = 7, 8
NARROW = 100
"""Cells below which time and status share a column."""


class RunsTable(DataTable[Text]):
    """One row an experiment, in it one line a strategy, and the note on it."""

    DEFAULT_CSS = """
    RunsTable { height: 1fr; background: transparent; scrollbar-size-vertical: 1; overflow-x: hidden; padding: 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "select_cursor",
            "Open",
            id="runs.open",
            tooltip="compare its results; resume if interrupted; else Live",
        ),
        Binding("home", "scroll_top", "Newest", show=False, id="runs.newest", tooltip="go to the newest experiment"),
        Binding("end", "scroll_bottom", "Oldest", show=False, id="runs.oldest", tooltip="go to the oldest experiment"),
    ]

    def __init__(self, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(
            id=id or None,
            cursor_type="row",
            cursor_foreground_priority="renderable",
            cell_padding=0,
            zebra_stripes=True,
        )
        self.summaries: tuple[Summary, ...] = ()
        self._drawn: tuple[Summary, ...] = ()
        self._names: list[str] = []
        self._widths: dict[str, int] = {}
        self.marks: Mapping[Path, frozenset[str] | None] = {}
        self._drawn_for = 0

    @property
    def current(self) -> Summary | None:
        """The experiment under the cursor."""
        return self.summaries[self.cursor_row] if 0 <= self.cursor_row < len(self.summaries) else None

    def on_resize(self) -> None:
        """The columns fit the width."""
        if self.size.width != self._drawn_for:
            self.redraw(self.current.folder if self.current else None)

    def put(self, summaries: Sequence[Summary]) -> None:
        """Shows these; the cursor stays with its experiment, or where that is gone in its place."""
        folder = self.current.folder if self.current else None
        self.summaries = tuple(summaries)
        if not self._is_updated():
            self.redraw(folder)

    def redraw(self, folder: Path | None = None) -> None:
        """Lays the rows out for the present width, with the cursor on the experiment in ``folder``."""
        self._drawn_for, self._drawn = self.size.width, self.summaries
        self._widths, self._names = self._layout()
        row, scrolled = max(0, self.cursor_row), self.scroll_offset.y
        below = self._top(row) - scrolled
        self.clear(columns=True)
        for label, width in self._widths.items():
            self.add_column(Text(f"{label:>{width}}" if label in NUMBERS else label), width=width + GAP, key=label)
        for summary, name in zip(self.summaries, self._names, strict=True):
            cells = self._row(summary, name)
            self.add_row(*cells, height=_height(cells))
        places = [number for number, summary in enumerate(self.summaries) if summary.folder == folder]
        self.move_cursor(row=places[0] if places else min(row, len(self.summaries) - 1), animate=False)
        if places and scrolled:  # else the newest stay in sight
            self.call_after_refresh(self.scroll_to, y=self._top(places[0]) - below, animate=False)

    def _top(self, row: int) -> int:
        """Lines of the rows above one."""
        return sum(one.height for one in self.ordered_rows[:row])

    def _is_updated(self) -> bool:
        """Draws the cells that differ, if these are all that does: what trains changes every few seconds, and to lay
        out a thousand rows takes as long as a key must not.
        """
        widths, names = self._layout()
        if [one.folder for one in self.summaries] != [one.folder for one in self._drawn] or widths != self._widths:
            return False
        changed = [
            (number, self._row(summary, name))
            for number, (summary, name) in enumerate(zip(self.summaries, names, strict=True))
            if summary is not self._drawn[number] or name != self._names[number]
        ]
        if any(_height(cells) != self.ordered_rows[number].height for number, cells in changed):
            return False
        self._drawn, self._names = self.summaries, names
        for number, cells in changed:
            for place, (cell, before) in enumerate(zip(cells, self.get_row_at(number), strict=True)):
                if cell != before:
                    self.update_cell_at(Coordinate(number, place), cell)
        return True

    def _layout(self) -> tuple[dict[str, int], list[str]]:
        """The columns' widths, and what is said of each experiment's data."""
        widest = max((len(text) for summary in self.summaries for text in _reached(summary)), default=0)
        widths = _widths(self.size.width - 1, max(7, widest))
        return widths, told_apart([shown(one.data or one.name) for one in self.summaries], widths["data"])

    def _row(self, summary: Summary, name: str) -> list[Text]:
        return [self._when(summary), *_cells(summary, name, self._widths)[1:]]

    def mark(self, marks: Mapping[Path, frozenset[str] | None]) -> None:
        """Shows which are marked: an experiment, or so many of its runs; only those that changed are drawn."""
        before, self.marks = self.marks, dict(marks)
        for number, summary in enumerate(self.summaries):
            if (before.get(summary.folder, False)) != (self.marks.get(summary.folder, False)):
                self.update_cell_at(Coordinate(number, 0), self._when(summary))

    def _when(self, summary: Summary) -> Text:
        """When it began, and below it whether it is marked: where room is short, in place of its time or year."""
        first, second = when(summary.began, this_year()), ""
        if len(first) > self._widths["when"]:
            first, second = first.split(" ") if " " in first else (first[5:], first[:4])
        text = Text(first)
        if summary.folder in self.marks:
            runs = self.marks[summary.folder]
            said = "marked" if runs is None else "1 run" if len(runs) == 1 else f"{len(runs)} runs"
            text.append(f"\n{MARK} {said}", f"bold {rgb(AMBER)}")
        elif second:
            text.append(f"\n{second}", rgb(GREY))
        return text


def _widths(room: int, accuracy_width: int) -> dict[str, int]:
    """Column widths in cells; data and strategy share what the others leave. Where that is little, the time stands
    below the status, and the time of day below the date.
    """
    apart_or_below = {"time": 7, "status": 13} if room >= NARROW else {BOTH: 13}
    fixed = {"val acc": accuracy_width} | apart_or_below
    began = len(MM_DD_TIME)
    left = room - began - sum(fixed.values()) - GAP * (len(fixed) + 2)
    if left < LEAST_DATA + LEAST_STRATEGY:
        began = MARKED
        left += len(MM_DD_TIME) - MARKED
    strategy = min(40, max(LEAST_STRATEGY, min(19, left - 8), left * 3 // 5))
    return {"when": began, "data": min(40, max(LEAST_DATA, left - strategy)), "strategy": strategy} | fixed


def _height(cells: Sequence[Text]) -> int:
    return max(cell.plain.count("\n") + 1 for cell in cells)


def _reached(summary: Summary) -> list[str]:
    """What each strategy reached; ``»`` tells of one of which a run was skipped."""
    return [
        f"» {percent_range(some)}" if name in summary.skipped else percent_range(some)
        for name, some in summary.reached.items()
    ]


def _cells(summary: Summary, name: str, widths: dict[str, int]) -> list[Text]:
    """A row; ``name``: of its data, as far as it has room."""
    strategies = told_apart([shown(name) for name in summary.strategies], widths["strategy"])
    accuracies = _reached(summary)
    data = Text(name)
    if summary.seeds:
        seeds = f"seed {summary.seeds[0]}" if len(summary.seeds) == 1 else f"{len(summary.seeds)} seeds"
        folds = [f"{summary.folds} folds"] if summary.folds else []
        parts = [seeds, *folds] if len(summary.seeds) > 1 else folds or [seeds]
        said = ", ".join(parts)
        lines = [said] if len(said) <= widths["data"] else [cut_in_the_middle(part, widths["data"]) for part in parts]
        data.append("".join(f"\n{line}" for line in lines), rgb(GREY))
    time, status = duration(summary.seconds) if summary.began else "–", _status(summary.status)
    columns = {
        "when": Text(),  # the table's own
        "data": data,
        "strategy": Text("\n".join(strategies) or "–"),
        "val acc": Text("\n".join(f"{text:>{widths['val acc']}}" for text in accuracies or ["–"])),
        "time": Text(f"{time:>{widths.get('time', 0)}}"),
        "status": status,
        BOTH: Text.assemble(status, (f"\n  {time}" if summary.began else "", rgb(GREY))),
    }
    cells = [columns[label] for label in widths]
    if summary.note:
        _add_line(cells[1:], [width + GAP for width in widths.values()][1:], shown(summary.note))
    return cells


def _add_line(cells: Sequence[Text], widths: Sequence[int], line: str) -> None:
    """Adds a line that goes on from cell to cell below all that is in them."""
    text = Text(line)
    text.truncate(sum(widths) - GAP, overflow="ellipsis")
    height = max(cell.plain.count("\n") for cell in cells) + 1
    for cell, piece in zip(cells, pieces(text.plain, widths), strict=True):
        cell.append("\n" * (height - cell.plain.count("\n"))).append(piece, rgb(BLUE))


def pieces(text: str, widths: Sequence[int]) -> list[str]:
    """The text cut for places side by side that have room for so many terminal cells each."""
    found, begin = [], 0
    for width in widths:
        end, room = begin, width
        while end < len(text) and (room := room - get_character_cell_size(text[end])) >= 0:
            end += 1
        found.append(text[begin:end])
        begin = end
    return found


def _status(status: Status) -> Text:
    if status == "damaged":
        return Text("? damaged", rgb(ROSE))
    return Text(f"{SIGNS[status]} {status}", STYLES[status])
