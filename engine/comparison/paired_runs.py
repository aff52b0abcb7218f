"""The runs of two strategies brought together by the images that they were measured on, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.comparison.predictions import Outcomes, below, units_of
from engine.comparison.resampling import Units
from engine.data.group_split import numbered

Whole = NDArray[np.int64]
PerImage = NDArray[np.bool_] | NDArray[np.float64]
"""Of each image in a fold, by strategy and run: (2, runs, images)."""


class PairedRuns(NamedTuple):
    """The runs of two strategies by what they were measured on, all with the same images in one fold.

    ``right``: a fold's (2, runs, images) array of what was predicted correctly, ``losses``: of the cross-entropies.
    ``seeds``: the seed of each of a fold's runs.
    ``images`` and ``units``: the number of each image, and of the group or image that is a unit, for each of a fold's
    images, as in ``right``. ``divided``: images that folds divide, all that are not in one are trained on.
    """

    right: tuple[NDArray[np.bool_], ...]
    losses: tuple[NDArray[np.float64], ...]
    seeds: tuple[Whole, ...]
    images: tuple[Whole, ...]
    units: tuple[Whole, ...]
    grouped: bool
    divided: int

    @property
    def runs(self) -> int:
        """How many runs either strategy has."""
        return sum(int(right.shape[1]) for right in self.right)

    @property
    def repeats(self) -> int:
        """Runs of either strategy on the same images; the fewest, where some are missing."""
        return min(int(right.shape[1]) for right in self.right)

    @property
    def repeated_seeds(self) -> int:
        """Seeds of these runs: fewer where a seed's folds were all measured on the same images, a test part."""
        return min(len(np.unique(seeds)) for seeds in self.seeds)

    @property
    def trained_apart(self) -> int:
        """Runs of either strategy that share no other's images and seed: a seed's folds on a test part are one."""
        return sum(len(np.unique(seeds)) for seeds in self.seeds)

    @property
    def accuracies(self) -> tuple[float, float]:
        """Means over the runs."""
        total = sum(right[0].size for right in self.right)
        first, second = (sum(int(right[side].sum()) for right in self.right) / total for side in (0, 1))
        return first, second

    @property
    def discordant(self) -> tuple[int, int]:
        """How often only the first and only the second was right."""
        first, second = (sum(int(np.count_nonzero(r[i] & ~r[1 - i])) for r in self.right) for i in (0, 1))
        return first, second


def paired_runs(
    one: Sequence[Outcomes], other: Sequence[Outcomes], seeds: Sequence[int], divided: int
) -> PairedRuns | None:
    """The runs of two strategies, the i-th of both with the i-th of the ``seeds``; None where they are not of the same
    images. ``divided`` as in :class:`PairedRuns`.
    """
    if len(one) != len(other) or not all(_is_same(*pair) for pair in zip(one, other, strict=True)):
        return None
    if len({(predicted.part, predicted.classes) for predicted in one}) > 1:
        return None
    by_images: dict[tuple[str, ...], list[tuple[Outcomes, Outcomes]]] = {}
    seeds_of: dict[tuple[str, ...], list[int]] = {}
    for *pair, seed in zip(one, other, seeds, strict=True):
        by_images.setdefault(pair[0].paths, []).append((pair[0], pair[1]))
        seeds_of.setdefault(pair[0].paths, []).append(seed)
    paths = [path for fold in by_images for path in fold]
    groups = [group for pairs in by_images.values() for group in _groups(pairs)]
    grouped = any(groups)
    images = numbered(paths)
    units = units_of(groups, paths) if grouped else images
    ends = np.cumsum([len(fold) for fold in by_images])[:-1]
    rights = tuple(np.array([[pair[side].right for pair in pairs] for side in (0, 1)]) for pairs in by_images.values())
    losses = tuple(np.array([[pair[side].losses for pair in pairs] for side in (0, 1)]) for pairs in by_images.values())
    numbers = tuple(np.array(some) for some in seeds_of.values())
    return PairedRuns(
        rights, losses, numbers, tuple(np.split(images, ends)), tuple(np.split(units, ends)), grouped, divided
    )


def _groups(pairs: Sequence[tuple[Outcomes, Outcomes]]) -> tuple[str, ...]:
    """The groups of a fold's images, from a run that knows them; older ones do not."""
    known = (run.groups for pair in pairs for run in pair if any(run.groups))
    return next(known, ("",) * len(pairs[0][0].paths))


def _is_same(one: Outcomes, other: Outcomes) -> bool:
    return (
        len(one.paths) > 0
        and (one.part, one.classes) == (other.part, other.classes)
        and (one.paths == other.paths or below(one.paths) == below(other.paths))
        and np.array_equal(one.labels, other.labels)
    )


def summed(rights: Sequence[NDArray[np.bool_]], owners: Sequence[Whole]) -> Units:
    """What each fold's ``rights`` come to in every unit; ``owners``: the number of each image's unit."""
    count = 1 + max(int(owner.max()) for owner in owners)
    sums, sizes = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for right, owner in zip(rights, owners, strict=True):
        each = right.sum(axis=1, dtype=np.int64)
        np.add.at(sums, owner, each[0] - each[1])
        np.add.at(sizes, owner, right.shape[1])
    return Units(sums, sizes)
