"""Curves drawn in characters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rich.cells import cell_len
from rich.text import Text

from tui.drawing.text import told_apart
from tui.drawing.theme import GREY, GROUND, Colour, rgb

Point = tuple[float, float]
LABEL_WIDTH = 7
"""Cells for the numbers at the left, the same in every chart so that stacked charts line up."""
SIGN = 4
"""Cells before a name in the legend."""
LOW = 5
"""Rows below which the curves get all of them: the x axis with its numbers would take two."""
NEAR = 1.7
"""How many times more or fewer numbers than asked for may stand at the x axis where they then stand evenly."""
FEWEST = 8
"""Cells of a name below which it is rather left out of the legend than cut."""


@dataclass(frozen=True)
class Series:
    """One curve: points (x, y) in order of x. ``name`` and ``value`` stand in the legend, the value where it fits.

    ``marker``: how a single point is drawn, and where the line is ``marks`` every one. ``band``: (x, low, high) in
    order of x, an area behind all curves.
    """

    name: str
    points: tuple[Point, ...]
    colour: Colour
    line: Literal["solid", "dotted", "marks"] = "solid"
    value: str = ""
    marker: str = "•"
    band: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Curves:
    """Everything that a chart shows. ``x`` and ``y`` are the ranges of its axes; later series lie over earlier ones.

    ``y_label`` and ``x_label`` put a number on an axis into words; ``x_marks``: where these stand, if it matters;
    ``whole_x``: only whole numbers stand at the x axis;
    ``logarithmic``: equal steps of the y axis are equal ratios (``y`` must be positive). ``empty``: said where there
    are no points.
    """

    title: str
    series: tuple[Series, ...]
    x: tuple[float, float]
    y: tuple[float, float]
    y_label: Callable[[float], str]
    x_label: Callable[[float], str] = "{:.0f}".format
    x_marks: tuple[float, ...] = ()
    whole_x: bool = True
    logarithmic: bool = False
    empty: str = "nothing yet"


def draw(curves: Curves, width: int, height: int) -> Text:
    """The chart with its title line as text of exactly ``height`` lines of at most ``width`` cells."""
    title = legend(curves, width)
    drawn = [series for series in curves.series if series.points]
    rows = height - 1
    if not drawn or rows < 2 or width < LABEL_WIDTH + 8:
        message = "" if drawn else curves.empty
        pad = "\n" * max(0, rows // 2)
        rest = "\n" * max(0, rows - rows // 2 - 1)
        return Text.assemble(title, "\n" if rows else "", pad, (" " * (LABEL_WIDTH + 2) + message, "dim"), rest)
    return Text.assemble(title, "\n", _plot(curves, drawn, width, rows))


def relabelled(drawn: Text, curves: Curves, width: int) -> Text:
    """What :func:`draw` made of curves that differ from these in values of the legend alone, with theirs."""
    _, canvas = drawn.divide([len(drawn.plain.partition("\n")[0])])
    return Text.assemble(legend(curves, width), canvas)


def are_drawn_alike(one: Curves, other: Curves) -> bool:
    """Whether nothing but values in the legend differs."""
    return _without_values(one) == _without_values(other)


def _without_values(curves: Curves) -> Curves:
    return replace(curves, series=tuple(replace(series, value="") for series in curves.series))


def legend(curves: Curves, width: int) -> Text:
    """The title and what each line means: with values if they fit in ``width`` cells, else without; names that have no
    room are cut, and of very many the last ones are left out, which dots say.

    A curve without a name is left out.
    """
    named = [series for series in curves.series if series.name]
    for gap in (2, 1):
        with_values = _legend(curves.title, named, True, gap)
        if with_values.cell_len <= width:
            return with_values
    for number in range(len(named), 0, -1):
        dots = " …" if number < len(named) else ""
        text = _legend(curves.title, _cut(named[:number], width - cell_len(curves.title + dots)), False)
        text.append(dots, rgb(GREY))
        if text.cell_len <= width:
            return text
    text = Text(curves.title, "bold", no_wrap=True)
    text.truncate(width)
    return text


def _cut(series: Sequence[Series], width: int) -> list[Series]:
    """The series with names that have room in so many cells together, none shorter than a person can still read."""
    names = [one.name for one in series]
    room = max(FEWEST, width // len(series) - SIGN)
    while room < max(map(cell_len, names)) and sum(min(cell_len(name), room + 1) + SIGN for name in names) <= width:
        room += 1
    return [replace(one, name=name) for one, name in zip(series, told_apart(names, room), strict=True)]


def _legend(title: str, series: Sequence[Series], values: bool, gap: int = 2) -> Text:
    text = Text.assemble((title, "bold"), no_wrap=True)
    for one in series:
        sign = "━" if one.line == "solid" else "┄"
        text.append(f"{' ' * gap}{sign} ", rgb(one.colour))
        text.append(f"{one.name} {one.value}".rstrip() if values else one.name, rgb(GREY))
    return text


def thinned(points: Sequence[Point], buckets: int) -> list[Point]:
    """At most ``2 * buckets`` of the points, in order: the lowest and the highest of every bucket."""
    if len(points) <= 2 * buckets:
        return list(points)
    kept: list[Point] = []
    for number in range(buckets):
        part = points[number * len(points) // buckets : (number + 1) * len(points) // buckets]
        low, high = min(part, key=_y), max(part, key=_y)
        kept += sorted({low, high})
    return kept


def _y(point: Point) -> float:
    return point[1]


def steps(values: Sequence[float], axis: Point, first: int = 1, each: int = 1, end: float = 0.5) -> tuple[Point, ...]:
    """A staircase: each value holds half an epoch before its own and half an epoch after it, as far as the ``axis``
    goes, with nothing between two values.

    ``first``: the first one's epoch, counted in ``each``, which is how many epochs a value stands for. ``end``: how far
    behind its number on the axis an epoch ends.
    """
    return tuple(
        (min(max((number + half) * each + end, axis[0]), axis[1]), value)
        for number, value in enumerate(values, start=first)
        for half in (-1, 0)
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """Whole numbers from ``low`` to ``high``, about ``count`` of them, both ends too, and evenly if that can be."""
    first, last = math.ceil(low), math.floor(high)
    if last <= first:
        return [float(first)]
    span, between = last - first, max(1, count - 1)
    near = range(math.ceil(between / NEAR), math.floor(between * NEAR) + 1)
    even = [span // parts for parts in near if span % parts == 0]
    step = min(even, key=lambda step: abs(step - span / between), default=max(1, round(span / between)))
    inner = [float(number) for number in range(first, last, step)]
    return [number for number in inner if last - number >= step * 0.7 or number == first] + [float(last)]


def decades(bottom: float, top: float) -> list[float]:
    """Whole powers of ten between two exponents, five at most, the outermost among them; the ends where none is."""
    first, last = math.ceil(bottom - 1e-9), math.floor(top + 1e-9)
    if last <= first:
        return [bottom, top]
    step = math.ceil((last - first) / 4)
    return [float(power) for power in range(last, first - 1, -step)][::-1]


def _plot(curves: Curves, drawn: Sequence[Series], width: int, rows: int) -> Text:
    """The canvas and its axes, by plotext. Its figure is global: only the app's own thread may draw."""
    import plotext  # noqa: PLC0415 - the first paint does not wait for it

    scale: Callable[[float], float] = math.log10 if curves.logarithmic else float
    columns = width - LABEL_WIDTH - 1
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plot_size(width, rows)
    plotext.theme("clear")
    plotext.xaxes(rows >= LOW, False)
    plotext.yaxes(True, False)
    bottom, top = scale(curves.y[0]), scale(curves.y[1])
    for series in drawn:
        if area := filled(series.band, curves.x, (bottom, top), columns, rows):
            plotext.scatter(*_axes(area), marker="braille", color=faint(series.colour))
    for series in drawn:
        points = [(x, min(max(scale(y), bottom), top)) for x, y in thinned(series.points, columns)]
        if series.line == "dotted" and len(points) > 1:
            points = _dots(points, curves.x, columns, (top - bottom) / max(1, rows - 2))
            plotext.scatter(*_axes(points), marker="braille", color=series.colour)
        elif len(points) > 1 and series.line == "solid":
            plotext.plot(*_axes(points), marker="braille", color=series.colour)
        else:
            plotext.scatter(*_axes(points), marker=series.marker, color=series.colour)
    plotext.xlim(*curves.x)
    plotext.ylim(bottom, top)
    _label_axes(plotext, curves, bottom, top, columns, rows)
    return Text.from_ansi(plotext.build().rstrip("\n"), style=rgb(GREY), no_wrap=True)


