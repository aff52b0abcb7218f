"""Confusion matrices side by side, as Rich tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.comparison.confusion import LARGEST, Matrix
from engine.text import shown
from engine.units import percent
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, GREEN, GREY, Colour, rgb

NAME_WIDTH = 12
COUNT_WIDTH = 9
GAP = 4
READABLE = 16
"""Cells of a class's name below which the list of another strategy rather stands below."""
OF_PAIR = len(" → ") + len("  1,000 (100.0 %)  ")
"""Cells of two classes that are confused beside their names."""


def confusion_tables(matrices: Sequence[Matrix], colours: Mapping[str, Colour], width: int) -> list[RenderableType]:
    """The matrices beside one another as far as ``width`` cells allow, the others below; a blank line after each row.

    Of many classes, the pairs that are confused most. ``colours``: of the strategies.
    """
    if not matrices:
        return []
    whole = all(len(matrix.classes) <= LARGEST for matrix in matrices)
    names = {} if whole else _names_of_pairs(matrices, width)
    titled = [_titled(matrix, colours[matrix.column.title], names) for matrix in matrices]
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


def _names_of_pairs(matrices: Sequence[Matrix], width: int) -> dict[str, str]:
    """What the classes that are confused are called: in as many cells as there are where all matrices stand side by
    side, or where that is too few to read them, where each has the whole width.
    """
    found = list(dict.fromkeys(name for one in matrices for pair in one.most_confused for name in pair.cell))
    names = [shown(name, 160) for name in found]
    side_by_side = (width + GAP) // len(matrices) - GAP
    cells = (side_by_side - OF_PAIR) // 2
    if cells < min(READABLE, max(map(cell_len, names), default=0)):
        cells = (width - OF_PAIR) // 2
    return dict(zip(found, told_apart(names, max(1, cells)), strict=True))


def _matrix(matrix: Matrix) -> Table:
    table = _table()
    table.add_column("", max_width=NAME_WIDTH, no_wrap=True, style=rgb(GREY))
    names = [shown(name, 160) for name in matrix.classes]
    for name in told_apart(names, COUNT_WIDTH):
        header = Text(name, rgb(GREY))
        table.add_column(header, justify="right", min_width=min(COUNT_WIDTH, 6), no_wrap=True)
    for name, (true, row) in zip(told_apart(names, NAME_WIDTH), enumerate(matrix.counts), strict=True):
        cells = (
            Text(f"{images:,}", rgb(GREEN) if predicted == true else rgb(AMBER) if images else rgb(GREY))
            for predicted, images in enumerate(row)
        )
        table.add_row(Text(name), *cells)
    return table


def _pairs(matrix: Matrix, names: Mapping[str, str]) -> Table:
    table = _table()
    table.add_column("true → predicted", header_style=rgb(GREY))
    table.add_column("images", header_style=rgb(GREY), justify="right", no_wrap=True)
    for pair in matrix.most_confused:
        classes = f"{names[pair.true]} → {names[pair.predicted]}"
        table.add_row(Text(classes), Text(f"{pair.images} ({percent(pair.images / pair.of)})", rgb(AMBER)))
    return table


def _titled(matrix: Matrix, colour: Colour, names: Mapping[str, str]) -> RenderableType:
    title = Text(shown(matrix.column.title, 60), rgb(colour))
    if matrix.column.note:
        title.append(f"\n{matrix.column.note}", rgb(GREY))
    return Group(title, _matrix(matrix) if len(matrix.classes) <= LARGEST else _pairs(matrix, names))


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
