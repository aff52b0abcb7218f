"""What a comparison says, in plain sentences derived from its numbers. Imports without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct

from engine.comparison.caveats import caveats, unevenness
from engine.comparison.columns import columns, no_seed_moves
from engine.comparison.difference import PairedDifference
from engine.comparison.difference_words import in_numbers, oriented, points_of, reads_as_one, sentence
from engine.comparison.measured_parts import PART_WORDS
from engine.comparison.rows import Comparison
from engine.comparison.strategy_means import (
    StrategyMeans,
    images,
    judged,
    part,
    separable,
    shared_losses,
    strategy_means,
)
from engine.text import counted, joined
from engine.units import percent

NOTICEABLE = 1.2
"""A time or a memory that is this many times another's is worth a word."""
UNLIKE_CORES = 1.5
"""Where one had so many times as many cores at work as another, on average, times compare otherwise than the work."""
WAITING = 0.9
"""Cores at work below which a run on a CPU had to wait, since it always has work for one."""
UNLIKE_ACCURACY = 0.02
"""A balanced accuracy that is so far (0..1) from the accuracy says something else."""
MIB = 2**20


class CostKind(NamedTuple):
    """What is better the less of it there is: its ``name``, ``when`` it matters, the ``unit`` of a share in a sentence,
    and how to read the number ``of`` a strategy; a difference of less than ``least`` is noise.
    """

    name: str
    when: str
    unit: str
    of: Callable[[StrategyMeans], float | None]
    least: float = 0.0


TIME = CostKind("time", "time matters", "time", lambda result: result.total_seconds, 2.0)
COSTS = (
    TIME,
    CostKind("memory", "memory is tight", "memory a run adds", lambda result: result.memory, 256 * MIB),
    CostKind("multiply-adds", "the trained network must be fast", "multiply-adds", lambda result: result.multiply_adds),
)


class Choice(Struct, frozen=True):
    """When a strategy is the better choice, as far as this comparison shows."""

    strategy: str
    sentence: str


def verdict(comparison: Comparison) -> str:
    """Which of the two most accurate strategies is the better, whether this data can show it, the cost, and caveats.

    On the same images where their predictions are known; else, as while they still train, by the interval of each.
    Strategies of which runs were cut short are judged neither better nor worse, only told in numbers.
    """
    if comparison.data_differs:
        return f"No verdict: {comparison.data_differs}."
    results = strategy_means(comparison)
    if not results:
        return f"No run has a result: {comparison.error}" if comparison.error else "No run has a result yet."
    compared = judged(results, comparison)
    first, *rest = compared
    if not rest:
        return " ".join([_alone(first, comparison), *caveats(comparison, part(comparison))])
    second = rest[0]
    pair = oriented(comparison.pairs, first.strategy, second.strategy)
    if any(one.cut_short for one in compared):
        said = _cut_short(compared, comparison)
    elif pair is None:
        said = _by_intervals(first, second, comparison)
    else:
        names = {one.strategy for one in compared}
        looked_at = sum({*one.strategies} <= names for one in comparison.pairs)
        said = sentence(pair, looked_at, _shared(pair, comparison), seeds_matter=_seeds_matter(pair, comparison))
    parts = (
        said,
        _by_classes(first, second, comparison),
        _cost(first, second),
        _others(compared, comparison),
        _not_judged([one for one in results if one not in compared]),
        *caveats(comparison, part(comparison)),
    )
    return " ".join(filter(None, parts))


def choices(comparison: Comparison) -> tuple[Choice, ...]:
    """For each strategy with a result, what speaks for it against the others and what does not; only those count that
    trained all their epochs.
    """
    results = strategy_means(comparison)
    if len(results) < 2 or comparison.data_differs:
        return ()
    whole = [one for one in results if not one.cut_short]
    is_uneven = bool(_uneven(whole, comparison))

    def sentence_of(one: StrategyMeans) -> str:
        if one.cut_short:
            return f"Not judged: it trained {one.cut_short}."
        if len(whole) < 2:
            return "Not judged: no other strategy trained all its epochs."
        return _choice(one, whole, comparison, is_uneven=is_uneven)

    return tuple(Choice(one.strategy, sentence_of(one)) for one in results)


