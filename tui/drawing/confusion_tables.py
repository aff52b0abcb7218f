"""Confusion matrices side by side, as Rich tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.comparison.confusion import LARGEST, Matrix
from engine.text import shown
from engine.units import percent
from tui.drawing.theme import AMBER, GREEN, GREY, Colour, rgb

NAME_WIDTH = 12
COUNT_WIDTH = 9
GAP = 4


def confusion_tables(matrices: Sequence[Matrix], colours: Mapping[str, Colour], width: int) -> list[RenderableType]:
    """The matrices beside one another as far as ``width`` cells allow, the others below; a blank line after each row.

    Of many classes, the pairs that are confused most. ``colours``: of the strategies.
    """
    if not matrices:
        return []
    whole = all(len(matrix.classes) <= LARGEST for matrix in matrices)
    titled = [_titled(matrix, colours[matrix.column.title]) for matrix in matrices]
    console = Console(width=max(1, width), color_system=None)
    needed = max(console.measure(one).maximum for one in titled)
    per_row = max(1, (width + GAP) // (needed + GAP))
    title = f"Confusion on the {matrices[0].part} images" + (" (rows: true class)" if whole else ", the worst pairs")
    parts: list[RenderableType] = [Text(title, "bold")]
    for first in range(0, len(titled), per_row):
        beside = Table.grid(padding=(0, GAP, 0, 0))
        beside.add_row(*titled[first : first + per_row])
        parts += [beside, Text()]
    return parts


def _matrix(matrix: Matrix) -> Table:
    table = _table()
    table.add_column("", max_width=NAME_WIDTH, no_wrap=True, style=rgb(GREY))
    for name in matrix.classes:
        header = Text(shown(name, COUNT_WIDTH), rgb(GREY))
        table.add_column(header, justify="right", min_width=min(COUNT_WIDTH, 6), no_wrap=True)
    for true, row in enumerate(matrix.counts):
        cells = (
            Text(f"{images:,}", rgb(GREEN) if predicted == true else rgb(AMBER) if images else rgb(GREY))
            for predicted, images in enumerate(row)
        )
        table.add_row(Text(shown(matrix.classes[true], NAME_WIDTH)), *cells)
    return table


def _pairs(matrix: Matrix) -> Table:
    table = _table()
    table.add_column("true → predicted", header_style=rgb(GREY), max_width=26)
    table.add_column("images", header_style=rgb(GREY), justify="right", no_wrap=True)
    for pair in matrix.most_confused:
        names = f"{shown(pair.true, 20)} → {shown(pair.predicted, 20)}"
        table.add_row(Text(names), Text(f"{pair.images} ({percent(pair.images / pair.of)})", rgb(AMBER)))
    return table


def _titled(matrix: Matrix, colour: Colour) -> RenderableType:
    title = Text(shown(matrix.column.title, 60), rgb(colour))
    if matrix.column.note:
        title.append(f"\n{matrix.column.note}", rgb(GREY))
    return Group(title, _matrix(matrix) if len(matrix.classes) <= LARGEST else _pairs(matrix))


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
