"""The comparison as a table of text, an aspect a line, a strategy or run a column; for the terminal and the exports."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from engine.comparison.cells import (
    distinct,
    epochs,
    from_to,
    hardware,
    multiply_adds,
    optimizer,
    parameters,
    states,
    to_target,
    turns,
    weights,
    what_trains,
)
from engine.comparison.columns import Column, are_probes, best, comparable, is_spread, scored, with_result
from engine.comparison.measured_parts import PART_WORDS, MeasuredPart
from engine.comparison.rows import Comparison, Row, of_part
from engine.comparison.score_names import SCORES, Better, Score
from engine.comparison.strategy_means import interval
from engine.data.leaks import is_far_above
from engine.logs.events import Leak
from engine.units import (
    UNKNOWN,
    duration,
    energy,
    percent,
    points,
    size,
    speed,
    spread,
    three_digits,
)

if TYPE_CHECKING:
    from engine.comparison.scores import ClassScores

Value = Callable[[Row], float | None]
TITLES: dict[MeasuredPart, str] = {"test": "Test: at the best epoch", "val": "Validation: best epoch"}
"""Of the sections that tell what was measured on a part."""
GROUPS_ALONE = "  groups alone, no pixels"
"""The line that tells what groups in two parts give away."""
MOST_CLASSES = 8
"""Classes that have a line of their own; of more, those that are found worst."""


class Aspect(Struct, frozen=True):
    """A line of the table: a value a column, in words, and which are the best (none where that means nothing)."""

    title: str
    values: tuple[str, ...]
    best: tuple[bool, ...]


class Section(Struct, frozen=True):
    """Lines that belong together."""

    title: str
    lines: tuple[Aspect, ...]


def sections(comparison: Comparison, shown: Sequence[Column]) -> tuple[Section, ...]:
    """Every line of the table with these columns, in groups; lines and groups that have nothing to say are left out."""
    made = [
        Section("", (_words("state", shown, states),)),
        _result(comparison, shown, "test"),
        _result(comparison, shown, "val"),
        _classes(shown),
        _overfitting(shown),
        _cost(shown),
        _trained(shown),
    ]
    if not comparable(comparison, shown):
        made = [replace(one, lines=tuple(map(_without_best, one.lines))) for one in made]
    return tuple(section for section in made if section.lines)


def images(comparison: Comparison, train: str, val: str, between: str) -> str:
    """How many images there are to train and to validate, of parts that are called so, or in folds, and to test."""
    data = comparison.data
    told = [f"{data.train:,} {train}", f"{data.val:,} {val}"]
    if data.folds:
        told = [f"{data.train + data.val:,} images in {data.folds} folds"]
    if data.test:
        told.append(f"{data.test:,} test")
    return between.join(told) + ("" if data.folds and not data.test else " images")


def _result(comparison: Comparison, shown: Sequence[Column], part: MeasuredPart) -> Section:
    if part == "test" and all(row.test_accuracy is None for row in comparison.runs):
        return Section("", ())
    about = comparison.positive or "one vs rest"
    lines = [
        _number(f"{PART_WORDS[part]} accuracy", shown, lambda row: of_part(row, part).accuracy, percent, "higher"),
        *_accuracy_range(comparison, shown, part),
        *_leak(comparison.leak if part == "val" else comparison.test_leak, shown),
        _number("log loss", shown, lambda row: of_part(row, part).loss, three_digits, "lower"),
    ]
    for one in SCORES:
        title = f"{one.title} ({about})" if one.of_positive else one.title
        text = percent if one.as_percent else three_digits
        lines += _told([_number(title, shown, _scored(part, one, comparison.positive), text, one.better)])
    return Section(TITLES[part], tuple(lines))


def _leak(leak: Leak | None, shown: Sequence[Column]) -> list[Aspect]:
    """What an accuracy is worth where groups of images that are in training too give the labels away."""
    if leak is None or not is_far_above(leak):
        return []
    return [Aspect(GROUPS_ALONE, (percent(leak.no_pixels),) * len(shown), (False,) * len(shown))]


def _scored(part: MeasuredPart, score: Score, positive: str) -> Value:
    def value(row: Row) -> float | None:
        found = of_part(row, part).scores
        # other data may have another positive class: its measures do not belong in a line that names this one
        if found is None or (score.of_positive and found.positive != positive):
            return None
        measure: float | None = getattr(found, score.name)
        return measure

    return value


def _classes(shown: Sequence[Column]) -> Section:
    """Recall and precision of each class: of the test part where every run was tested, else of validation."""
    part, by_column = scored(shown)
    by_name: dict[str, list[ClassScores]] = {}
    for one in (one for known in by_column for found in known for one in found.classes):
        by_name.setdefault(one.name, []).append(one)
    recalls = {name: _mean(one.recall for one in found) for name, found in by_name.items()}
    worst = sorted(by_name, key=lambda name: math.inf if (recall := recalls[name]) is None else recall)[:MOST_CLASSES]
    lines = []
    for name in (name for name in by_name if name in worst):
        values = []
        for known in by_column:
            found = [one for scores in known for one in scores.classes if one.name == name]
            both = (_mean(one.recall for one in found), _mean(one.precision for one in found))
            values.append(
                " / ".join(UNKNOWN if value is None else percent(value) for value in both) if found else UNKNOWN
            )
        images = from_to(sorted({one.support for one in by_name[name]}))
        lines.append(Aspect(f"{name} ({images})", tuple(values), (False,) * len(shown)))
    of_worst = f", worst {MOST_CLASSES}" if len(by_name) > MOST_CLASSES else ""
    return Section(f"Recall / precision ({part}{of_worst})", tuple(lines))


def _overfitting(shown: Sequence[Column]) -> Section:
    lines = [
        _number("training accuracy", shown, lambda row: row.train_accuracy, percent, None),
        _number("generalisation gap", shown, lambda row: row.generalisation_gap, points, None),
        _words("validation loss rose", shown, turns),
    ]
    return Section("Overfitting", tuple(lines))


def _cost(shown: Sequence[Column]) -> Section:
    memory: list[tuple[str, Value]] = [
        ("peak CUDA allocated", lambda row: row.peak_allocated_bytes),
        ("peak CUDA reserved", lambda row: row.peak_reserved_bytes),
        ("peak of the whole GPU", lambda row: row.peak_device_bytes),
    ]
    inflated = any(row.ran_beside_another for column in shown for row in column.rows)
    shorter: Better | None = None if inflated else "lower"
    lines = [
        _number("total time", shown, lambda row: row.seconds_total, duration, shorter),
        *_told(
            [
                _number(
                    "  of it, cached features", shown, lambda row: row.seconds_of_found_features or None, duration, None
                )
            ]
        ),
        _number("time per epoch", shown, lambda row: row.seconds_per_epoch, duration, shorter),
        *_told([_words("to 95 % of best other", shown, to_target)]),
        _number("training speed", shown, lambda row: row.images_per_second, speed, None if inflated else "higher"),
        _number("CPU time", shown, lambda row: row.cpu_seconds, duration, "lower"),
        *_told([_number("GPU energy", shown, lambda row: row.joules, energy, shorter)]),
        # no best one: it holds what the process needed before the run
        *_told([_number("peak process RSS", shown, lambda row: row.peak_rss_bytes, size, None)]),
        *_told([_number(title, shown, value, size, "lower") for title, value in memory]),
        *_told([_number("  before the run", shown, lambda row: row.memory_at_start_bytes, size, None)]),
        *_told([_number("  added by the run", shown, lambda row: row.memory_added, size, None)]),
    ]
    return Section("Cost", tuple(lines))


def _trained(shown: Sequence[Column]) -> Section:
    lines = [
        _words("backbone", shown, lambda rows: distinct(row.backbone for row in rows)),
        _words("trains", shown, what_trains),
        _words("optimizer", shown, optimizer),
        _words("pretrained weights", shown, lambda rows: distinct(map(weights, rows))),
        _words("trainable parameters", shown, lambda rows: distinct(map(parameters, rows))),
        *_told([_words("multiply-adds per image", shown, lambda rows: distinct(map(multiply_adds, rows)))]),
        _words("epochs (best)", shown, epochs),
        _words("precision, device", shown, lambda rows: distinct(map(hardware, rows))),
    ]
    return Section("What was trained", tuple(lines))


def _without_best(line: Aspect) -> Aspect:
    return replace(line, best=(False,) * len(line.best))


def _told(lines: Iterable[Aspect]) -> list[Aspect]:
    return [line for line in lines if any(value != UNKNOWN for value in line.values)]


def _words(title: str, shown: Sequence[Column], text: Callable[[Sequence[Row]], str]) -> Aspect:
    return Aspect(title, tuple(text(column.rows) for column in shown), (False,) * len(shown))


def _number(
    title: str,
    shown: Sequence[Column],
    value: Value,
    text: Callable[[float], str],
    better: Better | None,
) -> Aspect:
    """A line of numbers, of several runs the mean ± standard deviation; the best of those with a result."""
    values, means = [], []
    for column in shown:
        rows = with_result(column.rows)
        known = [number for row in rows if (number := value(row)) is not None]
        if is_spread(known, are_probes(rows)):
            values.append(spread(mean(known), stdev(known), text))
        else:
            values.append(text(known[0]) if known else UNKNOWN)
        means.append(mean(known) if known and any(row.has_result for row in rows) else None)
    return Aspect(title, tuple(values), best(means, text, better))


def _accuracy_range(comparison: Comparison, shown: Sequence[Column], part: MeasuredPart) -> list[Aspect]:
    """The lines below an accuracy: of several runs the least and the most, and the 95 % interval, of several that of
    their mean.
    """

    def spread_of(rows: Sequence[Row]) -> str:
        known = [number for row in rows if (number := of_part(row, part).accuracy) is not None]
        return f"{percent(min(known))} to {percent(max(known))}" if is_spread(known, are_probes(rows)) else UNKNOWN

    def interval_of(rows: Sequence[Row]) -> str:
        ends = interval(rows, comparison, part)
        return UNKNOWN if ends is None else f"{percent(ends[0])} to {percent(ends[1])}"

    return _told([_words("  range over runs", shown, spread_of), _words("  95 % interval", shown, interval_of)])


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None
