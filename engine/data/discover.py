"""From a data source to a data set: folders, a CSV file or the demo set. Imports without torch and Pillow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.data.csv_file import read_csv
from engine.data.dataset import DataError, DataSet, Sample, summary
from engine.data.folders import Found, is_text, read_folders, unreadable
from engine.data.splits import Labelled, stratified, stratified_in_words
from engine.spec import DataSource
from engine.text import listed, shown

__all__ = ["DataError", "DataSet", "Sample", "discover", "summary"]

DEMO_NAME = "demo (synthetic, not medical)"
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


def discover(source: DataSource) -> DataSet:
    """The labelled images of a source, without opening any; the demo set is drawn where it is not there yet.

    ``DataError`` where they cannot be used: nothing there, fewer than two classes, a class of validation images that
    training lacks, a CSV file without the columns.
    """
    try:
        return _demo(source) if source.path is None else _given(source, _absolute(source.path))
    except OSError as error:  # a name too long, a folder that may not be read
        raise unreadable(error.filename or source.path or "", error) from None


def _given(source: DataSource, path: Path) -> DataSet:
    name, where = path.name or str(path), shown(str(path))
    if path.is_dir():
        if unused := [option for option in ("validation", "images") if getattr(source, option) is not None]:
            raise DataError(f"{where}: is a folder; {' and '.join(unused)} can only be named with a CSV file")
        return _dataset(DataSet(name, str(path), "folders", (), (), (), "", ()), read_folders(path), source)
    if not path.exists():
        raise DataError(f"{where}: no such file or folder")
    if not path.is_file() or path.suffix.lower() in ARCHIVES:
        unpack = "; unpack it first" if path.is_file() else ""
        raise DataError(f"{where}: neither a folder nor a CSV file{unpack}")
    images = path.parent if source.images is None else _absolute(source.images)
    if not images.is_dir():
        raise DataError(f"{shown(str(images))}: no such folder of images")
    validation = None if source.validation is None else _absolute(source.validation)
    found = read_csv(path, images, validation)
    return _dataset(DataSet(path.stem, str(path), "csv", (), (), (), "", ()), found, source)


def _demo(source: DataSource) -> DataSet:
    if source.validation is not None or source.images is not None:
        raise DataError("validation and images can only be named with a CSV file, and no data was named")
    # Imported here because numpy and Pillow are needed only where the demo set has to be drawn.
    from engine.data.demo import demo_folder  # noqa: PLC0415

    folder = demo_folder()
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
        raise DataError(f"{shown(str(path))}: not valid UTF-8, so it cannot be written down; rename it")
    return path


def _dataset(empty: DataSet, found: Found, source: DataSource) -> DataSet:
    """The empty data set filled with what was found, divided here where it came undivided."""
    where = shown(empty.path)
    classes = tuple(sorted({name for _, name in found.train}))
    if len(classes) < 2:
        raise DataError(f"{where}: only one class ({shown(classes[0])}); at least 2 are needed{_hint(empty, classes)}")
    warnings = list(found.warnings)
    if found.val is None:
        train, val = stratified(found.train, source.val_fraction, source.split_seed, where)
        split = stratified_in_words(source.val_fraction, source.split_seed)
    else:
        train, val, split = found.train, found.val, found.split
        warnings += _check_given(where, classes, train, val)
    return replace(
        empty,
        classes=classes,
        train=_samples(train, classes),
        val=_samples(val, classes),
        split=split,
        warnings=tuple(warnings),
    )


def _check_given(where: str, classes: Sequence[str], train: list[Labelled], val: list[Labelled]) -> list[str]:
    """Warnings about a given split; ``DataError`` where validation has a class that training lacks."""
    in_val = {name for _, name in val}
    if unknown := sorted(in_val.difference(classes)):
        raise DataError(f"{where}: validation has classes that training lacks: {listed(unknown)}")
    warnings = []
    if absent := [name for name in classes if name not in in_val]:
        warnings.append(f"{where}: no validation image of {listed(absent)}")
    if both := sorted({path for path, _ in train}.intersection(path for path, _ in val)):
        names = listed([Path(path).name for path in both])
        warnings.append(f"{where}: {len(both):,} images are in both training and validation: {names}")
    return warnings


def _hint(dataset: DataSet, classes: tuple[str, ...]) -> str:
    """Where the data set probably is, if one folder too high was named."""
    inner = Path(dataset.path) / classes[0]
    if dataset.kind != "folders" or not inner.is_dir():
        return ""
    folders = [child for child in inner.iterdir() if child.is_dir() and not child.name.startswith(".")]
    return f"; did you mean {shown(str(inner))}?" if len(folders) > 1 else ""


def _samples(images: Sequence[Labelled], classes: Sequence[str]) -> tuple[Sample, ...]:
    number = {name: label for label, name in enumerate(classes)}
    return tuple(Sample(path, number[name]) for path, name in images)
