"""The names of the parts train, val and test, and stratified splits and folds of images. Imports without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from engine.data.dataset import Sample
from engine.data.group_split import assign_folds, single_group_strata
from engine.errors import DataError
from engine.text import shown

Part = Literal["train", "val", "test"]
PART_OF_NAME: dict[str, Part] = {
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

PART_NAMES: tuple[Part, ...] = get_args(Part)
FOLD_ATTEMPTS = 20
"""Divisions that are tried until each fold trains with every class."""

Labelled = tuple[str, str]
"""An image's absolute path and the name of its class."""


def part_called(name: str) -> Part | None:
    """The part that goes by this name in any spelling, None if none does."""
    return PART_OF_NAME.get(name.strip().lower())


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


def fold_seed(split_seed: int, seed: int) -> int:
    """What the folds of a run are drawn with: other ones for each of its seeds, and for each of the split's."""
    return split_seed + seed


def folds(
    samples: Sequence[Sample], count: int, seed: int, classes: Sequence[str] = ()
) -> list[tuple[list[int], list[int]]]:
    """The samples divided into ``count`` parts: for each of them, the indices of training and those of validation.

    Stratified by label, groups whole where they are known; every sample is in validation once. Depends on the order
    of the samples and on ``seed`` alone. ``DataError`` where it cannot be done, or a fold would train without a class;
    it goes by its name in ``classes``, or where there are none by that of its first image.
    """
    labels = [sample.label for sample in samples]
    groups = [sample.group for sample in samples]
    for index in single_group_strata(labels, groups):
        group, image = groups[index], shown(Path(samples[index].path).name, 100)
        name = f"class {shown(classes[labels[index]], 60)}" if classes else f"the class of {image}"
        who = f"every image of {name} is in the group {shown(group, 60)}" if group else f"{name} has one image, {image}"
        advice = "leave the class out, take other groups" if group else "leave the class out, add images of it"
        raise DataError(f"{count} folds: {who}, so a fold would train without the class; {advice}, or take no folds")
    there = len(set(labels))
    for attempt in range(FOLD_ATTEMPTS):
        part_of = assign_folds(labels, groups, count, seed + attempt * 2**20).tolist()
        parts = [
            (
                [index for index, part in enumerate(part_of) if part != fold],
                [index for index, part in enumerate(part_of) if part == fold],
            )
            for fold in range(count)
        ]
        if all(val and len({labels[index] for index in train}) == there for train, val in parts):
            return parts
    raise DataError(f"{count} folds: with whole groups some fold would train without a class; ask for fewer folds")
