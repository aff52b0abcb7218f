"""Single images that runs get wrong: one run or several, one of two, or those in a cell. numpy, no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.comparison.predictions import Predictions, Seen, below, cross_entropies


class OtherClassesError(ValueError):
    """Runs do not tell the same classes apart; the text is one line."""


@dataclass(frozen=True)
class Together(Seen):
    """What one run, or several together, said of N images: of each over those of the runs that predicted it.

    ``probabilities``: (N, classes), and ``losses``: (N,), cross-entropies in nats, are means. ``runs``: (N,), how many
    predicted the image; ``wrong``: (N,), how many of these are wrong. ``predicted``: (N,), the index of the class that
    most of those that are wrong take it for, of as many the more probable one; where none is wrong the true class.
    """

    probabilities: NDArray[np.float64]
    losses: NDArray[np.float64]
    runs: NDArray[np.int64]
    wrong: NDArray[np.int64]
    predicted: NDArray[np.int64]


@dataclass(frozen=True)
class Answered:
    """An image, and what was said of it by one side or two: each is a run, or several together.

    ``label``: its true class. ``right``: on which sides, of 0 and 1, no run is wrong. Of each side, the first one's
    before the other's: ``predicted``, the class it takes the image for; ``probabilities``, 0..1, what it gives that
    class; ``of_label``, what it gives the true one; ``losses``, its cross-entropy in nats, always finite; ``runs``, how
    many predicted the image, and ``runs_wrong``, how many of them are wrong.
    """

    path: str
    group: str
    label: str
    right: tuple[int, ...]
    predicted: tuple[str, ...]
    probabilities: tuple[float, ...]
    of_label: tuple[float, ...]
    losses: tuple[float, ...]
    runs: tuple[int, ...]
    runs_wrong: tuple[int, ...]

    @property
    def wrong(self) -> tuple[int, ...]:
        """Which of the sides are wrong."""
        return tuple(side for side in range(len(self.predicted)) if side not in self.right)

    @property
    def confidence(self) -> float:
        """The probability (0..1) that the wrong side gives its answer, or if none is wrong, that the right one gives
        the true class; of two such sides the smaller.
        """
        return min(self.probabilities[side] for side in self.wrong or self.right)


def together(runs: Iterable[Predictions]) -> Together | None:
    """What these runs said, image by image in the order in which the first of them has it; None of no run.

    Images are matched by path and label, each time that they occur. ``OtherClassesError`` where the runs do not tell
    the same classes apart.
    """
    first: Predictions | None = None
    places: dict[tuple[str, int, int], int] = {}
    groups: list[str] = []
    for run in runs:
        if first is None:
            first = run
            sums, losses = np.zeros((0, len(run.classes))), np.zeros(0)
            votes, counts = np.zeros((0, len(run.classes)), np.int32), np.zeros(0, np.int64)
        if run.classes != first.classes:
            raise OtherClassesError(f"{first.run} and {run.run} do not tell the same classes apart")
        at = np.array([places.setdefault(image, len(places)) for image in _images(run)])
        groups += [group for group, place in zip(run.groups, at.tolist(), strict=True) if place >= len(counts)]
        sums, losses, votes, counts = (_longer(one, len(places)) for one in (sums, losses, votes, counts))
        sums[at] += run.probabilities
        losses[at] += cross_entropies(run)
        votes[at, run.probabilities.argmax(axis=1)] += 1
        counts[at] += 1
    if first is None:
        return None
    paths, labels = tuple(path for path, _, _ in places), np.array([label for _, label, _ in places])
    means = sums / counts[:, None]
    wrong = counts - votes[np.arange(len(labels)), labels]
    some = np.flatnonzero(wrong)
    among = votes[some] + means[some]
    among[np.arange(len(some)), labels[some]] = -1.0
    predicted = labels.copy()
    predicted[some] = among.argmax(axis=1)
    seen = first.run, first.part, first.epoch, first.classes, paths, tuple(groups), labels
    return Together(*seen, means, losses / counts, counts, wrong, predicted)


def mistakes(one: Together, other: Together) -> tuple[Answered, ...]:
    """The images that both sides have seen and at least one gets wrong, the most confident mistake first.

    Images are matched by path, each time that it occurs, so the two may have them in another order; an image that the
    two know under different labels is left out. Equally confident mistakes stay in the first one's order.
    ``OtherClassesError`` where they do not tell the same classes apart.
    """
    if one.classes != other.classes:
        raise OtherClassesError(f"{one.run} and {other.run} do not tell the same classes apart")
    first, second = _matched(one, other)
    is_wrong = (one.wrong[first] > 0) | (other.wrong[second] > 0)
    wrong = np.flatnonzero((one.labels[first] == other.labels[second]) & is_wrong)
    found = [_answered((one, int(first[at])), (other, int(second[at]))) for at in wrong]
    return tuple(sorted(found, key=lambda image: -image.confidence))


def in_cell(one: Together, other: Together | None, true: str, predicted: str) -> tuple[Answered, ...]:
    """The images of the class ``true`` that the first side takes for ``predicted``, and what the other says of those
    that it has seen under the same label.

    The most confident mistake comes first; images that nobody gets wrong come last, the least sure one before the
    others. ``OtherClassesError`` where the first side does not know the classes.
    """
    if not {true, predicted} <= set(one.classes):
        raise OtherClassesError(f"{one.run} does not tell {true} and {predicted} apart")
    label, taken_for = one.classes.index(true), one.classes.index(predicted)
    there = np.flatnonzero((one.labels == label) & (one.predicted == taken_for))
    found = _beside(one, other, there.tolist())
    return tuple(sorted(found, key=lambda it: (not it.wrong, -it.confidence if it.wrong else it.confidence)))


def worst(one: Together, other: Together | None) -> tuple[Answered, ...]:
    """The images that the first side gets wrong, its highest loss first, and what the other says of those that it has
    seen under the same label.
    """
    return tuple(sorted(_beside(one, other, np.flatnonzero(one.wrong).tolist()), key=lambda image: -image.losses[0]))


def seen_by_both(one: Together, other: Together) -> int:
    """How many images both sides have seen."""
    return len(_matched(one, other)[0])


def _images(run: Predictions) -> Iterator[tuple[str, int, int]]:
    """What an image is known by in several runs: path, label, and which of its occurrences it is."""
    times: Counter[tuple[str, int]] = Counter()
    for image in zip(run.paths, run.labels.tolist(), strict=True):
        times[image] += 1
        yield *image, times[image]


def _longer(values: NDArray[Any], length: int) -> NDArray[Any]:
    """The values and zeros behind them."""
    return np.concatenate([values, np.zeros((length - len(values), *values.shape[1:]), values.dtype)])


def _beside(one: Together, other: Together | None, there: Iterable[int]) -> list[Answered]:
    """The images at these places of the first side, and what the other says of those that it knows under that label."""
    theirs: dict[int, int] = {}
    if other is not None and other.classes == one.classes:
        first, second = _matched(one, other)
        same = one.labels[first] == other.labels[second]
        theirs = dict(zip(first[same].tolist(), second[same].tolist(), strict=True))
    return [
        _answered((one, at), (other, theirs[at])) if other is not None and at in theirs else _answered((one, at))
        for at in there
    ]


def _answered(*said: tuple[Together, int]) -> Answered:
    """An image by its place in what each side said."""
    one, at = said[0]
    label = int(one.labels[at])
    return Answered(
        path=one.paths[at],
        group=one.groups[at],
        label=one.classes[label],
        right=tuple(side for side, (of, place) in enumerate(said) if not of.wrong[place]),
        predicted=tuple(of.classes[of.predicted[place]] for of, place in said),
        probabilities=tuple(float(of.probabilities[place, of.predicted[place]]) for of, place in said),
        of_label=tuple(float(of.probabilities[place, label]) for of, place in said),
        losses=tuple(float(of.losses[place]) for of, place in said),
        runs=tuple(int(of.runs[place]) for of, place in said),
        runs_wrong=tuple(int(of.wrong[place]) for of, place in said),
    )


def _matched(one: Seen, other: Seen) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the images that both have: in the first side and in the other, in the first one's order."""
    if one.paths == other.paths or below(one.paths) == below(other.paths):
        everything = np.arange(len(one.paths))
        return everything, everything
    places: dict[str, list[int]] = {}
    for place, path in reversed(list(enumerate(other.paths))):
        places.setdefault(path, []).append(place)
    pairs = [(place, places[path].pop()) for place, path in enumerate(one.paths) if places.get(path)]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
