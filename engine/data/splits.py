"""Training and validation: the names that parts go by, and dividing what comes undivided. Imports without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from engine.data.dataset import DataError
from engine.text import shown

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
