"""What ``tl-tui rank`` prints: backbones, the most promising first."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.export.to_json import json_text
from engine.progress import WorkDone, transformed
from engine.specs.spec import DataSource
from tui.commands.progress import with_progress_bar
from tui.drawing.theme import AMBER, GREEN, GREY, rgb
from tui.words.ranking import COLUMNS, caveats, cells, skipped


def print_ranking(source: DataSource, backbones: Sequence[str], weights: str, device: str, *, as_json: bool) -> int:
    """Ranks the backbones and prints the table; 1 where none of them could be."""
    from engine.data.discover import discover  # noqa: PLC0415
    from engine.ranking import rank  # noqa: PLC0415 - imports torch

    console = Console(stderr=as_json)
    work = transformed(
        rank(discover(source), backbones, weights, device), lambda now: now if isinstance(now, WorkDone) else None
    )
    found = with_progress_bar(work, console)
    ranked = [one for one in found if not one.skipped]
    if as_json:
        sys.stdout.write(json_text({"backbones": msgspec.to_builtins(found)}))
        return 0 if ranked else 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left", no_wrap=number == 0)
    for place, one in enumerate(ranked):
        table.add_row(*(Text(cell, "" if place else rgb(GREEN)) for cell in cells(one)))
    if ranked:
        console.print(table)
        for sentence, colour in zip(caveats(weights), (GREY, AMBER), strict=False):
            console.print(Text(sentence, rgb(colour)))
    for one in found:
        if one.skipped:
            console.print(Text(skipped(one), rgb(AMBER)), soft_wrap=True)
    return 0 if ranked else 1
