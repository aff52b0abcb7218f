"""Image files as something that a terminal shows: half blocks, characters, or real pictures where it can.

Pictures by Sixel and by Kitty's protocol are encoded by textual-image. It would ask the terminal what it can as soon as
it is imported, whose answer the running app takes for keys. So nobody is asked: the environment tells, half blocks do
where it does not, and ``TL_TUI_PICTURES`` has the last word.
"""

from __future__ import annotations

import array
import fcntl
import math
import os
import sys
import termios
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, get_args

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.drawing.ascii import wanted as ascii_wanted

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["kitty", "sixel", "blocks", "ascii"]
SHADES = " .:-=+*#%@"
"""From dark to bright, on a dark terminal."""
STEP = 8
"""Half blocks have 256 / STEP levels of each colour: nobody sees it, and neighbours are more often alike."""
USUAL_CELL = (10, 20)
"""Width and height of a cell in pixels, where the terminal does not tell."""
MOST_PIXELS = 400
"""Width or height of what is sent as a real picture, so that one does not block a slow connection."""
COLOURS = 256
CHUNK = 4096
"""Bytes of base64 that Kitty's protocol takes at a time."""


@dataclass(frozen=True)
class Drawn:
    """An image as cells. ``out_of_band``: what the terminal must be told besides, in Kitty's protocol before its cells
    are drawn, with Sixel after them, at the top left of them. ``number`` is Kitty's name of it. ``problem``: why there
    is no picture. ``pixels``: the width and height of the image in the file, ``size`` the file's bytes; None where they
    are not known.
    """

    lines: tuple[Strip, ...] = ()
    kind: Kind = "blocks"
    out_of_band: str = ""
    number: int = 0
    problem: str = ""
    pixels: tuple[int, int] | None = None
    size: int | None = None

    @property
    def width(self) -> int:
        """Cells of its widest line."""
        return max((line.cell_length for line in self.lines), default=0)


def kind_of_terminal(environment: Mapping[str, str], *, colour: bool, truecolor: bool) -> Kind:
    """How pictures are shown in a terminal of this environment.

    ``colour``: whether there may be any; ``truecolor``: whether all of them arrive, by which Kitty's protocol names
    its pictures.
    """
    if ascii_wanted() or not colour:
        return "ascii"
    asked = environment.get("TL_TUI_PICTURES", "")
    known = asked if asked in get_args(Kind) else _known(environment)
    if known == "ascii":
        return "ascii"
    if known == "blocks" or find_spec("textual_image") is None or (known == "kitty" and not truecolor):
        return "blocks"
    return "kitty" if known == "kitty" else "sixel"


def _known(environment: Mapping[str, str]) -> str:
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term.startswith(("tmux", "screen")) or "TMUX" in environment or "STY" in environment:
        return "blocks"  # whatever lies around it: most of them pass no pictures on
    if term in ("xterm-kitty", "xterm-ghostty") or "KITTY_WINDOW_ID" in environment:
        return "kitty"
    if term.startswith(("foot", "mlterm", "contour", "yaft")) or program in ("WezTerm", "iTerm.app"):
        return "sixel"
    return "blocks"


def draw(path: str, width: int, height: int, kind: Kind, number: int = 0) -> Drawn:
    """The image of a file within so many cells; reads and decodes it, so not to be called where keys wait.

    ``number`` (1 to 2^24 - 1) names it for the terminal in Kitty's protocol.
    """
    from engine.data.images import thumbnail  # noqa: PLC0415 - Pillow is not needed before

    cell = cell_size() if kind in ("kitty", "sixel") else (1.0, 2.0)
    room = width * cell[0], height * cell[1]
    times = max(1.0, max(room) / MOST_PIXELS) if kind in ("kitty", "sixel") else 1.0
    size = _size(path)
    try:
        image, pixels = thumbnail(path, (max(1, int(room[0] / times)), max(1, int(room[1] / times))))
    except ValueError as error:
        return Drawn(kind=kind, problem=str(error), size=size)
    if kind == "kitty":  # which makes a picture as large as its cells
        cell = cell[0] / times, cell[1] / times
    columns = max(1, min(width, math.ceil(image.width / cell[0])))
    rows = max(1, min(height, math.ceil(image.height / cell[1])))
    return replace(_drawn(image, columns, rows, kind, number), pixels=pixels, size=size)


def _drawn(image: Image, columns: int, rows: int, kind: Kind, number: int) -> Drawn:
    match kind:
        case "blocks":
            return Drawn(tuple(_half_blocks(image)))
        case "ascii":
            return Drawn(tuple(_characters(image)), "ascii")
        case "sixel":
            return Drawn((Strip.blank(columns),) * rows, "sixel", _sixel(image))
        case "kitty":
            cells = tuple(_placeholders(columns, rows, number))
            return Drawn(cells, "kitty", _upload(image, columns, rows, number), number)


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a name from outside, as it is
    except (OSError, ValueError):
        return None


