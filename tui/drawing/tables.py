"""The comparison as Rich tables, for the app and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from engine.comparison.aspects import GROUPS_ALONE, TITLES, Section, images, sections
from engine.comparison.columns import Column, columns
from engine.comparison.confusion import matrices
from engine.comparison.rows import Comparison
from engine.comparison.verdict import choices, verdict
from engine.text import shown
from tui.drawing.confusion_tables import confusion_tables
from tui.drawing.theme import AMBER, GREEN, GREY, Colour, rgb, strategy_colours

BEST = "★"
ASPECT_WIDTH = 24
COLUMN_WIDTH = 24
"""Cells that a column needs to be readable; more columns than have room go into a table below."""
WORD_WIDTH = 32
"""Cells that a strategy's name may take beside its sentence."""


def comparison_table(comparison: Comparison, *, single_runs: bool = False) -> RenderableType:
    """The comparison, its verdict and when each strategy is the better choice; it fits the width it is drawn in.

    ``single_runs``: a column a run instead of one a strategy.
    """
    if not comparison.runs:
        return Text("Nothing to compare yet.")
    return _ComparisonTable(comparison, single_runs)


class _ComparisonTable:
    """Rich asks it for its parts and tells it the width."""

    def __init__(self, comparison: Comparison, single_runs: bool) -> None:
        self.comparison = comparison
        self.columns = columns(comparison, single_runs=single_runs)
        self.sections = sections(comparison, self.columns)
        self.matrices = matrices(self.columns)
        self.colours = strategy_colours(row.strategy for row in comparison.runs)
        self.words = _words(comparison, self.colours)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        del console
        parts = [*self._table(options.max_width), *self.words]
        return iter([heading(self.comparison), Text(), *parts[:-1]])

    def _table(self, width: int) -> list[RenderableType]:
        count, per_table = len(self.columns), max(1, (width - ASPECT_WIDTH) // COLUMN_WIDTH)
        parts: list[RenderableType] = []
        for first in range(0, count, per_table):
            among = range(first, min(first + per_table, count))
            parts += [_table(self.columns, self.colours, self.sections, among), Text()]
        if legend := self._legend():
            parts += [Text(legend, rgb(GREY)), Text()]
        return [*parts, *confusion_tables(self.matrices, self.colours, width)]

    def _legend(self) -> str:
        said = []
        if any(any(line.best) for section in self.sections for line in section.lines):
            said.append(f"{BEST} best in its row")
        if any(len(column.rows) > 1 for column in self.columns):
            said.append("mean ± standard deviation over the runs")
        if any(matrix.runs > 1 for matrix in self.matrices):
            said.append("confusion summed over them")
        if any(line.title == GROUPS_ALONE for section in self.sections for line in section.lines):
            said.append("groups alone: the accuracy of guessing from an image's group, without looking at it")
        if any(row.ran_beside_another for row in self.comparison.runs):
            said.append("another experiment ran on this machine meanwhile, which inflates times")
        titles = {section.title for section in self.sections}
        if TITLES["test"] in titles:
            once = " once" if all(row.times_tested < 2 for row in self.comparison.runs) else ""
            said.append(f"validation chose the best epoch and is optimistic; test was measured{once} at that epoch")
        elif any(row.epochs > 1 for row in self.comparison.runs):
            said.append("the validation images also chose the best epoch, so results on them are slightly optimistic")
        return " · ".join(said)


def heading(comparison: Comparison) -> Text:
    """What was compared, on which data: one line."""
    data, name = comparison.data, shown(comparison.experiment, 160)
    if comparison.data_differs:
        return Text(name, "bold")
    names = ", ".join(shown(name, 40) for name in data.classes[:6]) + (" …" if len(data.classes) > 6 else "")
    counts = images(comparison, "train", "val", " / ")
    return Text.assemble((name, "bold"), (f"  {counts}, {len(data.classes)} classes: {names}", rgb(GREY)))


def _words(comparison: Comparison, colours: Mapping[str, Colour]) -> list[RenderableType]:
    """The verdict, whether the comparison was fair, and what speaks for each strategy; a blank line after each."""
    style = f"bold {rgb(AMBER)}" if comparison.data_differs else "bold"
    words: list[RenderableType] = [Text(shown(verdict(comparison), 2000), style), Text()]
    if comparison.fairness:
        unequal = [shown(sentence, 400) for sentence in comparison.fairness]
        begun = [Text("not equal", rgb(AMBER)), *[Text()] * (len(unequal) - 1)]
        words += [_beside(zip(begun, unequal, strict=True)), Text()]
    if said := choices(comparison):
        named = ((Text(shown(one.strategy), rgb(colours[one.strategy])), one.sentence) for one in said)
        words += [_beside(named), Text()]
    return words


def _table(
    shown_columns: Sequence[Column], colours: Mapping[str, Colour], groups: Sequence[Section], among: range
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, border_style=rgb(GREY))
    table.add_column("", min_width=ASPECT_WIDTH - 1, max_width=34, style=rgb(GREY))
    for index in among:
        column = shown_columns[index]
        name = Text(shown(column.title), f"bold {rgb(colours[column.title])}")
        if column.note:
            name.append(f"\n{column.note}", "not bold")
        table.add_column(name, overflow="fold", max_width=44)
    add_sections(table, groups, among)
    return table


def add_sections(table: Table, groups: Sequence[Section], among: range) -> None:
    """Adds a row a line of the sections, each below its title, with the values of the columns ``among`` theirs."""
    for group in groups:
        if group.title:
            table.add_row()
            table.add_row(Text(group.title, "bold default"))
        for line in group.lines:
            cells = (_cell(line.values[index], line.best[index]) for index in among)
            table.add_row(Text(shown(line.title, 80)), *cells)


def _cell(value: str, best: bool) -> Text:
    text = Text(shown(value, 200))
    return text if not best else Text(f"{text.plain} {BEST}", f"bold {rgb(GREEN)}")


def _beside(rows: Iterable[tuple[Text, str]]) -> Table:
    """Each word, and beside it a sentence, for which a long word leaves room."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(overflow="fold", max_width=WORD_WIDTH)
    table.add_column(overflow="fold")
    for word, sentence in rows:
        table.add_row(word, Text(sentence))
    return table
