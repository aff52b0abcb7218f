"""Data as a CSV file: a column of paths, a column of labels, maybe one that says which part. Imports without torch."""

from __future__ import annotations

import csv
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct
from msgspec.structs import replace

from engine.data.folders import FoundImages, in_parts, unreadable
from engine.data.listed_files import ListedFiles
from engine.data.splits import PART_OF_NAME, Labelled, Part, part_called
from engine.errors import DataError
from engine.text import counted, listed, shown

if TYPE_CHECKING:
    import _csv

PATH_COLUMNS = (
    *("file_path", "filepath", "path", "image_path", "img_path", "file", "file_name", "filename"),
    *("image_file_path", "image_file", "image_filename", "img_name", "fname"),
    *("image", "img", "image_name", "image_id", "img_id", "id_code", "id"),
)
LABEL_COLUMNS = (
    *("label", "labels", "class", "class_name", "label_name", "target", "category"),
    *("pathology", "classification", "species", "finding", "cls"),
    *("diagnosis", "dx", "y", "class_id"),
)
SPLIT_COLUMNS = ("split", "subset", "partition")
MAYBE_SPLIT_COLUMNS = ("set", "data_split", "dataset", "part", "phase", "fold")
"""Names that mean a split only where every value is the name of a part, or some say train and others val or test."""
GROUP_COLUMNS = (
    *("patient", "patient_id", "subject", "subject_id", "person", "case", "case_id", "animal", "individual"),
    *("group", "scene", "location", "site", "camera", "video", "video_id", "session", "lesion_id"),
)
DELIMITERS = ",;\t|"
LARGEST_CSV = 500_000_000
LONGEST_LINE = 1_000_000


class _Row(Struct, frozen=True):
    """One line: its number in the file, and what stands in the columns, stripped."""

    line: int
    path: str
    label: str
    split: str
    group: str


class _Table(Struct, frozen=True):
    """The rows of a CSV file; ``has_split`` where it has a split column."""

    where: str
    rows: list[_Row]
    has_split: bool
    warnings: tuple[str, ...]


def read_csv(path: Path, images: Path, validation: Path | None, group: str | None = None) -> FoundImages:
    """The images that a CSV file lists, or two, the second for validation; paths are relative to ``images``.

    ``group``: the column that says which images belong together. Listed files that are not there are left out with a
    warning. ``DataError`` where the columns, the labels or all the files are missing, or a path leads out of
    ``images``.
    """
    table = _read(path, group)
    groups: dict[str, str] = {}
    if validation is None and table.has_split:
        found = _by_split_column(table, images, groups)
    else:
        train, warnings = _labelled(table.where, table.rows, images, groups)
        found = FoundImages(train, None, "", (*table.warnings, *warnings))
        if validation is not None:
            found = _with_second(found, table, _read(validation, group), images, groups)
            found = replace(found, split=f"given: {shown(path.name)} and {shown(validation.name)}")
    return replace(found, groups=None if group is None else groups)


