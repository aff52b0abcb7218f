"""What a comparison says, in plain sentences derived from its numbers. Imports without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from engine.comparison.caveats import caveats
from engine.comparison.measured import Measured, images, measured, part, separable
from engine.comparison.rows import Comparison
from engine.comparison.said import PARTS, oriented, sentence
from engine.comparison.units import percent

NOTICEABLE = 1.2
"""A time or a memory that is this many times another's is worth a word."""


class Choice(Struct, frozen=True):
    """When a strategy is the better choice, as far as this comparison shows."""

    strategy: str
    sentence: str


def verdict(comparison: Comparison) -> str:
    """Which of the two most accurate strategies is the better, whether this data can show it, the cost, and caveats.

    On the same images where their predictions are known; else, as while they still train, by the interval of each.
    """
    if comparison.data_differs:
        return f"No verdict: {comparison.data_differs}."
    results = measured(comparison)
    if not results:
        return "No run has a result yet."
    first, *rest = results
    if not rest:
        said = (
            f"{first.strategy} reaches {percent(first.accuracy)} on {_images(comparison)} "
            f"(95 % interval {percent(first.low)} to {percent(first.high)}); there is nothing to compare it with."
        )
        return " ".join([said, *caveats(comparison)])
    second = rest[0]
    pair = oriented(comparison.pairs, first.strategy, second.strategy)
    said = _by_intervals(first, second, comparison) if pair is None else sentence(pair, len(comparison.pairs))
    parts = (said, _others(results, comparison), _cost(first, second), *caveats(comparison))
    return " ".join(part for part in parts if part)


def choices(comparison: Comparison) -> tuple[Choice, ...]:
    """For each strategy with a result, what speaks for it against the others and what does not."""
    results = measured(comparison)
    if len(results) < 2 or comparison.data_differs:
        return ()
    return tuple(Choice(result.strategy, _choice(result, results, comparison)) for result in results)


def _images(comparison: Comparison) -> str:
    return f"{images(comparison):,} {PARTS[part(comparison)]} images"


def _by_intervals(first: Measured, second: Measured, comparison: Comparison) -> str:
    """What can be said where their predictions cannot be paired."""
    numbers = (
        f"{first.strategy} reaches {percent(first.accuracy)} and {second.strategy} {percent(second.accuracy)} "
        f"on {_images(comparison)}"
    )
    how = f"judged by the interval of each, {_why_unpaired(first.strategy, second.strategy, comparison)}"
    if separable(first, second):
        return f"{numbers}: {first.strategy} is more accurate, beyond what chance explains in this many images ({how})."
    if first.accuracy == second.accuracy:
        return f"{numbers}: no difference in accuracy."
    margin = max(first.high - first.low, second.high - second.low) / 2
    return (
        f"{numbers}: no difference that this data can show, since so many images tell an accuracy to about "
        f"±{100 * margin:.1f} points ({how})."
    )


def _why_unpaired(first: str, second: str, comparison: Comparison) -> str:
    seeds = [{(row.seed, row.fold) for row in comparison.runs if row.strategy == name} for name in (first, second)]
    if seeds[0].isdisjoint(seeds[1]):
        return "as they have no seed in common"
    return "without their predictions of each image"


def _are_different(one: Measured, other: Measured, comparison: Comparison) -> bool:
    pair = oriented(comparison.pairs, one.strategy, other.strategy)
    return separable(one, other) if pair is None else pair.different


def _others(results: Sequence[Measured], comparison: Comparison) -> str:
    """Which of the strategies after the second the first is shown to be better than."""
    first, _, *others = results
    if not others:
        return ""
    told = [other.strategy for other in others if _are_different(first, other, comparison)]
    untold = [other.strategy for other in others if other.strategy not in told]
    said = []
    if told:
        said.append(f"{first.strategy} is shown to be more accurate than {_listed(told, 'and')}.")
    if untold:
        said.append(f"Not told apart from {first.strategy}: {_listed(untold, 'and')}.")
    return " ".join(said)


def _choice(mine: Measured, results: Sequence[Measured], comparison: Comparison) -> str:
    others = [result for result in results if result is not mine]
    best_other = max(others, key=lambda other: other.accuracy)
    reasons = []
    pair = oriented(comparison.pairs, mine.strategy, best_other.strategy)  # of the seeds that both have, as the verdict
    difference = 100 * (mine.accuracy - best_other.accuracy if pair is None else pair.difference)
    if difference > 0:
        sure = "" if _are_different(mine, best_other, comparison) else ", which this many images cannot confirm"
        reasons.append(f"accuracy counts most (+{difference:.1f} points{sure})")
    reasons += _cheaper(mine, others, "time counts", lambda result: result.total_seconds, "of the time")
    if not any(mine.features_of and mine.features_of == other.features_of for other in others):
        reasons += _cheaper(
            mine, others, "memory is short", lambda result: result.memory, "of the memory beyond the process's own"
        )
    reasons += _cheaper(
        mine, others, "what runs later must be fast", lambda one: one.multiply_adds, "of the multiply-adds"
    )
    loss = min(other.loss for other in others)
    if 0 < NOTICEABLE * mine.loss <= loss:
        reasons.append(f"probabilities count (log loss {mine.loss:.3f} against {loss:.3f} or more)")
    against = f" It overfits: training accuracy is {100 * mine.gap:.1f} points higher." if mine.overfits else ""
    if not reasons:
        return f"Nothing measured here speaks for it.{against}"
    return f"Choose it when {_listed(reasons, 'or')}.{against}"


def _cheaper(
    mine: Measured, others: Sequence[Measured], when: str, cost: Callable[[Measured], float], unit: str
) -> list[str]:
    """The reason, if I cost noticeably less than the cheapest of the others."""
    least = min(cost(other) for other in others)
    if cost(mine) <= 0 or least < NOTICEABLE * cost(mine):
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


def _listed(parts: Sequence[str], joint: str) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joint} {parts[-1]}"


def _share(ratio: float) -> str:
    """A ratio below one in words: ``1/37`` where it is small, else a percentage."""
    if ratio < 1e-6:  # as a damaged log may tell
        return "less than a millionth"
    return f"1/{round(1 / ratio)}" if ratio < 0.3 else f"{100 * ratio:.0f} %"
