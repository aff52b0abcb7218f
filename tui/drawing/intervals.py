"""Intervals as horizontal lines, ``├───●───┤``, those that belong together on one scale. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.text import Text

from tui.drawing.theme import GREY, Colour, rgb

Ends = tuple[float, float]
"""The lower one and the higher one."""
LINE, LEFT, RIGHT, MARK, ZERO = "─", "├", "┤", "●", "0"
STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""What both ends of a scale are a multiple of: the least of which it has at most ten, else the last."""


def scale_of(intervals: Iterable[Ends]) -> Ends:
    """The scale (0..1) on which all of the intervals of an accuracy (0..1) have room; all there is where none is."""
    ends = [end for both in intervals for end in both]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    step = next((step for step in STEPS if high - low <= 10 * step), STEPS[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:  # an interval without width still lies on a scale
        first, last = (first - 1, last) if last * step >= 1 else (first, last + 1)
    return max(0.0, first * step), min(1.0, last * step)


def scale_in_words(scale: Ends, width: int) -> str:
    """Both ends of a scale of accuracies (0..1) in per cent, above the cells that they stand for."""
    low, high = (f"{100 * end:.1f}".removesuffix(".0") for end in scale)
    return f"{low}{high:>{max(len(high) + 1, width) - len(low)}}"


def drawn(ends: Ends, value: float, scale: Ends, width: int) -> str:
    """An interval with a mark at its value, in exactly ``width`` cells of which the first and the last are the ends of
    the scale. Where several fall into a cell, the mark is seen.
    """
    cells = [" "] * width
    low, high = (_cell(end, scale, width) for end in ends)
    cells[low : high + 1] = [LEFT, *[LINE] * (high - low - 1), RIGHT] if high > low else [MARK]
    cells[_cell(value, scale, width)] = MARK
    return "".join(cells)


def beside_zero(ends: Ends, value: float, width: int, colours: tuple[Colour, Colour]) -> Text:
    """The interval of a difference and where zero is, in exactly ``width`` cells, 5 at least: ``├──0────●───┤``.

    Zero is seen between the ends only where it is, however near it is to one. ``colours``: below zero and above.
    """
    low, high = min(0.0, *ends), max(0.0, *ends)
    scale = (low, high) if high > low else (-1.0, 1.0)
    zero = max(2 * (ends[0] < 0), min(width - 1 - 2 * (ends[1] > 0), _cell(0.0, scale, width)))
    first, last = (_off(_cell(end, scale, width), end, zero) for end in ends)
    mark = min(max(_off(_cell(value, scale, width), value, zero), first), last)
    cells = [" "] * width
    cells[first : last + 1] = [LEFT, *[LINE] * (last - first - 1), RIGHT] if last > first else [MARK]
    cells[zero], cells[mark] = ZERO, MARK
    text, said = Text(no_wrap=True), "".join(cells)
    text.append(said[:zero], f"bold {rgb(colours[0])}")
    text.append(said[zero], f"bold {rgb(GREY)}" if said[zero] == ZERO else "bold")
    return text.append(said[zero + 1 :], f"bold {rgb(colours[1])}")


def _cell(value: float, scale: Ends, width: int) -> int:
    """The cell whose middle is nearest."""
    low, high = scale
    return max(0, min(width - 1, round((value - low) / (high - low) * (width - 1))))


def _off(cell: int, value: float, zero: int) -> int:
    """The cell, or one beside that of zero, on the value's side."""
    return min(cell, zero - 1) if value < 0 else max(cell, zero + 1) if value > 0 else zero
