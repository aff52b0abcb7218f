"""From a data source to a data set: folders, a CSV file or the demo set. Imports without torch and Pillow."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from engine.data.csv_file import read_csv
from engine.data.dataset import DataSet, Sample
from engine.data.folders import FoundImages, is_image, is_text, read_folders, unreadable
from engine.data.groups import Grouping, by_column, by_pattern
from engine.data.parts import Parts, divide
from engine.data.splits import Labelled
from engine.errors import DataError
from engine.specs.spec import DataSource
from engine.text import did_you_mean, listed, shown

DEMO_NAME = "demo (synthetic, not medical)"
CSV_ONLY = ("validation", "images", "group")
"""What of a data source has a meaning with a CSV file alone."""
LOOKED_AT = 1000
"""Names of a folder among which one that is near is looked for."""
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


def discover(source: DataSource) -> DataSet:
    """The labelled images of a source, without opening any; the demo set is drawn where it is not there yet.

    ``DataError`` where they cannot be used: nothing there, fewer than two classes, a class of validation images that
    training lacks, a CSV file without the columns, a pattern that finds no group.
    """
    try:
        return _demo(source) if source.path is None else _given(source, _absolute(source.path))
    except OSError as error:  # a name too long, a folder that may not be read
        raise unreadable(error.filename or source.path or "", error) from None


def _given(source: DataSource, path: Path) -> DataSet:
    name, where = path.name or str(path), shown(str(path))
    if path.is_dir():
        if unused := [option for option in CSV_ONLY if getattr(source, option) is not None]:
            instead = "; name groups with group_pattern" if "group" in unused else ""
            raise DataError(f"{where}: is a folder; {' and '.join(unused)} can only be named with a CSV file{instead}")
        return _dataset(DataSet(name, str(path), "folders", (), (), (), "", ()), read_folders(path), source)
    if not path.exists():
        raise DataError(f"{where}: no such file or folder{_instead(source.path or str(path), path)}")
    if not path.is_file() or path.suffix.lower() in ARCHIVES:
        unpack = "; unpack it first" if path.is_file() else ""
        raise DataError(f"{where}: neither a folder nor a CSV file{unpack}")
    if is_image(path.name):
        raise DataError(f"{where}: is an image; give the folder of all images, with one folder a class in it")
    images = path.parent if source.images is None else _absolute(source.images)
    if not images.is_dir():
        raise DataError(f"{shown(str(images))}: no such folder of images")
    validation = None if source.validation is None else _absolute(source.validation)
    found = read_csv(path, images, validation, source.group)
    return _dataset(DataSet(path.stem, str(path), "csv", (), (), (), "", ()), found, source)


def _instead(given: str, path: Path) -> str:
    """What was meant by a path where nothing is: the same from the root on, or a name in its folder that is near."""
    from_root = Path("/", given)
    with suppress(OSError, ValueError):
        if not Path(given).is_absolute() and from_root.exists():
            return f"; did you mean {shown(str(from_root))}?"
        return did_you_mean(path.name, islice((entry.name for entry in path.parent.iterdir()), LOOKED_AT))
    return ""


def _demo(source: DataSource) -> DataSet:
    if any(getattr(source, option) is not None for option in CSV_ONLY):
        raise DataError(f"{', '.join(CSV_ONLY)} can only be named with a CSV file, and no data was named")
    # Imported here because numpy and Pillow are needed only where the demo set has to be drawn.
    from engine.data.demo import GROUP_PATTERN, demo_folder  # noqa: PLC0415

    folder = demo_folder()
    if source.group_pattern is None:  # no guess: tl-tui gave these names itself
        source = replace(source, group_pattern=GROUP_PATTERN)
    return _dataset(DataSet(DEMO_NAME, str(folder), "demo", (), (), (), "", ()), read_folders(folder), source)


def _absolute(text: str) -> Path:
    if not text.strip() or not is_text(text):
        raise DataError("the path of the data is empty" if is_text(text) else f"{shown(text)}: not valid UTF-8")
    try:
        # Not resolve(): a person knows a data set by the link that leads to it.
        path = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100
    except (RuntimeError, ValueError) as error:  # ~somebody whom nobody knows; a null character
        raise DataError(f"{shown(text)}: {error}") from None
    if not is_text(str(path)):  # the working folder's name
        raise DataError(f"{shown(str(path))}: not valid UTF-8, so it cannot be saved; rename it")
    return path


def image_root(dataset: DataSet, source: DataSource) -> str:
    """The folder below which the paths of images are looked at for groups: of a CSV, that of its images."""
    if dataset.kind != "csv":
        return dataset.path
    return str(Path(dataset.path).parent if source.images is None else _absolute(source.images))


def _dataset(empty: DataSet, found: FoundImages, source: DataSource) -> DataSet:
    """The empty data set filled with what was found, divided here where it came undivided or that was asked for."""
    where = shown(empty.path)
    anew = found.val or [] if source.split == "grouped" else []
    classes = tuple(sorted({name for _, name in (*found.train, *anew)}))
    if len(classes) < 2:
        raise DataError(f"{where}: only one class ({shown(classes[0])}); at least 2 are needed{_hint(empty, classes)}")
    test, warnings = _given_test(where, classes, found)
    found = replace(found, test=test)
    paths = [path for part in (found.train, found.val, test) for path, _ in part or ()]
    groups = _groups(paths, found, source, image_root(empty, source), where)
    if source.split == "grouped" and not groups.of:
        raise DataError(f"{where}: split grouped needs to know the groups; name {_how_to_group(empty)}")
    parts = divide(found, source, groups.of, where)
    warnings = (*found.warnings, *warnings, *groups.warnings, *parts.warnings)
    warnings += _check_parts(where, classes, parts)
    return replace(
        empty,
        classes=classes,
        train=_samples(parts.train, classes, groups.of),
        val=_samples(parts.val, classes, groups.of),
        test=_samples(parts.test, classes, groups.of),
        split=parts.words,
        groups=groups.words,
        warnings=warnings,
    )


def _given_test(
    where: str, classes: Sequence[str], found: FoundImages
) -> tuple[list[Labelled] | None, tuple[str, ...]]:
    """The test part that came with the data, and warnings; not used where it has classes that training lacks."""
    if found.test is None:
        return None, ()
    if unknown := sorted({name for _, name in found.test}.difference(classes)):
        return None, (f"{where}: no test part: it has classes that training lacks: {listed(unknown)}",)
    return found.test, ()


def _groups(paths: list[str], found: FoundImages, source: DataSource, root: str, where: str) -> Grouping:
    if source.group is not None and source.group_pattern is not None:
        raise DataError("group and group_pattern both say what a group is; name one of them")
    if source.group is not None:
        return by_column(source.group, found.groups or {}, paths, where)
    if source.group_pattern is not None:
        return by_pattern(source.group_pattern, paths, root, where)
    return Grouping({})


def _how_to_group(dataset: DataSet) -> str:
    column = "a column (group, --group) or " if dataset.kind == "csv" else ""
    return rf"{column}a pattern (group_pattern, --group-pattern), such as 'patient-(\d+)'"


def _check_parts(where: str, classes: Sequence[str], parts: Parts) -> tuple[str, ...]:
    """Warnings about a split; ``DataError`` where validation has a class that training lacks."""
    in_train, in_val = ({name for _, name in part} for part in (parts.train, parts.val))
    if unknown := sorted(in_val.difference(in_train)):
        raise DataError(f"{where}: validation has classes that training lacks: {listed(unknown)}")
    warnings = []
    if absent := [name for name in classes if name not in in_val]:
        warnings.append(f"{where}: no validation image of {listed(absent)}")
    if several := [name for name in classes if _names_several(name, classes)]:
        warnings.append(f"{where}: {listed(several)}: each taken for a class of its own, not for several labels")
    train, val, test = ({path for path, _ in part} for part in (parts.train, parts.val, parts.test))
    for both, names in ((train & val, "training and validation"), ((train | val) & test, "test and another part")):
        if both:
            some = listed([Path(path).name for path in sorted(both)])
            warnings.append(f"{where}: {len(both):,} images are in both {names}: {some}")
    return tuple(warnings)


def _names_several(name: str, classes: Sequence[str]) -> bool:
    """Whether a label is made of several classes: ``cat|dog``."""
    named = [part.strip() for part in re.split(r"[|;,+&/]", name)]
    return len(named) > 1 and all(part in classes for part in named)


def _hint(dataset: DataSet, classes: tuple[str, ...]) -> str:
    """Where the data set probably is, if one folder too high was named."""
    inner = Path(dataset.path) / classes[0]
    if dataset.kind != "folders" or not inner.is_dir():
        return ""
    folders = [child for child in inner.iterdir() if child.is_dir() and not child.name.startswith(".")]
    return f"; did you mean {shown(str(inner))}?" if len(folders) > 1 else ""


def _samples(images: Sequence[Labelled], classes: Sequence[str], groups: dict[str, str]) -> tuple[Sample, ...]:
    number = {name: label for label, name in enumerate(classes)}
    return tuple(Sample(path, number[name], groups.get(path, "")) for path, name in images)
