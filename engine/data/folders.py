"""Data as folders: ``train/CLASS/*`` and ``val/CLASS/*``, or ``CLASS/*`` alone. Imports without torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from engine.data.splits import PART_NAMES, Labelled, Part, part_called
from engine.errors import DataError
from engine.text import counted, listed, shown

T = TypeVar("T")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""The names that images end in, in small letters."""


class FoundImages(Struct, frozen=True):
    """Labelled images as they were given; ``val`` and ``test`` are None where no such part was.

    ``groups``: what the column of groups says of an image, by its path; None where no column was asked for.
    """

    train: list[Labelled]
    val: list[Labelled] | None
    split: str
    warnings: tuple[str, ...]
    test: list[Labelled] | None = None
    groups: dict[str, str] | None = None


class _Listing(Struct):
    """The files under a folder: images, files that are none by their name, images whose name is not UTF-8; and links
    to folders that are not its own.
    """

    images: list[str]
    others: list[str]
    unnameable: list[str]
    links: list[str]


def read_folders(folder: Path) -> FoundImages:
    """The images in a folder of class folders, or in its train, val and test folders; test is val where no val is.

    Hidden files and folders do not count; folders inside a class folder do. ``DataError`` where there is no image.
    """
    children = _subfolders(folder)
    parts = _parts(folder, children)
    if "train" not in parts:
        images, warnings = _labelled(folder, children)
        return FoundImages(images, None, "", warnings)
    found, used = in_parts(parts, lambda part: _labelled(part, _subfolders(part)), lambda _: "")
    names, warnings = [parts[part].name for part in used], found.warnings
    if unused := [child.name for child in children if child not in parts.values()]:
        warnings += (f"{shown(str(folder))}: not used beside {listed(names)}: {listed(unused)}",)
    split = f"given: folders {' and '.join(map(shown, names))}" if found.val is not None else ""
    return replace(found, split=split, warnings=warnings)


def in_parts(
    parts: Mapping[Part, T], labelled: Callable[[T], tuple[list[Labelled], tuple[str, ...]]], size: Callable[[T], str]
) -> tuple[FoundImages, list[Part]]:
    """What ``labelled`` finds in each part, with warnings, and the parts in which it found something.

    test is val where no val is. Beside one, a test part in which there is nothing is left out with a warning: often it
    comes without labels. ``size`` says in that how large it is, if anything.
    """
    given: dict[Part, list[Labelled]] = {}
    warnings: tuple[str, ...] = ()
    for part in PART_NAMES:
        if part not in parts:
            continue
        try:
            given[part], more = labelled(parts[part])
        except DataError as error:
            if part != "test" or "val" not in given:
                raise
            more = (f"no test part{size(parts[part])}: {error}",)
        warnings += more
    used = [part for part in PART_NAMES if part in given]
    if "val" not in given and "test" in given:
        given["val"] = given.pop("test")
    return FoundImages(given["train"], given.get("val"), "", warnings, given.get("test")), used


def _parts(folder: Path, children: list[Path]) -> dict[Part, Path]:
    """The folders among ``children`` that are parts of a data set; none where they are classes."""
    named: dict[Part, Path] = {}
    for child in children:
        if part := part_called(child.name):
            named.setdefault(part, child)
    divided = {part: child for part, child in named.items() if _subfolders(child)}
    if "train" in named and (len(named) > 1 or divided):  # a train alone may be a class beside bus and car
        return named
    if "train" not in named and divided:
        names = " and ".join(shown(child.name) for child in divided.values())
        raise DataError(f"{shown(str(folder))}: has {names} with class folders, but no folder train")
    return {}


def _labelled(folder: Path, class_folders: list[Path]) -> tuple[list[Labelled], tuple[str, ...]]:
    """The images of each class folder, sorted by path, and warnings."""
    where = shown(str(folder))
    images: list[Labelled] = []
    others: list[str] = []
    unnameable: list[str] = []
    links: list[str] = []
    empty: list[str] = []
    around = {_identity(one) for one in (*class_folders, folder, *folder.resolve().parents)}
    for class_folder in class_folders:
        listing = _files_below(class_folder, around)
        if not listing.images:
            empty.append(class_folder.name)
        elif not is_text(class_folder.name):
            raise DataError(f"{where}: the folder name {shown(class_folder.name)} is not valid UTF-8; rename it")
        images += ((path, class_folder.name) for path in listing.images)
        others += listing.others
        unnameable += listing.unnameable
        links += listing.links
    if not images:
        raise DataError(f"{where}: {_why_no_images(folder, class_folders, others)}")
    warnings = (
        _left_out(folder, others, "not an image by its name"),
        _left_out(folder, unnameable, "the name is not valid UTF-8"),
        _left_out(folder, links, "a link to a folder of other classes"),
        f"{where}: no images in {listed(empty)}, so not used as a class" if empty else "",
    )
    return sorted(images), tuple(filter(None, warnings))


