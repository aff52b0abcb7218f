"""Dividing the images that were found into training, validation and test. Imports without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from engine.data.folders import FoundImages
from engine.data.group_split import hold_out, single_group_strata
from engine.data.splits import Labelled, stratified, stratified_in_words
from engine.errors import DataError
from engine.specs.spec import DataSource
from engine.text import listed


class Parts(Struct, frozen=True):
    """The images of each part, sorted by path; ``words`` says how they were divided."""

    train: list[Labelled]
    val: list[Labelled]
    test: list[Labelled]
    words: str
    warnings: tuple[str, ...] = ()


def divide(found: FoundImages, source: DataSource, groups: Mapping[str, str], where: str) -> Parts:
    """The parts that were given, or divided here as the source asks; ``groups``: by path, where known.

    A part for test is set apart first. ``DataError`` where a class or a group cannot be divided.
    """
    test, words = found.test or [], list[str]()
    warnings: tuple[str, ...] = ()
    if source.test_fraction is not None and found.test:
        warnings = (f"{where}: already has a test part, so test_fraction is ignored",)
    elif source.test_fraction is not None:
        found, test = _without_test(found, source.test_fraction, source.split_seed, groups, where)
        how = f", by group, seed {source.split_seed}" if groups else f", seed {source.split_seed}"
        words.append(f"{_percent(source.test_fraction)} of each class held out here for test{how}")
    if source.split == "grouped":
        images = sorted({*found.train, *(found.val or ())})
        train, val, more = _grouped(images, source.val_fraction, source.split_seed, groups, where)
        warnings += more
        share = _percent(len(val) / len(images))
        words.insert(0, f"split here by group: {share} of the images for validation, seed {source.split_seed}")
    elif found.val is None:
        train, val = stratified(found.train, source.val_fraction, source.split_seed, where)
        words.insert(0, stratified_in_words(source.val_fraction, source.split_seed))
    else:
        train, val = found.train, found.val
        words.insert(0, found.split)
    return Parts(train, val, test, "; ".join(words), warnings)


def _without_test(
    found: FoundImages, fraction: float, seed: int, groups: Mapping[str, str], where: str
) -> tuple[FoundImages, list[Labelled]]:
    """What is left where a test part was set apart, of each class and each given part alike, and that test part."""
    images = [(image, "train") for image in found.train] + [(image, "val") for image in found.val or ()]
    strata = [(name, part) for (_, name), part in images]
    listings = Counter(path for (path, _), _ in images)
    whole = [groups.get(path) or (path if listings[path] > 1 else "") for (path, _), _ in images]
    apart = hold_out(strata, whole, fraction, seed)
    kept = [one for index, one in enumerate(images) if index not in apart]
    train, val = ([image for image, part in kept if part == which] for which in ("train", "val"))
    if not apart or (found.val is not None and not val):
        raise DataError(f"{where}: too few {'groups' if groups else 'images'} to hold out a test set")
    test = sorted({images[index][0] for index in apart})
    return FoundImages(train, None if found.val is None else val, found.split, found.warnings), test


def _grouped(
    images: Sequence[Labelled], fraction: float, seed: int, groups: Mapping[str, str], where: str
) -> tuple[list[Labelled], list[Labelled], tuple[str, ...]]:
    """Training and validation with groups whole, and a warning where a class is in one group only."""
    names, group_of = [name for _, name in images], [groups.get(path, "") for path, _ in images]
    chosen = hold_out(names, group_of, fraction, seed)
    if not chosen:
        raise DataError(f"{where}: cannot be split by group: every group has a class that no other group has")
    train = [image for index, image in enumerate(images) if index not in chosen]
    val = [image for index, image in enumerate(images) if index in chosen]
    lonely = sorted(names[index] for index in single_group_strata(names, group_of))
    warnings = (
        (f"{where}: all images of these classes are in one group, so only in training: {listed(lonely)}",)
        if lonely
        else ()
    )
    return train, val, warnings


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
