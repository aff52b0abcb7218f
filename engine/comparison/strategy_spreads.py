"""A strategy's measures over all its runs: mean, standard deviation and range. Imports without numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from msgspec import Struct

from engine.comparison.columns import columns, with_result
from engine.comparison.measured_parts import PART_WORDS
from engine.comparison.rows import Comparison, Row, of_part
from engine.comparison.score_names import SCORES

ROW_MEASURES = (
    "val_accuracy",
    "val_loss",
    "test_accuracy",
    "test_loss",
    "train_accuracy",
    "generalisation_gap",
    "best_epoch",
    "seconds_total",
    "seconds_per_epoch",
    "seconds_to_target",
    "cpu_seconds",
    "images_per_second",
    "joules",
    "peak_memory_bytes",
)


class Spread(Struct, frozen=True):
    """A measure over ``runs`` runs; ``deviation`` is the sample standard deviation, None of a single run."""

    mean: float
    deviation: float | None
    least: float
    most: float
    runs: int


class StrategySummary(Struct, frozen=True):
    """A strategy's measures over its runs, by the name that they have in a row or, of its scores, in the CSV."""

    strategy: str
    runs: int
    measures: dict[str, Spread]


def summaries(comparison: Comparison) -> tuple[StrategySummary, ...]:
    """Every strategy over its runs; measures that no run has are left out."""
    return tuple(
        StrategySummary(column.title, len(column.rows), _measures(with_result(column.rows)))
        for column in columns(comparison)
    )


def _measures(rows: Sequence[Row]) -> dict[str, Spread]:
    values: dict[str, list[float | None]] = {name: [getattr(row, name) for row in rows] for name in ROW_MEASURES}
    for part in PART_WORDS:
        scores = [of_part(row, part).scores for row in rows]
        values |= {f"{part}_{kind.name}": [getattr(one, kind.name, None) for one in scores] for kind in SCORES}
    return {name: spread for name, spread in _spreads(values).items() if spread is not None}


def _spreads(values: Mapping[str, Sequence[float | None]]) -> dict[str, Spread | None]:
    return {name: _spread([number for number in numbers if number is not None]) for name, numbers in values.items()}


def _spread(known: Sequence[float]) -> Spread | None:
    if not known:
        return None
    deviation = stdev(known) if len(known) > 1 else None
    return Spread(mean(known), deviation, min(known), max(known), len(known))