def _left_out(folder: Path, paths: list[str], why: str) -> str:
    if not paths:
        return ""
    names = [os.path.relpath(path, folder) for path in sorted(paths)]
    return f"{shown(str(folder))}: {len(paths):,} left out ({why}): {listed(names)}"


def _why_no_images(folder: Path, class_folders: list[Path], others: list[str]) -> str:
    endings = " ".join(ending[1:] for ending in EXTENSIONS)
    if not class_folders:
        loose = any(is_image(child.name) for child in folder.iterdir())
        found = "has images but no class folders" if loose else "no class folders in it"
        return f"{found}; images belong in one folder a class, as in {shown(folder.name)}/CLASS/image.jpg"
    also = f" (files of other kinds: {len(others):,})" if others else ""
    return f"no images in its {len(class_folders):,} folders{also}; images end in {endings}"


def images_at(path: Path) -> list[str]:
    """An image file itself, or every image below a folder, sorted by path; :class:`DataError` where it has none."""
    if not path.is_dir():
        return [str(path)]
    found = sorted(_files_below(path, set()).images)
    if not found:
        raise DataError(f"{path}: no image in this folder ({' '.join(ending[1:] for ending in EXTENSIONS)})")
    return found


def labels_at(folder: Path, images: Sequence[str], classes: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The classes of the images below a folder, by their paths, and warnings: no class where no folder is one.

    A class has a folder of its name in the folder itself, or in its train, val or test folder.
    """
    folder_of = {image: _class_folder(PurePath(image).relative_to(folder), classes) for image in images}
    labels = {image: name for image, name in folder_of.items() if name in classes}
    others = [name for name in folder_of.values() if name and name not in classes]
    if not others:
        return labels, ()
    count = counted(len(others), "image", "images")
    where, named = shown(str(folder)), listed(sorted({*others}))
    if not labels:
        has = f"its folders ({named}) are no class of the experiment ({listed(sorted(classes))})"
        return labels, (f"{where}: {has}, so nothing is scored",)
    return labels, (f"{where}: {count} without a label, in folders that are no class: {named}",)


def _class_folder(image: PurePath, classes: Collection[str]) -> str:
    """The name of the folder that is a class if any is, empty where the image is in none."""
    first, *rest = image.parts[:-1] or ("",)
    return rest[0] if rest and first not in classes and part_called(first) else first


def is_image(name: str) -> bool:
    """Whether a file of this name counts as an image."""
    return name.lower().endswith(EXTENSIONS)


def is_text(name: str) -> bool:
    """Whether a name from the file system is valid UTF-8, so that it can be written to a log."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _subfolders(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if _visible(entry.name) and _is_folder(entry))
    except OSError as error:
        raise unreadable(folder, error) from None


def _files_below(folder: Path, around: set[tuple[int, int]]) -> _Listing:
    """Every file under a folder that is not hidden; links to folders are followed, each folder once.

    Not to those ``around`` it: in them are the images of other classes.
    """
    listing = _Listing([], [], [], [])
    seen: set[tuple[int, int]] = set()
    waiting = [str(folder)]
    while waiting:
        current = waiting.pop()
        try:
            if (identity := _identity(current)) in seen:
                continue
            if seen and identity in around:
                listing.links.append(current)
                continue
            seen.add(identity)
            with os.scandir(current) as entries:
                for entry in entries:
                    if not _visible(entry.name):
                        continue
                    if _is_folder(entry):
                        waiting.append(entry.path)
                    else:
                        _sort_in(listing, entry)
        except OSError as error:
            raise unreadable(current, error) from None
    return listing


def _sort_in(listing: _Listing, entry: os.DirEntry[str]) -> None:
    if not is_image(entry.name) or not may_be_read(entry):
        listing.others.append(entry.path)
    elif not is_text(entry.name):
        listing.unnameable.append(entry.path)
    else:
        listing.images.append(entry.path)


def may_be_read(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is a file, or a link to one or to nowhere: decoding will name that.

    Not a pipe or a device, nor a link to one: reading it might wait or go on for ever.
    """
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))  # noqa: PTH110 - no Path each
    except OSError:  # a link to itself, or to where one may not look
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # as above
        return False


def _identity(path: str | Path) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def unreadable(path: str | Path, error: OSError) -> DataError:
    """What to tell a person about a file or folder that cannot be read."""
    return DataError(f"{shown(str(path))}: {(error.strerror or str(error)).lower()}")
