"""The comparison as a Rich table, for the app and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from engine.comparison.aspects import Aspect, aspects
from engine.comparison.rows import Comparison, Row
from engine.comparison.verdict import Choice, choices, verdict
from engine.text import shown
from tui.theme import BLUE, GREEN, GREY, rgb

BEST = "★"
ASPECT_WIDTH = 24
RUN_WIDTH = 24
"""Cells that a run's column needs to be readable; more runs than have room go into a table below."""
GROUPS = ("validation accuracy", "time in all")
"""A blank line stands before these aspects."""


def comparison_table(comparison: Comparison, *, verdict_first: bool = False) -> RenderableType:
    """The comparison, its verdict and when each strategy is the better choice; it fits the width it is drawn in.

    ``verdict_first``: the words stand above the table, for a window that begins at the top.
    """
    if not comparison.runs:
        return Text("There is nothing to compare yet.")
    return _ComparisonTable(comparison, verdict_first)


class _ComparisonTable:
    """Rich asks it for its parts and tells it the width."""

    def __init__(self, comparison: Comparison, verdict_first: bool) -> None:
        self.comparison = comparison
        self.lines = aspects(comparison)
        self.words: list[RenderableType] = [Text(verdict(comparison), "bold"), Text()]
        if said := choices(comparison):
            self.words += [_choices(said), Text()]
        self.verdict_first = verdict_first

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        del console
        table = self._table(options.max_width)
        parts = [*self.words, *table] if self.verdict_first else [*table, *self.words]
        return iter([heading(self.comparison), Text(), *parts[:-1]])

    def _table(self, width: int) -> list[RenderableType]:
        runs, per_table = self.comparison.runs, max(1, (width - ASPECT_WIDTH) // RUN_WIDTH)
        parts: list[RenderableType] = []
        for first in range(0, len(runs), per_table):
            parts += [_table(runs, self.lines, range(first, min(first + per_table, len(runs)))), Text()]
        if any(any(line.best) for line in self.lines):
            parts += [Text(f"{BEST} best of its line", rgb(GREY)), Text()]
        return parts


def heading(comparison: Comparison) -> Text:
    """What was compared, on which data: one line."""
    data = comparison.data
    names = ", ".join(shown(name, 40) for name in data.classes[:6]) + (" …" if len(data.classes) > 6 else "")
    return Text.assemble(
        (shown(comparison.experiment, 80), "bold"),
        (f"  {data.train:,} train / {data.val:,} val images, {len(data.classes)} classes: {names}", rgb(GREY)),
    )


def _table(rows: Sequence[Row], lines: Sequence[Aspect], columns: range) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, border_style=rgb(GREY))
    table.add_column("", min_width=ASPECT_WIDTH - 1, max_width=34, style=rgb(GREY))
    seeds = len({row.seed for row in rows}) > 1
    for index in columns:
        name = Text(shown(rows[index].strategy), f"bold {rgb(BLUE)}")
        if seeds:
            name.append(f"\nseed {rows[index].seed}")
        table.add_column(name, overflow="fold", max_width=44)
    for line in lines:
        if line.title in GROUPS:
            table.add_row()
        table.add_row(Text(line.title), *(_cell(line.values[index], line.best[index]) for index in columns))
    return table


def _cell(value: str, best: bool) -> Text:
    text = Text(shown(value, 200))
    return text if not best else Text(f"{text.plain} {BEST}", f"bold {rgb(GREEN)}")


def _choices(said: Sequence[Choice]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style=rgb(BLUE))
    table.add_column()
    for choice in said:
        table.add_row(Text(shown(choice.strategy)), Text(choice.sentence))
    return table