def _uneven(results: Sequence[StrategyMeans], comparison: Comparison) -> str:
    """How uneven classes are, where balanced accuracy is known and tells something else than accuracy; else empty."""
    known = [(one.balanced, one.accuracy) for one in results if one.balanced is not None]
    if len(known) < len(results) or all(abs(balanced - plain) < UNLIKE_ACCURACY for balanced, plain in known):
        return ""
    return unevenness(comparison)


def _by_classes(first: StrategyMeans, second: StrategyMeans, comparison: Comparison) -> str:
    """What the two reach where each class counts as much, if that is something else."""
    uneven = _uneven((first, second), comparison)
    if not uneven or first.balanced is None or second.balanced is None:
        return ""
    numbers = f"{percent(first.balanced)} ({first.strategy}) against {percent(second.balanced)} ({second.strategy})"
    return f"Classes are imbalanced ({uneven}): balanced accuracy is {numbers}."


def _images(comparison: Comparison) -> str:
    name = PART_WORDS[part(comparison)]
    return counted(images(comparison), f"{name} image", f"{name} images")


def _shared(pair: PairedDifference, comparison: Comparison) -> str:
    """What the pair's runs have in common, where either strategy has a result of other runs too; else empty."""
    done = [row for row in comparison.runs if row.strategy in pair.strategies and row.has_result]
    if all(sum(row.strategy == name for row in done) == pair.runs for name in pair.strategies):
        return ""
    return "seeds" if all(row.fold is None for row in done) else "seeds and folds"


def _seeds_matter(pair: PairedDifference, comparison: Comparison) -> bool:
    """Whether more seeds could tell more of the pair: not where no seed moves either strategy."""
    return not all(no_seed_moves(column.rows) for column in columns(comparison) if column.title in pair.strategies)


def _alone(only: StrategyMeans, comparison: Comparison) -> str:
    if len(only.accuracies) == 1:
        how_sure = f"95 % interval {percent(only.low)} to {percent(only.high)}"
    else:
        spread = f"{percent(min(only.accuracies))} to {percent(max(only.accuracies))} in {len(only.accuracies)} runs"
        how_sure = f"{spread}; with this many images an accuracy is known to {_margin(only)}"
    reached = percent(only.accuracy) + (f" after {only.cut_short}" if only.cut_short else "")
    return (
        f"{only.strategy} reaches {reached} on {_images(comparison)} ({how_sure}); there is nothing to compare it with."
    )


def _margin(*some: StrategyMeans) -> str:
    return f"about ±{100 * max(one.high - one.low for one in some) / 2:.1f} points"


def _by_intervals(first: StrategyMeans, second: StrategyMeans, comparison: Comparison) -> str:
    """What can be said where their predictions cannot be paired."""
    numbers = _apart(first, second, comparison)
    how = f"judged by their separate intervals, {_why_unpaired(first.strategy, second.strategy, comparison)}"
    if separable(first, second):
        return (
            f"{numbers}: {first.strategy} is more accurate, beyond what chance explains with this many images ({how})."
        )
    return (
        f"{numbers}: too close to call on this data, since with this many images an accuracy is known only to "
        f"{_margin(first, second)} ({how})."
    )


def _apart(first: StrategyMeans, second: StrategyMeans, comparison: Comparison) -> str:
    return (
        f"{first.strategy} reaches {percent(first.accuracy)} and {second.strategy} {percent(second.accuracy)} "
        f"on {_images(comparison)}"
    )


def _cut_short(results: Sequence[StrategyMeans], comparison: Comparison) -> str:
    """Which strategies did not train all their epochs, and how far apart the two most accurate ones are."""
    first, second, *_ = results
    trained = joined([f"{one.strategy} trained {one.cut_short}" for one in results if one.cut_short], "and")
    pair = oriented(comparison.pairs, first.strategy, second.strategy)
    numbers = _apart(first, second, comparison) if pair is None else in_numbers(pair, _shared(pair, comparison))
    return f"No verdict{' yet' if _is_to_come(comparison) else ''}: {trained}. {numbers}."


def _is_to_come(comparison: Comparison) -> bool:
    """Whether two strategies will have trained all their epochs if every run does that waits or goes on."""
    going_on = ("waiting", "running", "paused")
    rows = [row for row in comparison.runs if row.has_result or row.state in going_on]
    lost = {row.strategy for row in rows if row.is_cut_short and row.state not in going_on}
    return len({row.strategy for row in rows} - lost) > 1


