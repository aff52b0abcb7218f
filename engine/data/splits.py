"""Training and validation: the names that parts go by, and dividing what comes undivided. Imports without torch."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.data.dataset import DataError, Sample
from engine.text import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Part = Literal["train", "val", "test"]
PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "eval": "val",
    "holdout": "test",
    "test": "test",
    "testing": "test",
}
"""The names of folders and of values in a split column, in small letters."""

Labelled = tuple[str, str]
"""An image's absolute path and the name of its class."""


def part_called(name: str) -> Part | None:
    """The part that goes by this name in any spelling, None if none does."""
    return PARTS.get(name.strip().lower())


def stratified(
    images: Sequence[Labelled], val_fraction: float, seed: int, where: str
) -> tuple[list[Labelled], list[Labelled]]:
    """Training and validation images: ``val_fraction`` of each class for validation, but at least one image on
    each side.

    Depends on the order of the images and on ``seed`` alone. ``DataError`` where a class has only one image.
    """
    # Imported here because scikit-learn takes a second to import and most data sets come divided.
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    by_class: dict[str, list[Labelled]] = {}
    for image in images:
        by_class.setdefault(image[1], []).append(image)
    train: list[Labelled] = []
    val: list[Labelled] = []
    for name, members in sorted(by_class.items()):
        if len(members) < 2:
            raise DataError(
                f"{where}: class {shown(name)} has 1 image; a class needs at least 2, one of them for validation"
            )
        # Class by class, because stratify= leaves small classes without a validation image.
        size = min(max(round(len(members) * val_fraction), 1), len(members) - 1)
        kept, held_out = train_test_split(members, test_size=size, random_state=seed)
        train += kept
        val += held_out
    return sorted(train), sorted(val)


def stratified_in_words(val_fraction: float, seed: int) -> str:
    """How :func:`stratified` divides, for a person."""
    return f"split here: {100 * val_fraction:g} % of each class for validation, seed {seed}"


MANY_GROUPS = 2000
"""Groups from which on they are dealt by their most frequent class alone: StratifiedGroupKFold, which counts every
class of every group, takes 0.6 ms for each, and with so many chance evens out what it would."""
FOLD_ATTEMPTS = 20


def folds(samples: Sequence[Sample], count: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """The samples divided into ``count`` parts: for each of them, the indices of training and those of validation.

    Stratified by label, groups whole where they are known; every sample is in validation once. Depends on the order
    of the samples and on ``seed`` alone. ``DataError`` where it cannot be done, or a fold would train without a class.
    """
    labels = [sample.label for sample in samples]
    groups = [sample.group for sample in samples]
    for one, members in _by_stratum(labels, groups).items():
        if len(members) < 2:
            sample = next(sample for sample in samples if sample.label == one)
            shared = f"all in the group {shown(sample.group, 60)}" if sample.group else "the only one of its class"
            raise DataError(
                f"{count} folds: {shown(Path(sample.path).name, 100)} and its class are {shared}, "
                "so a fold would have none to train on"
            )
    there = len(set(labels))
    for attempt in range(FOLD_ATTEMPTS):
        numbers = _fold_numbers(labels, groups, count, seed + attempt * 2**20)
        parts: list[tuple[list[int], list[int]]] = [([], []) for _ in range(count)]
        for index, number in enumerate(numbers.tolist()):
            for fold, (train, val) in enumerate(parts):
                (val if fold == number else train).append(index)
        if all(val and len({labels[index] for index in train}) == there for train, val in parts):
            return parts
    raise DataError(f"{count} folds: with whole groups some fold would train without a class; ask for fewer folds")


def _fold_numbers(labels: Sequence[Hashable], groups: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    """The part, 0 … ``count`` - 1, that each image belongs to; an image without a group is a group of its own."""
    # Imported here because scikit-learn takes a second to import and most data sets come divided.
    import numpy as np  # noqa: PLC0415
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # noqa: PLC0415

    # For good, not with catch_warnings: that is not safe where other threads run.
    warnings.filterwarnings("ignore", message="The least populated class", module="sklearn")
    strata, number_of = _numbered(labels), _group_numbers(groups)
    counts = np.zeros((int(number_of.max()) + 1, int(strata.max()) + 1), np.int64)
    np.add.at(counts, (number_of, strata), 1)
    own = len(counts) == len(labels)  # every image is a group of its own
    rows, one_of = (counts.argmax(axis=1), number_of) if own or len(counts) >= MANY_GROUPS else (strata, None)
    dealer = StratifiedGroupKFold if one_of is None else StratifiedKFold
    numbers = np.empty(len(rows), np.int64)
    try:
        dealt = dealer(count, shuffle=True, random_state=seed % 2**32).split(rows, rows, number_of[: len(rows)])
        for part, (_, places) in enumerate(dealt):
            numbers[places] = part
    except ValueError:  # fewer groups, or fewer images of each class, than parts
        raise DataError(
            f"{len(counts):,} groups or images, of {counts.shape[1]:,} classes, are too few for {count} parts"
        ) from None
    return numbers if one_of is None else numbers[one_of]


def _by_stratum(strata: Sequence[Hashable], groups: Sequence[str]) -> dict[Hashable, set[object]]:
    """The groups of each stratum; an image without a group stands for itself."""
    found: dict[Hashable, set[object]] = {}
    for index, (stratum, group) in enumerate(zip(strata, groups, strict=True)):
        found.setdefault(stratum, set()).add(group or index)
    return found


def _numbered(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """Each value's number, counted in the order in which they first come."""
    import numpy as np  # noqa: PLC0415

    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def _group_numbers(groups: Sequence[str]) -> NDArray[np.int64]:
    return _numbered([group or index for index, group in enumerate(groups)])
