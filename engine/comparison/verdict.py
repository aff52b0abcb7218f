"""What a comparison says, in plain sentences derived from its numbers. Imports without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

from msgspec import Struct

from engine.comparison.rows import Comparison, Row, accuracy_interval
from engine.comparison.units import percent

NOTICEABLE = 1.2
"""A time or a memory that is this many times another's is worth a word."""


class Measured(Struct, frozen=True):
    """A strategy's means over its seeds; ``memory``: the peak less what was in use when the run began, in bytes."""

    strategy: str
    accuracy: float
    low: float
    high: float
    gap: float
    total_seconds: float
    memory: float
    random_weights: bool


class Choice(Struct, frozen=True):
    """When a strategy is the better choice, as far as this comparison shows."""

    strategy: str
    sentence: str


def measured(comparison: Comparison) -> list[Measured]:
    """The strategies that have a result, most accurate first."""
    names = dict.fromkeys(row.strategy for row in comparison.runs)
    results = [_measured([row for row in comparison.runs if row.strategy == name], comparison) for name in names]
    return sorted((result for result in results if result), key=lambda result: -result.accuracy)


def verdict(comparison: Comparison) -> str:
    """One or two sentences: which strategy is more accurate, whether this many images can show it, and the cost."""
    if comparison.data_differs:
        return f"No verdict: {comparison.data_differs}."
    results = measured(comparison)
    if not results:
        return "No run has a result yet."
    first, *rest = results
    images = comparison.data.val
    if not rest:
        return (
            f"{first.strategy} reaches {percent(first.accuracy)} on {images} validation images "
            f"(95 % interval {percent(first.low)} to {percent(first.high)}); there is nothing to compare it with."
        )
    second = rest[0]
    numbers = (
        f"{first.strategy} reaches {percent(first.accuracy)} and {second.strategy} {percent(second.accuracy)} "
        f"on {images} validation images"
    )
    if separable(first, second):
        said = f"{numbers}: {first.strategy} is more accurate, beyond what chance explains in this many images."
    elif first.accuracy == second.accuracy:
        said = f"{numbers}: no difference in accuracy."
    else:
        margin = max(first.high - first.low, second.high - second.low) / 2
        said = (
            f"{numbers}: no difference that this data can show, "
            f"since so many images tell an accuracy to about ±{100 * margin:.1f} points."
        )
    return " ".join(part for part in (said, _cost(first, second), _caveat(comparison, results)) if part)


def separable(one: Measured, other: Measured) -> bool:
    """Whether the 95 % intervals of two accuracies do not overlap (a strict test: it errs towards "no")."""
    return one.low > other.high or other.low > one.high


def choices(comparison: Comparison) -> tuple[Choice, ...]:
    """For each strategy with a result, what speaks for it against the others and what does not."""
    results = measured(comparison)
    if len(results) < 2 or comparison.data_differs:
        return ()
    return tuple(Choice(result.strategy, _choice(result, results)) for result in results)


def _choice(mine: Measured, results: Sequence[Measured]) -> str:
    others = [result for result in results if result is not mine]
    best_other = max(others, key=lambda other: other.accuracy)
    reasons = []
    difference = 100 * (mine.accuracy - best_other.accuracy)
    if difference > 0:
        sure = "" if separable(mine, best_other) else ", which this many images cannot confirm"
        reasons.append(f"accuracy counts most (+{difference:.1f} points{sure})")
    reasons += _cheaper(mine, others, "time counts", lambda result: result.total_seconds, "of the time")
    reasons += _cheaper(
        mine, others, "memory is short", lambda result: result.memory, "of the memory beyond the process's own"
    )
    against = f" It overfits: training accuracy is {100 * mine.gap:.1f} points higher." if overfits(mine) else ""
    if not reasons:
        return f"Nothing measured here speaks for it.{against}"
    return f"Choose it when {_either(reasons)}.{against}"


def overfits(result: Measured) -> bool:
    """Whether training accuracy at the best epoch is above what validation can be, by its 95 % interval."""
    return result.accuracy + result.gap > result.high


def _cheaper(
    mine: Measured, others: Sequence[Measured], when: str, cost: Callable[[Measured], float], unit: str
) -> list[str]:
    """The reason, if I cost noticeably less than the cheapest of the others."""
    least = min(cost(other) for other in others)
    if not cost(mine) or least < NOTICEABLE * cost(mine):
        return []
    return [f"{when} ({_share(cost(mine) / least)} {unit})"]


def _cost(first: Measured, second: Measured) -> str:
    if not first.total_seconds or not second.total_seconds:
        return ""
    slow, fast = sorted((first, second), key=lambda result: -result.total_seconds)
    ratio = slow.total_seconds / fast.total_seconds
    if ratio < NOTICEABLE:
        return "They take about the same time."
    return f"{fast.strategy} takes {_share(1 / ratio)} of the time."


def _caveat(comparison: Comparison, results: Sequence[Measured]) -> str:
    if any(result.random_weights for result in results):
        return "Weights were random at the start, so this is no transfer learning."
    if any(row.epochs < row.epochs_planned for row in comparison.runs if row.best_epoch):
        return "Not every run trained all its epochs."
    return ""


def _measured(rows: Sequence[Row], comparison: Comparison) -> Measured | None:
    done = [row for row in rows if row.val_accuracy is not None]
    if not done:
        return None
    accuracy = mean(row.val_accuracy for row in done if row.val_accuracy is not None)
    low, high = accuracy_interval(accuracy, comparison.data.val)
    return Measured(
        strategy=done[0].strategy,
        accuracy=accuracy,
        low=low,
        high=high,
        gap=mean(row.generalisation_gap or 0.0 for row in done),
        total_seconds=mean(row.seconds_total or 0.0 for row in done),
        memory=mean((row.peak_memory_bytes or 0) - (row.memory_at_start_bytes or 0) for row in done),
        random_weights=any(row.weights.startswith("none") for row in done),
    )


def _either(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _share(ratio: float) -> str:
    """A ratio below one in words: ``1/37`` where it is small, else a percentage."""
    return f"1/{round(1 / ratio)}" if ratio < 0.3 else f"{100 * ratio:.0f} %"