def _why_unpaired(first: str, second: str, comparison: Comparison) -> str:
    seeds = [{(row.seed, row.fold) for row in comparison.runs if row.strategy == name} for name in (first, second)]
    if seeds[0].isdisjoint(seeds[1]):
        return "as they share no seed"
    return "as their predictions of each image are missing"


def _is_better(one: StrategyMeans, other: StrategyMeans, comparison: Comparison) -> bool:
    """Whether one is shown to be more accurate."""
    pair = oriented(comparison.pairs, one.strategy, other.strategy)
    return one.low > other.high if pair is None else pair.different and pair.difference > 0


def _others(results: Sequence[StrategyMeans], comparison: Comparison) -> str:
    """Which of the strategies after the second the first is shown to be better than, and which better than it: that
    can be over the runs both have, where it has others too.
    """
    first, _, *others = results
    if not others or any(one.cut_short for one in results):
        return ""
    told = [other.strategy for other in others if _is_better(first, other, comparison)]
    better = [other.strategy for other in others if _is_better(other, first, comparison)]
    untold = [other.strategy for other in others if other.strategy not in (*told, *better)]
    said = []
    if told:
        said.append(f"{first.strategy} is shown to be more accurate than {joined(told, 'and')}.")
    if better:
        is_shown = "is shown" if len(better) == 1 else "are shown"
        said.append(
            f"{joined(better, 'and')} {is_shown} to be more accurate than {first.strategy} over the runs both have."
        )
    if untold:
        said.append(f"Indistinguishable from {first.strategy}: {joined(untold, 'and')}.")
    return " ".join(said)


def _not_judged(left_out: Sequence[StrategyMeans]) -> str:
    return " ".join(f"{one.strategy} is not judged: it trained {one.cut_short}." for one in left_out)


def _choice(mine: StrategyMeans, results: Sequence[StrategyMeans], comparison: Comparison, *, is_uneven: bool) -> str:
    others = [result for result in results if result is not mine]
    reasons, compared = _more_accurate(mine, others, comparison), ["accuracy"]
    if is_uneven:
        compared.append("balanced accuracy")
        reasons = _balanced(mine, others, reasons)
    for cost in COSTS:
        if all(cost.of(result) is not None for result in results):
            compared.append(cost.name)
            if not (cost.name == "memory" and _shares_features(mine, others)):
                reasons += _cheaper(mine, others, cost)
    if all(result.loss is not None for result in results):
        compared.append("log loss")
        reasons += _surer(mine, others, comparison)
    gap = f"{100 * mine.gap:.1f} points"
    against = f" Its training accuracy is {gap} higher than its validation accuracy." if mine.overfits else ""
    if not reasons:
        measures = joined(compared, "and")
        return f"No measure favours it: another is better or nearly as good in {measures}.{against}"
    return f"Choose it when {joined(reasons, 'or')}.{against}"


def _more_accurate(mine: StrategyMeans, others: Sequence[StrategyMeans], comparison: Comparison) -> list[str]:
    """The reason, if none of the others is as accurate, or only some are."""
    leads = [(_lead(mine, other, comparison), other) for other in others]
    least, best_other = min(leads, key=lambda one: one[0])
    tied = [other for lead, other in leads if not reads_as_one(abs(lead))]
    worse = [other for lead, other in leads if reads_as_one(lead)]
    if least <= 0 and tied and worse and len(tied) + len(worse) == len(others):
        return [f"accuracy matters most (with {joined([other.strategy for other in tied], 'and')})"]
    if not reads_as_one(least):
        return []
    sure = "" if _is_better(mine, best_other, comparison) else ", not confirmed by this data"
    return [f"accuracy matters most (+{points_of(least)}{sure})"]


def _balanced(mine: StrategyMeans, others: Sequence[StrategyMeans], accurate: list[str]) -> list[str]:
    """The reason for being the more ``accurate``, with what speaks against it where classes are uneven, or the reason
    that it is better where each class counts as much. Nothing tests whether that is chance.
    """
    best = max(other.balanced or 0.0 for other in others)
    lead = (mine.balanced or 0.0) - best
    numbers = f"{percent(mine.balanced or 0.0)} against {percent(best)}"
    if lead < 0 and reads_as_one(-lead):
        return [f"{reason.removesuffix(')')}; but balanced accuracy is {numbers})" for reason in accurate]
    if lead < UNLIKE_ACCURACY:
        return accurate
    return [*accurate, f"every class counts equally (balanced accuracy {numbers}, not tested against chance)"]


