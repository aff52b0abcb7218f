"""Arrays in the cache with a row for each image file's content, which other data sets find again row by row.

So one image more costs one image, and one less costs none. Imports without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine import cache

T = TypeVar("T")
CONTENTS, VALUES = "contents.npy", "values.msgpack"
Digests = NDArray[np.bytes_]
"""The digests (hex) of contents, sorted, each once; all of one length."""
Files = Mapping[str, NDArray[Any] | bytes]
"""What is to be written, by file name; the rows of arrays are in the order of the contents."""


class ReusableRows(NamedTuple):
    """Rows of an entry that are wanted: their places in it, ``there``, and where they belong, ``here``; int64 (N,)."""

    path: Path
    there: NDArray[np.int64]
    here: NDArray[np.int64]


def as_digests(contents: Iterable[str]) -> Digests:
    """These digests as an array."""
    return np.array(sorted(contents), np.bytes_)


def entry_name(recipe: str, contents: Digests) -> str:
    """The name of the entry of exactly these contents; ``recipe`` is :func:`engine.cache.key` of how it was made."""
    return f"{recipe}-{cache.key(contents.tobytes())}"


def reusable_rows(kind: str, recipe: str, contents: Digests) -> Iterator[ReusableRows]:
    """Entries made in the same way that have rows of these contents, none of which is given twice.

    Each is marked as used now. It may be removed at any moment, and its other files may be damaged.
    """
    missing = np.arange(len(contents))
    for path in cache.alike(kind, recipe, entry_name(recipe, contents)):
        theirs = _contents(path, contents.dtype)
        if theirs is None:
            continue
        wanted = contents[missing]
        places = np.minimum(np.searchsorted(theirs, wanted), len(theirs) - 1)
        same = theirs[places] == wanted
        if same.any() and (used := cache.find(kind, path.name)):
            yield ReusableRows(used, places[same], missing[same])
            missing = missing[~same]
        if not len(missing):
            return


def write_rows(kind: str, recipe: str, description: str, contents: Digests, files: Files) -> None:
    """Makes an entry of these contents' rows; where that fails, it is only logged."""
    files = {**files, CONTENTS: contents}
    size = sum(content.nbytes if isinstance(content, np.ndarray) else len(content) for content in files.values())

    def write(folder: Path) -> None:
        for name, content in files.items():
            if isinstance(content, np.ndarray):
                np.save(folder / name, content, allow_pickle=False)
            else:
                (folder / name).write_bytes(content)

    cache.remember(kind, entry_name(recipe, contents), description, size, write)


def remembered(kind: str, recipe: str, contents: Sequence[str], of: type[T]) -> dict[str, T]:
    """What :func:`remember` kept of these contents, in whatever company."""
    wanted, found = as_digests(set(contents)), dict[str, T]()
    for path, there, here in reusable_rows(kind, recipe, wanted):
        try:
            values = msgspec.msgpack.decode((path / VALUES).read_bytes(), type=list[of])  # type: ignore[valid-type]
            names = wanted[here].tolist()
            found |= {name.decode(): values[place] for name, place in zip(names, there.tolist(), strict=True)}
        except (OSError, ValueError, IndexError):
            continue
    return found


def remember(kind: str, recipe: str, values: Mapping[str, object], what: str) -> None:
    """Makes an entry of a value of each content, ``what`` they are in words; where that fails, it is only logged."""
    contents = as_digests(values)
    encoded = msgspec.msgpack.encode([values[content.decode()] for content in contents.tolist()])
    write_rows(kind, recipe, f"{what} of {len(values)} files", contents, {VALUES: encoded})


def _contents(path: Path, dtype: np.dtype[Any]) -> Digests | None:
    """The contents of an entry, mapped; None where they cannot be had."""
    try:
        array: Digests = np.load(path / CONTENTS, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError):
        return None
    return array if array.ndim == 1 and array.dtype == dtype and len(array) else None
