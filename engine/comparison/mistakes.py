"""What runs said of single images: those that one or one of two gets wrong, those of a cell. numpy, no torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.comparison.predictions import Predictions, below


class OtherClassesError(ValueError):
    """Runs do not tell the same classes apart; the text is one line."""


@dataclass(frozen=True)
class Answered:
    """An image, and what one run or two said of it.

    ``label``: its true class. ``right``: which of the runs are right, of 0 and 1. Of each run, the first one's before
    the other's: ``predicted``, the class it finds most probable; ``probabilities``, 0..1, what it gives that class; and
    ``of_label``, what it gives the true one.
    """

    path: str
    group: str
    label: str
    right: tuple[int, ...]
    predicted: tuple[str, ...]
    probabilities: tuple[float, ...]
    of_label: tuple[float, ...]

    @property
    def wrong(self) -> tuple[int, ...]:
        """Which of the runs are wrong."""
        return tuple(run for run in range(len(self.predicted)) if run not in self.right)

    @property
    def loss(self) -> float:
        """The first run's cross-entropy (nats): finite, even where it gives the true class no chance."""
        return -math.log(max(self.of_label[0], sys.float_info.epsilon))

    @property
    def confidence(self) -> float:
        """The probability (0..1) that the wrong run gives its answer, or if no run is wrong, that the right one gives
        the true class; of two such runs the smaller.
        """
        return min(self.probabilities[run] for run in self.wrong or self.right)


def mistakes(one: Predictions, other: Predictions) -> tuple[Answered, ...]:
    """The images that both runs have seen and at least one gets wrong, the most confident mistake first.

    Images are matched by path, each time that it occurs, so two runs may have them in another order; an image that the
    two know under different labels is left out. Equally confident mistakes stay in the first run's order.
    ``OtherClassesError`` where the runs do not tell the same classes apart.
    """
    if one.classes != other.classes:
        raise OtherClassesError(f"{one.run} and {other.run} do not tell the same classes apart")
    first, second = _matched(one, other)
    labels = one.labels[first]
    right = np.stack([of.probabilities[places].argmax(axis=1) for of, places in ((one, first), (other, second))])
    wrong = np.flatnonzero((labels == other.labels[second]) & ~(right == labels).all(axis=0))
    found = [_answered((one, int(first[at])), (other, int(second[at]))) for at in wrong]
    return tuple(sorted(found, key=lambda image: -image.confidence))


def in_cell(one: Predictions, other: Predictions | None, true: str, predicted: str) -> tuple[Answered, ...]:
    """The images of the class ``true`` that the first run takes for ``predicted``, and what the other says of those
    that it has seen under the same label.

    The most confident mistake comes first; images that nobody gets wrong come last, the least sure one before the
    others. ``OtherClassesError`` where the first run does not know the classes.
    """
    if not {true, predicted} <= set(one.classes):
        raise OtherClassesError(f"{one.run} does not tell {true} and {predicted} apart")
    label, taken_for = one.classes.index(true), one.classes.index(predicted)
    there = np.flatnonzero((one.labels == label) & (one.probabilities.argmax(axis=1) == taken_for))
    found = _beside(one, other, there.tolist())
    return tuple(sorted(found, key=lambda it: (not it.wrong, -it.confidence if it.wrong else it.confidence)))


def worst(one: Predictions, other: Predictions | None) -> tuple[Answered, ...]:
    """The images that the first run gets wrong, its highest loss first, and what the other says of those that it has
    seen under the same label.
    """
    wrong = np.flatnonzero(one.probabilities.argmax(axis=1) != one.labels)
    return tuple(sorted(_beside(one, other, wrong.tolist()), key=lambda image: -image.loss))


def seen_by_both(one: Predictions, other: Predictions) -> int:
    """How many images both runs have seen."""
    return len(_matched(one, other)[0])


def _beside(one: Predictions, other: Predictions | None, there: Iterable[int]) -> list[Answered]:
    """The images at these places of the first run, and what the other says of those that it knows under that label."""
    theirs: dict[int, int] = {}
    if other is not None and other.classes == one.classes:
        first, second = _matched(one, other)
        same = one.labels[first] == other.labels[second]
        theirs = dict(zip(first[same].tolist(), second[same].tolist(), strict=True))
    return [
        _answered((one, at), (other, theirs[at])) if other is not None and at in theirs else _answered((one, at))
        for at in there
    ]


def _answered(*said: tuple[Predictions, int]) -> Answered:
    """An image by its place in the predictions of each run."""
    one, at = said[0]
    label = int(one.labels[at])
    tops = [int(of.probabilities[place].argmax()) for of, place in said]
    return Answered(
        path=one.paths[at],
        group=one.groups[at],
        label=one.classes[label],
        right=tuple(run for run, top in enumerate(tops) if top == label),
        predicted=tuple(one.classes[top] for top in tops),
        probabilities=tuple(float(of.probabilities[place, top]) for (of, place), top in zip(said, tops, strict=True)),
        of_label=tuple(float(of.probabilities[place, label]) for of, place in said),
    )


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
