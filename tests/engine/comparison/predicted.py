"""Made-up predictions: which of their images a run gets right is all that matters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from engine.comparison.difference import PairedDifference
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.paired import paired_difference
from engine.comparison.predictions import Predictions, outcomes


def predicted(
    right: Sequence[bool] | np.ndarray,
    groups: Sequence[str] = (),
    *,
    run: str = "a-0",
    first: int = 0,
    part: MeasuredPart = "val",
) -> Predictions:
    """A run's predictions of two classes; image ``i`` has the path ``/first + i``."""
    count = len(right)
    labels = np.arange(count) % 2
    wrong = np.where(np.asarray(right, dtype=bool), labels, 1 - labels)
    probabilities = np.where(np.arange(2) == wrong[:, None], 0.8, 0.2)
    paths = tuple(f"/{first + index}" for index in range(count))
    names = tuple(groups) or ("",) * count
    return Predictions(run, part, 3, ("ant", "bee"), paths, names, labels, probabilities)


def discordant(both: int, only_one: int, only_other: int, neither: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What two runs get right, with so many images of each kind."""
    counts = (both, only_one, only_other, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def difference_of(
    one: Sequence[Predictions],
    other: Sequence[Predictions],
    divided: int | None = None,
    seeds: Sequence[int] | None = None,
) -> PairedDifference | None:
    """Of two strategies called as their first runs; runs on other images than the first are other folds.

    ``divided``: images that these divide, those that were predicted where not given. The runs on the same images are of
    other ``seeds``, where these are not given.
    """
    on_the_same = Counter(run.paths for run in one)
    earlier = [sum(before.paths == run.paths for before in one[:place]) for place, run in enumerate(one)]
    return paired_difference(
        [outcomes(run) for run in one],
        [outcomes(run) for run in other],
        (one[0].run, other[0].run),
        seeds=earlier if seeds is None else seeds,
        folds=len(on_the_same) if seeds is None else len(one) // len(set(seeds)),
        divided=len({path for run in one for path in run.paths}) if divided is None else divided,
    )
