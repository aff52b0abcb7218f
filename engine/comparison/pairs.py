"""The paired difference of every two strategies, from the files of predictions that their runs left."""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import suppress
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from engine.comparison import predictions
from engine.comparison.difference import PairedDifference
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.paired import holm, paired_difference
from engine.comparison.predictions import Outcomes, Saved


class SavedRun(NamedTuple):
    """A run's best epoch and the predictions that it left."""

    strategy: str
    seed: int
    fold: int | None
    epoch: int
    saved: Saved


def differences(
    runs: Sequence[SavedRun], part: MeasuredPart, divided: int, judged: Set[str]
) -> tuple[PairedDifference, ...]:
    """The difference of every two strategies on the part, over the seeds and folds both have.

    ``divided``: how many images there are to train on and to validate, which folds divide. ``judged``: the strategies
    whose pairs are corrected for how many these are alone, the others for all.
    """
    strategies: dict[str, dict[tuple[int, int | None], SavedRun]] = {}
    for run in runs:
        strategies.setdefault(run.strategy, {})[run.seed, run.fold] = run
    found = []
    for one, other in combinations(strategies, 2):
        both = [key for key in strategies[one] if key in strategies[other]]
        first, second = (tuple(strategies[name][key] for key in both) for name in (one, other))
        with suppress(OSError):  # a file that cannot be read now: not remembered, the next comparison reads it again
            if both and (difference := _difference(first, second, part, divided)) is not None:
                found.append(difference)
    among_judged = holm([pair for pair in found if {*pair.strategies} <= judged])
    adjusted = {pair.strategies: pair for pair in (*holm(found), *among_judged)}
    return tuple(adjusted[pair.strategies] for pair in found)


@lru_cache(maxsize=256)
def _difference(
    one: tuple[SavedRun, ...], other: tuple[SavedRun, ...], part: MeasuredPart, divided: int
) -> PairedDifference | None:
    first, second = _read(one, part), _read(other, part)
    if first is None or second is None:
        return None
    strategies = one[0].strategy, other[0].strategy
    seeds, folds = [run.seed for run in one], len({run.fold for run in one})
    return paired_difference(first, second, strategies, seeds=seeds, folds=folds, divided=divided)


def _read(runs: Sequence[SavedRun], part: MeasuredPart) -> list[Outcomes] | None:
    """What came of the runs; None where one of their files makes no sense or is of another epoch."""
    read = []
    for run in runs:
        found = _outcomes(run.saved, part)
        if found is None or found.epoch != run.epoch:
            return None
        read.append(found)
    return read


@lru_cache(maxsize=64)
def _outcomes(saved: Saved, part: MeasuredPart) -> Outcomes | None:
    """Kept, since a run is compared with those of every other strategy."""
    predicted = predictions.read(saved.folder, saved.run, part)
    return None if predicted is None else predictions.outcomes(predicted)