def _label_axes(plotext: object, curves: Curves, bottom: float, top: float, columns: int, rows: int) -> None:
    places = decades(bottom, top) if curves.logarithmic else [bottom, (bottom + top) / 2, top]
    if rows < LOW:
        places = [places[0], places[-1]]
    values = [10**place if curves.logarithmic else place for place in places]
    plotext.yticks(places, [f"{curves.y_label(value):>{LABEL_WIDTH}}" for value in values])  # type: ignore[attr-defined]
    if rows < LOW:
        plotext.xticks([])  # type: ignore[attr-defined]
        return
    low, high = curves.x
    marks = ticks(low, high, columns // 10) if curves.whole_x else [low, (low + high) / 2, high]
    marks = list(curves.x_marks) or marks
    plotext.xticks(marks, [curves.x_label(mark) for mark in marks])  # type: ignore[attr-defined]


def filled(band: Sequence[tuple[float, float, float]], x: Point, y: Point, columns: int, rows: int) -> list[Point]:
    """Points that fill the area between low and high, one a dot of a canvas of so many cells with these axes."""
    across, up = (x[1] - x[0]) / max(1, 2 * columns - 1), (y[1] - y[0]) / max(1, 4 * rows - 1)
    points: list[Point] = []
    for (x0, low0, high0), (x1, low1, high1) in pairwise(band):
        for number in range(math.ceil((x0 - x[0]) / across - 1e-9), math.floor((x1 - x[0]) / across + 1e-9) + 1):
            at = x[0] + number * across
            share = (at - x0) / (x1 - x0) if x1 > x0 else 0.0
            low, high = low0 + share * (low1 - low0), high0 + share * (high1 - high0)
            first = math.ceil((max(low, y[0]) - y[0]) / up - 1e-9)
            last = math.floor((min(high, y[1]) - y[0]) / up + 1e-9)
            points += [(at, y[0] + dot * up) for dot in range(first, last + 1)]
    return points


def faint(colour: Colour) -> Colour:
    """The colour of an area that lies behind a curve of this colour."""
    red, green, blue = (round(0.38 * value + 0.62 * ground) for value, ground in zip(colour, GROUND, strict=True))
    return red, green, blue


def _axes(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _dots(points: Sequence[Point], span: Point, columns: int, row: float) -> list[Point]:
    """Points along the line through ``points``, so that it looks dotted: one a column of the canvas, where it is steep
    one a ``row``, which is given as what it stands for on the y axis. A log may say that it leaves the canvas.
    """
    distance = (span[1] - span[0]) / max(1, columns - 1)
    dots: list[Point] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 <= x0:
            continue
        number = math.ceil((max(x0, span[0]) - span[0]) / distance - 1e-9)
        while (x := span[0] + number * distance) <= min(x1, span[1]) + 1e-9:
            dots.append((x, y0 + (y1 - y0) * (x - x0) / (x1 - x0)))
            number += 1
        steep = int(abs(y1 - y0) / row) if row > 0 else 0
        if steep > (x1 - x0) / distance:
            dots += [(x0 + (x1 - x0) * part / steep, y0 + (y1 - y0) * part / steep) for part in range(steep + 1)]
    return dots or list(points)
