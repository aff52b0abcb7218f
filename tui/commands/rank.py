"""What ``tl-tui rank`` prints: backbones, the most promising first."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.export.to_json import json_text
from engine.spec import DataSource
from engine.text import shown
from engine.units import UNKNOWN, percent, short_count
from tui.commands.progress import with_progress_bar
from tui.theme import AMBER, GREEN, GREY, rgb

COLUMNS = ("backbone", "LogME", "probe accuracy", "loss", "features", "parameters", "seconds")


def print_ranking(source: DataSource, backbones: Sequence[str], weights: str, device: str, *, as_json: bool) -> int:
    """Ranks the backbones and prints the table; 1 where none of them could be."""
    from engine.data.discover import discover  # noqa: PLC0415
    from engine.ranking import rank  # noqa: PLC0415 - imports torch

    console = Console(stderr=as_json)
    found = with_progress_bar(rank(discover(source), backbones, weights, device), console)
    ranked = [one for one in found if not one.skipped]
    if as_json:
        sys.stdout.write(json_text({"backbones": msgspec.to_builtins(found)}))
        return 0 if ranked else 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left", no_wrap=number == 0)
    for place, one in enumerate(ranked):
        cells = (
            one.backbone,
            UNKNOWN if one.logme is None else f"{one.logme:.3f}",
            UNKNOWN if one.accuracy is None else percent(one.accuracy),
            UNKNOWN if one.loss is None else f"{one.loss:.3f}",
            f"{one.features:,}",
            short_count(one.parameters),
            f"{one.seconds:.1f}",
        )
        table.add_row(*(Text(cell, "" if place else rgb(GREEN)) for cell in cells))
    if ranked:
        console.print(table)
        said = "Of the training images alone: the probe is cross-validated. LogME only compares on the same images."
        console.print(Text(said, rgb(GREY)))
        if weights == "none":
            said = "All weights are random (--weights none): this tells nothing of pretrained networks."
            console.print(Text(said, rgb(AMBER)))
    for one in found:
        if one.skipped:
            console.print(Text(f"skipped {shown(one.backbone)}: {shown(one.skipped, 600)}", rgb(AMBER)), soft_wrap=True)
    return 0 if ranked else 1