def group_column(path: Path) -> str:
    """The column that may say which images belong together, empty where none looks like it.

    ``DataError`` or ``OSError`` where the file cannot be read.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        return _group_column(_delimited(file, shown(str(path)))[1])


def _with_second(
    found: FoundImages, table: _Table, second: _Table, images: Path, groups: dict[str, str]
) -> FoundImages:
    val, more = _labelled(second.where, second.rows, images, groups)
    warnings = found.warnings
    for one in (table, second):
        if one.has_split:
            warnings += (f"{one.where}: the split column is not used, because a second CSV file is for validation",)
    return FoundImages(found.train, val, "", (*warnings, *second.warnings, *more))


def _by_split_column(table: _Table, images: Path, groups: dict[str, str]) -> FoundImages:
    parts: dict[Part, list[_Row]] = {}
    for row in table.rows:
        part = part_called(row.split)
        if part is None:
            found = f"split {shown(row.split, 60)}" if row.split else "no split"
            raise DataError(f"{table.where}: line {row.line}: {found}; a split is one of {', '.join(PART_OF_NAME)}")
        parts.setdefault(part, []).append(row)
    if "train" not in parts:
        raise DataError(f"{table.where}: no row whose split is train")
    given, used = in_parts(
        parts, lambda rows: _labelled(table.where, rows, images, groups), lambda rows: f", {len(rows):,} rows"
    )
    split = f"given: split column, {' and '.join(used)}" if given.val is not None else ""
    return replace(given, split=split, warnings=(*table.warnings, *given.warnings))


def _read(path: Path, group: str | None) -> _Table:
    where = shown(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not path.is_dir():
            raise DataError(f"{where}: not a file but something that may never end")
        if status.st_size > LARGEST_CSV:
            raise DataError(f"{where}: larger than {LARGEST_CSV:,} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parsed(file, where, group)
    except OSError as error:
        raise unreadable(path, error) from None
    except UnicodeDecodeError:
        raise DataError(f"{where}: not UTF-8 text, so not a CSV file that can be read; save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{where}: not valid CSV: {error}") from None


def _parsed(file: TextIO, where: str, group: str | None) -> _Table:
    delimiter, header = _delimited(file, where)
    path_column, path_note = _column(header, PATH_COLUMNS, "paths", where)
    label_column, label_note = _column(header, LABEL_COLUMNS, "labels", where)
    split_column = _split_column(header, partial(_cells, file, where, delimiter))
    group_column = None if group is None else _named_column(header, group, where)
    rows = []
    for line, cells in _cells(file, where, delimiter):
        if any(cells[len(header) :]):
            raise DataError(f"{where}: line {line}: more cells than the header has; quote cells with commas")
        cells += [""] * (len(header) - len(cells))  # noqa: PLW2901
        # labels, splits and groups stand in many rows: one of each is kept
        split, name = ("" if one is None else intern(cells[one]) for one in (split_column, group_column))
        rows.append(_Row(line, cells[path_column], intern(cells[label_column]), split, name))
    if not rows:
        raise DataError(f"{where}: a header and no rows")
    notes = (path_note, label_note, "" if group is not None else _group_note(header, where))
    return _Table(where, rows, split_column is not None, tuple(filter(None, notes)))


def _delimited(file: TextIO, where: str) -> tuple[str, list[str]]:
    """The delimiter and the header: the one that makes the header's columns known.

    csv.Sniffer also looks at the cells, and is misled by those with spaces and commas.
    """
    headers: dict[str, list[str]] = {}
    for delimiter in DELIMITERS:
        with suppress(csv.Error):  # quoted cells end at one delimiter alone
            headers[delimiter] = _header(_reader(file, where, delimiter))
    if not headers:
        raise DataError(f"{where}: not valid CSV: the quotes in its first line do not match")
    if not any(headers.values()):
        raise DataError(f"{where}: the file is empty")
    delimiter = max(headers, key=lambda one: (_known(headers[one]), len(headers[one])))
    return delimiter, headers[delimiter]


def _split_column(header: list[str], rows: Callable[[], Iterator[tuple[int, list[str]]]]) -> int | None:
    normal = _normal(header)
    for number, name in enumerate(normal):
        if name in SPLIT_COLUMNS:
            return number
        if name in MAYBE_SPLIT_COLUMNS:
            parts = {part_called(cells[number] if len(cells) > number else "") for _, cells in rows()}
            if parts and (None not in parts or {"train", "val"} <= parts or {"train", "test"} <= parts):
                return number
    return None


def _cells(file: TextIO, where: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The lines below the header that are not empty: their numbers, and their cells, stripped."""
    reader = _reader(file, where, delimiter)
    _header(reader)
    for cells in reader:
        values = [cell.strip() for cell in cells]
        if any(values):
            yield reader.line_num, values


def _reader(file: TextIO, where: str, delimiter: str) -> _csv.Reader:
    """A reader of the file from its beginning."""
    file.seek(0)
    return csv.reader(_lines(file, where), delimiter=delimiter, skipinitialspace=True, strict=True)


def _lines(file: TextIO, where: str) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise DataError(f"{where}: has a line of more than {LONGEST_LINE:,} characters, so it is no list of images")
        yield line