def _lead(one: StrategyMeans, other: StrategyMeans, comparison: Comparison) -> float:
    """How much more accurate one is, of the seeds and folds that both have, as the verdict."""
    pair = oriented(comparison.pairs, one.strategy, other.strategy)
    return one.accuracy - other.accuracy if pair is None else pair.difference


def _cheaper(mine: StrategyMeans, others: Sequence[StrategyMeans], cost: CostKind) -> list[str]:
    """The reason, if I cost noticeably less than the cheapest of the others."""
    own, known = cost.of(mine), [number for other in others if (number := cost.of(other)) is not None]
    if own is None or len(known) < len(others) or not _is_less(own, cheapest := min(known), cost):
        return []
    of_whom = " of the next best" if len(others) > 1 else ""
    is_inflated = cost is TIME and any(one.ran_beside_another for one in (mine, *others))
    sure = ", while another experiment ran too" if is_inflated else ""
    return [f"{cost.when} ({_share(own / cheapest)} of the {cost.unit}{of_whom}{sure})"]


def _is_less(one: float, other: float, cost: CostKind) -> bool:
    """Whether one is noticeably less than the other, and by more than noise."""
    return other >= NOTICEABLE * one and other - one >= cost.least


def _shares_features(mine: StrategyMeans, others: Sequence[StrategyMeans]) -> bool:
    return any(mine.features_of and mine.features_of == other.features_of for other in others)


def _surer(mine: StrategyMeans, others: Sequence[StrategyMeans], comparison: Comparison) -> list[str]:
    """The reason, if my probabilities are noticeably nearer to the truth than the best of the others'."""
    known = [
        (losses, other) for other in others if (losses := shared_losses(comparison, mine.strategy, other.strategy))
    ]
    if not known or any(loss <= own or loss < NOTICEABLE * own for (own, loss), _ in known):
        return []
    (own, loss), best_other = min(known, key=lambda one: one[0][1])
    or_more = " or more" if len(others) > 1 else ""
    pair = oriented(comparison.pairs, mine.strategy, best_other.strategy)
    if pair is None or pair.loss_high is None or pair.loss_high >= 0:
        sure = ", not confirmed by this data"
    else:
        sure = ", with one seed each" if pair.seeds == 1 else ""
    said = f"log loss {own:.3f} against {loss:.3f}{or_more}{sure}"
    return [f"its probabilities must be reliable ({said})"]


def _cost(first: StrategyMeans, second: StrategyMeans) -> str:
    known = [(one.seconds_so_far, one) for one in (first, second) if one.seconds_so_far is not None]
    if len(known) < 2:
        return ""
    (least, fast), (most, slow) = sorted(known, key=lambda one: one[0])
    if fast.total_seconds is None:
        return ""
    at_most = "at most " if slow.total_seconds is None else ""
    work = _of_processor(first, second)
    beside = first.ran_beside_another or second.ran_beside_another
    inflated = " Another experiment ran on this machine meanwhile, which inflates times." if beside else ""
    if not _is_less(least, most, TIME):
        return "" if at_most else f"Both take about the same time{work}.{inflated}"
    return f"{fast.strategy} takes {at_most}{_share(least / most)} of the time{work}.{inflated}"


def _of_processor(first: StrategyMeans, second: StrategyMeans) -> str:
    """How their processor times compare, where they had unlike shares of the machine, and whether one had to wait."""
    known = [
        (one.cpu_seconds, one.cpu_seconds / one.total_seconds, one.strategy)
        for one in (first, second)
        if one.cpu_seconds is not None and one.total_seconds is not None and one.total_seconds >= TIME.least
    ]
    if len(known) < 2:
        return ""
    (least, _, cheap), (most, _, _) = sorted(known)
    (_, few, starved), (_, many, _) = sorted(known, key=lambda one: one[1])
    if many < UNLIKE_CORES * few:
        return ""
    waited = f": {starved} had {few:.1f} cores at work, so it waited for other programs or the disk"
    return f"; of the CPU time {cheap} takes {_share(least / most)}{waited if few < WAITING else ''}"


def _share(ratio: float) -> str:
    """A ratio below one in words: ``1/37`` where it is small, else a percentage."""
    if ratio < 1e-6:  # as a damaged log may tell
        return "less than a millionth"
    return f"1/{round(1 / ratio)}" if ratio < 0.3 else f"{100 * ratio:.0f} %"
