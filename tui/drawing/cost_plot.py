"""Accuracy against what it costs: a mark a strategy, with the 95 % interval of its accuracy. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Literal

from rich.text import Text

from engine.comparison.columns import columns
from engine.comparison.rows import RSS, Comparison, Row, memory_of, of_part
from engine.comparison.strategy_means import interval, part
from engine.text import shown
from engine.units import UNKNOWN, duration, percent, size
from tui.drawing.curves import accuracy_axis
from tui.drawing.plot import Curves, Series
from tui.drawing.text import told_apart
from tui.drawing.theme import GREY, Colour, rgb, strategy_colours

Cost = Literal["time", "memory", "CPU time"]
COSTS: dict[Cost, tuple[Callable[[Row], float | None], Callable[[float], str]]] = {
    "time": (lambda row: row.seconds_total, duration),
    "memory": (memory_of, size),
    "CPU time": (lambda row: row.cpu_seconds, duration),
}
MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ROWS = 100
WORTH_A_LOG = 8
"""Costs that differ by more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Mark:
    """A strategy: the mean accuracy (0..1) of its ``runs`` that have one, and both ends of its 95 % interval; the mean
    cost of those of which it is known. What is not known is None.
    """

    letter: str
    strategy: str
    accuracy: float
    ends: tuple[float, float] | None
    cost: float | None
    colour: Colour
    runs: int


def marks(comparison: Comparison, cost: Cost) -> tuple[Mark, ...]:
    """The strategies of which an accuracy is known; test accuracy where that is compared."""
    value, _ = COSTS[cost]
    found, measured_on = [], part(comparison)
    colours = strategy_colours(row.strategy for row in comparison.runs)
    for number, column in enumerate(columns(comparison)):
        known = [(row, accuracy) for row in column.rows if (accuracy := of_part(row, measured_on).accuracy) is not None]
        if not known:
            continue
        costs = [spent for row, _ in known if (spent := value(row)) is not None]
        found.append(
            Mark(
                MARKS[number % len(MARKS)],
                column.title,
                mean(accuracy for _, accuracy in known),
                interval(column.rows, comparison, measured_on),
                mean(costs) if costs else None,
                colours[column.title],
                len(known),
            )
        )
    return tuple(found)


def in_words(cost: Cost, comparison: Comparison) -> str:
    """What the cost is: of the process's memory what a run added."""
    is_added = cost == "memory" and any(row.memory_kind == RSS for row in comparison.runs)
    return "memory a run added" if is_added else cost


def curves(found: Sequence[Mark], cost: Cost) -> Curves:
    """The marks of known cost as a chart: an upright line an interval, a letter where the accuracy is."""
    _, text = COSTS[cost]
    drawn = [(mark, mark.cost) for mark in found if mark.cost is not None]
    costs = [spent for _, spent in drawn if spent > 0]
    least, most = min(costs, default=1.0), max(costs, default=1.0)
    logarithmic = most > WORTH_A_LOG * least
    place: Callable[[float], float] = (lambda value: math.log10(max(value, least / 2))) if logarithmic else float
    margin = 0.08 * (place(most) - place(least)) if logarithmic else 0.08 * most
    left = place(least) - margin if logarithmic else 0.0
    lines = [
        Series("", _upright(place(spent), *one.ends), one.colour, "marks", marker="│")
        for one, spent in drawn
        if one.ends
    ]
    letters = [Series("", ((place(spent), one.accuracy),), one.colour, marker=one.letter) for one, spent in drawn]
    right = place(most) + margin
    gap = (right - left) / 8
    x_marks: list[float] = []
    for at in sorted(place(spent) for _, spent in drawn):
        if not x_marks or at - x_marks[-1] >= gap:
            x_marks.append(at)
    scale = " (log scale)" if logarithmic else ""
    return Curves(
        f"accuracy vs. {cost}{scale}",
        (*lines, *letters),
        (left, right),
        accuracy_axis(mark.ends[0] if mark.ends else mark.accuracy for mark, _ in drawn),
        "{:.0%}".format,
        x_label=(lambda value: text(10**value)) if logarithmic else (lambda value: text(value) if value else "0"),
        x_marks=tuple(x_marks),
        whole_x=False,
        empty="not known of any run" if found else "no run has a result yet",
    )


def _upright(x: float, low: float, high: float) -> tuple[tuple[float, float], ...]:
    """The interval as points, more than there can be rows."""
    return tuple((x, low + (high - low) * step / ROWS) for step in range(ROWS + 1))


def key(found: Sequence[Mark], cost: Cost, width: int) -> Text:
    """What the letters mean, a line each of at most ``width`` cells."""
    _, text = COSTS[cost]
    found = sorted(found, key=lambda one: -one.accuracy)
    strategies = [shown(mark.strategy, 160) for mark in found]
    room = max(10, min(max(map(len, strategies), default=0), width - 44))
    lines = []
    for mark, said in zip(found, told_apart(strategies, room), strict=True):
        name = Text(said)
        name.truncate(room, overflow="ellipsis", pad=True)
        ends = "–".join(f"{100 * end:.1f}" for end in mark.ends or ()) or UNKNOWN
        several = f" ×{mark.runs}" if mark.runs > 1 else "   "
        line = Text.assemble(
            (f"{mark.letter} ", f"bold {rgb(mark.colour)}"),
            name,
            (several, rgb(GREY)),
            (f"  {percent(mark.accuracy):>7}", "bold"),
            (f"  {ends:<9}", rgb(GREY)),
            f"  {UNKNOWN if mark.cost is None else text(mark.cost):>9}",
        )
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return Text("\n", no_wrap=True).join(lines)
