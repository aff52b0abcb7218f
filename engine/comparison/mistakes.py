"""Images that at least one of two runs classifies wrongly. numpy, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.comparison.predictions import Predictions, below


@dataclass(frozen=True)
class Mistake:
    """An image that one of two runs gets wrong, or both.

    ``label``: its true class. ``right``: which run is right, 0 or 1, None where neither is. Of each run, the first
    one's before the other's: ``predicted``, the class it finds most probable; ``probabilities``, 0..1, what it gives
    that class; and ``of_label``, what it gives the true one.
    """

    path: str
    group: str
    label: str
    right: Literal[0, 1] | None
    predicted: tuple[str, str]
    probabilities: tuple[float, float]
    of_label: tuple[float, float]

    @property
    def confidence(self) -> float:
        """The probability (0..1) that the run which is wrong gives its mistake; of two, the one that is less sure."""
        return min(self.probabilities) if self.right is None else self.probabilities[1 - self.right]


def mistakes(one: Predictions, other: Predictions) -> tuple[Mistake, ...]:
    """The images that both runs have seen and at least one gets wrong, the most confident mistake first.

    Images are matched by path, each time that it occurs, so two runs may have them in another order; an image that the
    two know under different labels is left out. Equally confident mistakes stay in the first run's order.
    ``ValueError`` where the runs do not tell the same classes apart.
    """
    if one.classes != other.classes:
        raise ValueError(f"{one.run} and {other.run} do not tell the same classes apart")
    first, second = _matched(one, other)
    labels = one.labels[first]
    same_label = labels == other.labels[second]
    first, second, labels = first[same_label], second[same_label], labels[same_label]
    predicted = np.stack([one.probabilities[first].argmax(axis=1), other.probabilities[second].argmax(axis=1)])
    probabilities = np.stack([one.probabilities[first].max(axis=1), other.probabilities[second].max(axis=1)])
    right = predicted == labels
    wrong = np.flatnonzero(~right.all(axis=0))
    sure = np.where(right, np.inf, probabilities)[:, wrong].min(axis=0)
    order = wrong[np.argsort(-sure, kind="stable")]
    names = one.classes
    return tuple(
        Mistake(
            path=one.paths[first[at]],
            group=one.groups[first[at]],
            label=names[labels[at]],
            right=0 if right[0][at] else 1 if right[1][at] else None,
            predicted=(names[predicted[0][at]], names[predicted[1][at]]),
            probabilities=(float(probabilities[0][at]), float(probabilities[1][at])),
            of_label=(
                float(one.probabilities[first[at], labels[at]]),
                float(other.probabilities[second[at], labels[at]]),
            ),
        )
        for at in order
    )


def seen_by_both(one: Predictions, other: Predictions) -> int:
    """How many images both runs have seen."""
    return len(_matched(one, other)[0])


def _matched(one: Predictions, other: Predictions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the images that both have: in the first and in the other run, in the first one's order."""
    if one.paths == other.paths or below(one.paths) == below(other.paths):
        everything = np.arange(len(one.paths))
        return everything, everything
    places: dict[str, list[int]] = {}
    for place, path in reversed(list(enumerate(other.paths))):
        places.setdefault(path, []).append(place)
    pairs = [(place, places[path].pop()) for place, path in enumerate(one.paths) if places.get(path)]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