def forget(number: int) -> str:
    """What tells the terminal that a picture of Kitty's protocol is not needed any more."""
    return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\"


def cell_size() -> tuple[float, float]:
    """Width and height of a cell of the terminal in pixels, or what is usual where it does not say."""
    size = array.array("H", [0, 0, 0, 0])
    try:
        if sys.__stdout__ is not None:
            fcntl.ioctl(sys.__stdout__.fileno(), termios.TIOCGWINSZ, size)
    except (OSError, ValueError):
        return USUAL_CELL
    rows, columns, width, height = size
    return (width / columns, height / rows) if rows and columns and width and height else USUAL_CELL


def _half_blocks(image: Image) -> Iterator[Strip]:
    """Two pixels a cell, one above the other; cells of the same colours in a row are one segment."""
    levels = image.point(lambda value: min(255, round(value / STEP) * STEP))
    pixels = levels.tobytes()
    row_bytes, last = 3 * image.width, 3 * image.width * image.height
    for upper in range(0, last, 2 * row_bytes):
        segments: list[Segment] = []
        before, count = b"", 0
        for at in range(upper, upper + row_bytes, 3):
            lower = at + row_bytes
            pair = pixels[at : at + 3] + (pixels[lower : lower + 3] if lower < last else b"")
            if pair != before and count:
                segments.append(_block(before, count))
                count = 0
            before, count = pair, count + 1
        segments.append(_block(before, count))
        yield Strip(segments, image.width)


def _block(pair: bytes, count: int) -> Segment:
    upper = Color.from_rgb(*pair[:3])
    if len(pair) == 3:  # the last row of an odd number: nothing below it
        return Segment("▀" * count, Style(color=upper))
    if pair[:3] == pair[3:]:
        return Segment(" " * count, Style(bgcolor=upper))
    return Segment("▀" * count, Style(color=upper, bgcolor=Color.from_rgb(*pair[3:])))


def _characters(image: Image) -> Iterator[Strip]:
    """One character a cell, the denser the brighter; the darkest and the brightest of the image are the ends."""
    from PIL import ImageOps  # noqa: PLC0415

    rows = max(1, round(image.height / 2))
    grey = ImageOps.autocontrast(image.convert("L").resize((image.width, rows)), cutoff=1).tobytes()
    for start in range(0, len(grey), image.width):
        line = grey[start : start + image.width]
        yield Strip([Segment("".join(SHADES[value * len(SHADES) // 256] for value in line))], image.width)


def _sixel(image: Image) -> str:
    from textual_image._sixel import SixelOptions, image_to_sixels  # noqa: PLC0415 - this module asks nobody

    return str(image_to_sixels(image, SixelOptions(colors=COLOURS)))


def _upload(image: Image, columns: int, rows: int, number: int) -> str:
    """The image as a PNG, named by its number, to be shown wherever the placeholders of that number stand."""
    file = BytesIO()
    image.quantize(COLOURS).save(file, "PNG")
    data = b64encode(file.getvalue()).decode("ascii")
    parts = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    said = f"a=T,U=1,f=100,t=d,i={number},c={columns},r={rows},q=2,"
    return "".join(
        f"\x1b_G{said if place == 0 else ''}m={int(place < len(parts) - 1)};{part}\x1b\\"
        for place, part in enumerate(parts)
    )


def _placeholders(columns: int, rows: int, number: int) -> Iterator[Strip]:
    """Cells that Kitty replaces by the picture: their colour is its number, their accents are row and column."""
    module = _kittys_module()
    placeholder, accents = chr(module._PLACEHOLDER), [chr(code) for code in module._NUMBER_TO_DIACRITIC]
    style = Style(color=Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255))
    for row in range(min(rows, len(accents))):
        cells = (f"{placeholder}{accents[row]}{accents[column]}" for column in range(min(columns, len(accents))))
        yield Strip([Segment("".join(cells), style)], columns)


@cache
def _kittys_module() -> ModuleType:
    """textual-image's tables for Kitty, loaded past the package around them, which would ask the terminal."""
    package = find_spec("textual_image")
    folder = next(iter(package.submodule_search_locations or ())) if package is not None else ""
    spec = spec_from_file_location("textual_image_tgp", Path(folder, "renderable", "tgp.py"))
    if spec is None or spec.loader is None:
        raise ImportError("textual-image is not as it was")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