def _header(reader: _csv.Reader) -> list[str]:
    """The first line that is not empty, as it stands there."""
    return next((cells for cells in reader if any(map(str.strip, cells))), [])


def _normal(header: Iterable[str]) -> list[str]:
    return [name.strip().lower().replace(" ", "_").replace("-", "_") for name in header]


def _known(header: list[str]) -> int:
    """How many of the two columns that are needed are there."""
    return sum(not set(names).isdisjoint(_normal(header)) for names in (PATH_COLUMNS, LABEL_COLUMNS))


def _column(header: list[str], names: tuple[str, ...], of_what: str, where: str) -> tuple[int, str]:
    """The number of the first known column, and a note where others could be meant."""
    normal = _normal(header)
    known = [name for name in names if name in normal]
    if not known:
        raise DataError(
            f"{where}: no column of {of_what}; the columns are {listed(header, 12)}; "
            f"a column of {of_what} is called {', '.join(names)}"
        )
    note = f"{where}: {of_what} are read from column {known[0]}, not from {listed(known[1:])}" if known[1:] else ""
    return normal.index(known[0]), note


def _group_note(header: list[str], where: str) -> str:
    """A note that a column may tell which images belong together; empty where none looks like it."""
    found = _group_column(header)
    return found and f"{where}: column {shown(found, 60)} may say which images belong together: name it as the group"


def _group_column(header: list[str]) -> str:
    named = zip(header, _normal(header), strict=True)
    return next((cell.strip() for cell, name in named if name in GROUP_COLUMNS), "")


def _named_column(header: list[str], name: str, where: str) -> int:
    """The number of the column of this name, as it is written or in any usual spelling."""
    for names, wanted in (([cell.strip() for cell in header], name.strip()), (_normal(header), *_normal([name]))):
        if wanted in names:
            return names.index(wanted)
    raise DataError(f"{where}: no column {shown(name, 60)} to take groups from; the columns are {listed(header, 12)}")


def _labelled(
    where: str, rows: list[_Row], images: Path, groups: dict[str, str]
) -> tuple[list[Labelled], tuple[str, ...]]:
    """The images of these rows that are there, each once, sorted by path, and warnings; adds their ``groups``."""
    torn_rows = [row.line for row in rows if not row.path or not row.label]
    if len(torn_rows) == len(rows):
        raise DataError(f"{where}: line {torn_rows[0]}: no path or no label, nor in any other row")
    rows = [row for row in rows if row.path and row.label]
    files = ListedFiles(images)
    labels: dict[str, str] = {}
    missing: list[str] = []
    twice: set[str] = set()
    torn: set[str] = set()
    for row in rows:
        path = files.find(row.path, f"{where}: line {row.line}")
        if path is None:
            missing.append(row.path)
        elif path in labels:
            (twice if labels[path] == row.label else torn).add(path)
        else:
            labels[path] = row.label
            groups.setdefault(path, row.group)
    if not labels:
        raise DataError(
            f"{where}: none of the {len(missing):,} files listed is in {shown(str(images))}: {listed(missing)}"
        )
    if len(torn) == len(labels):
        raise DataError(f"{where}: every image is listed with different labels: {_names(torn)}")
    warnings = []
    if torn_rows:
        rows_said = counted(len(torn_rows), "row", "rows")
        warnings.append(f"{rows_said} without a path or a label left out, the first in line {torn_rows[0]}")
    if missing:
        files_are = counted(len(missing), "listed file is", "listed files are")
        warnings.append(f"{files_are} not in {shown(str(images))}: {listed(missing)}")
    if torn:
        images_said = counted(len(torn), "image", "images")
        warnings.append(f"{images_said} left out, listed with different labels: {_names(torn)}")
    if repeated := twice - torn:
        images_are = counted(len(repeated), "image is", "images are")
        warnings.append(f"{images_are} listed more than once: {_names(repeated)}")
    found = [image for image in labels.items() if image[0] not in torn]
    return sorted(found), tuple(f"{where}: {warning}" for warning in warnings)


def _names(paths: Iterable[str]) -> str:
    return listed([Path(path).name for path in sorted(paths)])
