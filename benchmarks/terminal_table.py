"""What ``benchmarks/terminal.py`` measured, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import geometric_mean, median, quantiles

from benchmarks.report import spread, table

SIDES = ("the app", "tl-tui run")
BESIDE = ", beside training"
"""After the name of a side: what its threads use that do not train, in processor seconds a second."""
FIRST = {side: f"{side} first" for side in SIDES}
"""What stands for the terminal's size where both sides train: which of them was started first."""
STARTS = ("first paint", "every field, data counted", "ready", "bare app, first paint")


@dataclass
class Measured:
    """Every single value, by what was measured and the terminal's size, or one of :data:`FIRST`, or nothing."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, what: str, size: str, *values: float) -> None:
        """Adds values in seconds, bytes a second, images a second or processor seconds a second."""
        self.values.setdefault((what, size), []).extend(values)

    def of(self, what: str, size: str) -> list[float]:
        """The values; none where it was not measured."""
        return self.values.get((what, size), [])


def tables(measured: Measured, sizes: Sequence[str]) -> list[str]:
    """Markdown tables: start-up, keys, bytes, throughput; without the rows that were not measured."""
    names = list(dict.fromkeys(what for what, _ in measured.values))
    start = [what for what in names if what in STARTS]
    keys = [what for what in names if "key" in what]
    wire = [what for what in names if what.startswith(("idle,", "training,"))]
    commands = [what for what in names if what.startswith("tl-tui -") or what in ("tl-tui runs", "tl-tui presets")]
    parts = [
        _sized(["seconds", *sizes], start, lambda what, size: spread(measured.of(what, size), ".2f")),
        _keys(measured, keys, sizes),
        _sized(["bytes a second", *sizes], wire, lambda what, size: spread(measured.of(what, size), ".0f")),
        _sized(["seconds", "no screen"], commands, lambda what, _: spread(measured.of(what, ""), ".2f")),
        _throughput(measured),
    ]
    return [part for part in parts if part]


def _sized(head: Sequence[str], names: Sequence[str], cell: Callable[[str, str], str]) -> str:
    return table(head, [[what, *(cell(what, size) for size in head[1:])] for what in names]) if names else ""


def _keys(measured: Measured, names: Sequence[str], sizes: Sequence[str]) -> str:
    rows = []
    for what in names:
        for size in sizes:
            values = measured.of(what, size)
            if len(values) > 1:
                cuts = quantiles(values, n=100, method="inclusive")
                ranks = (cuts[49], cuts[94], cuts[98], max(values))
                rows.append([f"{what}, {size}", str(len(values)), *(f"{1000 * rank:.1f}" for rank in ranks)])
    return table(["key to screen, milliseconds", "keys", "p50", "p95", "p99", "most"], rows) if rows else ""


def _throughput(measured: Measured) -> str:
    """By which of the two was started first, and the geometric mean of both ratios, in which that cancels out; below,
    what the threads of each use that do not train.
    """
    rows, ratios = [], []
    for first in SIDES:
        app, alone = (measured.of(what, FIRST[first]) for what in SIDES)
        if found := [ours / theirs for ours, theirs in zip(app, alone, strict=False)]:  # the last turn may have failed
            ratios.append(median(found))
            rows.append([f"{first} was started first", spread(app, ".0f"), spread(alone, ".0f"), spread(found, ".3f")])
    if not rows:
        return ""
    if len(ratios) == len(SIDES):
        rows.append(["both", "", "", f"{geometric_mean(ratios):.3f}"])
    used = ([1000 * one for first in FIRST.values() for one in measured.of(what + BESIDE, first)] for what in SIDES)
    rows.append(["threads that do not train, ms of a core a second", *(spread(values, ".1f") for values in used), ""])
    return table(["resnet18, images a second", *SIDES, "ratio, turn by turn"], rows)
