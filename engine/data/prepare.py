"""Decoding every image of a data set once, keeping it where there is room, for the next experiment too."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import PIL
import torch
from numpy.typing import NDArray

from engine import cache
from engine.cached_rows import CONTENTS, Digests, Files, as_digests, entry_name, reusable_rows, write_rows
from engine.data.content_hashes import contents_of, still_contains
from engine.data.dataset import DataSet, Sample, Unreadable
from engine.data.memory_limits import image_memory_budget
from engine.data.pixels import Mapped, OnDemand, Pixels, held, in_memory, mapped, open_mapped, unmap
from engine.data.prepared import Prepared, PreparedPart
from engine.data.squares import CHANGED, Undecoded, decode, decode_into
from engine.data.threads import cores
from engine.errors import DataError
from engine.progress import WorkDone, counting_images, transformed
from engine.text import shown

DECODER = "3"
"""Changes whenever the same file is to be decoded to other pixels, or they are to be kept in another order."""
UNMAP_EVERY = 256
COPIED_AT_ONCE = 64
"""Images that are copied from another entry of the cache between two signs of life."""
PIXELS, UNREADABLE = "pixels.npy", "unreadable.json"
Reasons = dict[int, Undecoded]
"""Why rows could not be decoded."""
Decoding = Generator[int, None, list[Undecoded | None]]
logger = logging.getLogger("engine")


class Squares(NamedTuple):
    """What is to be decoded: ``contents`` by their digests, the file of each, and the ``side`` of the squares (pixels).

    ``recipe`` names the way from files to pixels, ``name`` the data set. ``versions``: the files when they had these
    contents.
    """

    name: str
    contents: Digests
    files: tuple[str, ...]
    versions: tuple[int, ...]
    recipe: str
    side: int

    def unchanged(self, row: int) -> bool:
        """Whether a row's file still has its content."""
        return still_contains(self.files[row], self.contents[row].decode(), self.versions[row])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of all squares together."""
        return len(self.files), self.side, self.side, 3

    @property
    def nbytes(self) -> int:
        """The bytes of all squares together."""
        return math.prod(self.shape)

    @property
    def description(self) -> str:
        """What they are, for a person who looks at the cache."""
        return f"{self.name}: {len(self.files)} images of {self.side} × {self.side} pixels"


def prepare(
    dataset: DataSet, side: int, device: torch.device, later: Executor, others: Sequence[Pixels] = ()
) -> Generator[WorkDone, None, Prepared]:
    """Decodes the data set's images to squares of ``side`` pixels, or finds them decoded.

    What the next experiment can use is written by ``later``; ``others``, of other sides, are kept already, and share
    the room with these. ``DataError`` where a class of training images, or all of validation or of the test part,
    cannot be read. An image left out for a reason that may pass is tried again by the next experiment; that its file
    was another when it was decoded is such a reason, since what is kept is named by what the file was.
    """
    samples = (*dataset.train, *dataset.val, *dataset.test)
    paths = [sample.path for sample in samples]
    hashes, versions = yield from contents_of(paths, cores())
    place_of = {digest: place for place, digest in enumerate(hashes) if digest is not None}
    row_of = {digest: row for row, digest in enumerate(sorted(place_of))}
    squares = Squares(
        dataset.name,
        as_digests(place_of),
        tuple(paths[place_of[digest]] for digest in row_of),
        tuple(versions[place_of[digest]] for digest in row_of),
        cache.key(DECODER, PIL.__version__, side),
        side,
    )
    pixels, reasons = yield from _decoded(squares, device, later, others)
    rows = [None if digest is None else row_of[digest] for digest in hashes]
    place, end = len(dataset.train), len(dataset.train) + len(dataset.val)
    train, val, test = (
        _part(part, part_rows, reasons, side)
        for part, part_rows in (
            (dataset.train, rows[:place]),
            (dataset.val, rows[place:end]),
            (dataset.test, rows[end:]),
        )
    )
    _check_usable(dataset, train, val, test)
    labels = [sample.label for sample in samples]
    ends = (place, end) if dataset.test else (place,)  # without a test part as it always was, so that logs go on
    passing = {row for row, undecoded in reasons.items() if undecoded.passing}
    seen = [None if row in passing else digest for row, digest in zip(rows, hashes, strict=True)]
    fingerprint = cache.key("data", repr(dataset.classes), repr(seen), repr(labels), *ends)
    return Prepared(pixels, train, val, squares.contents, squares.recipe, fingerprint, test)


def _decoded(
    squares: Squares, device: torch.device, later: Executor, others: Sequence[Pixels]
) -> Generator[WorkDone, None, tuple[Pixels, Reasons]]:
    """The pixels of the files, and why some rows could not be decoded."""
    fits = squares.nbytes <= image_memory_budget(held(others, "cpu"))
    if found := _found(squares, device, fits, others):
        return found
    if fits:
        array = np.zeros(squares.shape, np.uint8)
        reasons, decoded = yield from _filled(array, squares, "decoding")
        if decoded:
            later.submit(_keep, squares, reasons, array)
        return in_memory(array, device, others), reasons
    yield from _decoded_to_disk(squares)
    if found := _found(squares, device, fits, others, just_made=True):
        return found
    nowhere = (np.empty(squares.shape[1:], np.uint8) for _ in squares.files)
    checking = decode(squares.files, nowhere, unchanged=squares.unchanged)
    reasons = _reasons((yield from counting_images("checking images", checking, len(squares.files))))
    _keep(squares, reasons)
    return _on_demand(squares, device, reasons), reasons


def _on_demand(squares: Squares, device: torch.device, reasons: Reasons) -> OnDemand:
    """Pixels that are decoded whenever they are needed, unless another process, which had taken the room on the disk
    first, has decoded them by then.
    """

    def elsewhere() -> Mapped | None:
        pixels, theirs = _found(squares, torch.device("cpu"), False, ()) or (None, Reasons())
        has_all = theirs.keys() <= reasons.keys()
        return Mapped(pixels.array, device) if isinstance(pixels, Mapped) and has_all else None

    return OnDemand(squares.files, squares.side, device, squares.unchanged, elsewhere)


def _found(
    squares: Squares, device: torch.device, fits: bool, others: Sequence[Pixels], just_made: bool = False
) -> tuple[Pixels, Reasons] | None:
    """What an earlier experiment left, or this one, unless it is not there or was removed this moment.

    ``just_made``: whatever could be left was, be it only the knowledge of which files cannot be decoded.
    """
    folder = cache.find("decoded", entry_name(squares.recipe, squares.contents))
    if folder is None:
        return None
    try:
        reasons = _reasons_in(folder)
        if _any_passing(reasons) and not just_made:
            return None
        if not (folder / PIXELS).exists():
            # there was no room for them, in memory or on the disk, where there may be now
            return (_on_demand(squares, device, reasons), reasons) if just_made else None
        array = np.load(folder / PIXELS, allow_pickle=False) if fits else open_mapped(folder / PIXELS)
        if array.shape != squares.shape or array.dtype != np.uint8:
            return None
        return in_memory(array, device, others) if fits else mapped(array, device, others), reasons
    except (OSError, EOFError, ValueError):
        logger.warning("an entry of the cache cannot be read: %s", folder, exc_info=True)
        return None


def _filled(array: NDArray[np.uint8], squares: Squares, detail: str) -> Generator[WorkDone, None, tuple[Reasons, int]]:
    """Fills the array with the pixels of the files: those that another data set left are copied, the others decoded.

    Why some rows could not be decoded, and how many files were opened for it.
    """
    missing, reasons = np.ones(len(array), bool), Reasons()
    for entry in reusable_rows("decoded", squares.recipe, squares.contents):
        try:
            theirs, undecoded = open_mapped(entry.path / PIXELS), _reasons_in(entry.path)
        except (OSError, EOFError, ValueError):  # nothing but checked, or removed, or damaged
            continue
        if theirs.shape[1:] != squares.shape[1:] or theirs.dtype != np.uint8 or entry.there.max() >= len(theirs):
            continue
        passing = [row for row, reason in undecoded.items() if reason.passing]
        lasting = ~np.isin(entry.there, passing)
        there, here = entry.there[lasting], entry.here[lasting]
        copying = _copied(array, here, theirs, there)
        yield from counting_images("copying decoded images", copying, len(here))
        missing[here] = False
        rows_there = zip(here.tolist(), there.tolist(), strict=True)
        reasons |= {row: undecoded[place] for row, place in rows_there if place in undecoded}
    rows = np.flatnonzero(missing).tolist()
    if rows:
        files, places = [squares.files[row] for row in rows], (array[row] for row in rows)
        work = decode(files, places, unchanged=lambda place: squares.unchanged(rows[place]))
        done = yield from counting_images(detail, _unmapping(work, array), len(rows))
        reasons |= {row: undecoded for row, undecoded in zip(rows, done, strict=True) if undecoded is not None}
    return reasons, len(rows)


def _copied(
    array: NDArray[np.uint8], here: NDArray[np.int64], theirs: NDArray[np.uint8], there: NDArray[np.int64]
) -> Generator[int, None, None]:
    """Copies rows, and yields how many it has; what is mapped leaves this process's memory meanwhile."""
    for first in range(0, len(here), COPIED_AT_ONCE):
        piece = slice(first, first + COPIED_AT_ONCE)
        array[here[piece]] = theirs[there[piece]]
        unmap(theirs)
        unmap(array)
        yield min(len(here), piece.stop)


def _keep(squares: Squares, reasons: Reasons, array: NDArray[np.uint8] | None = None) -> None:
    """Writes the pixels to the cache, or only which files cannot be decoded, for the next experiment."""
    pixels: Files = {} if array is None else {PIXELS: array}
    description = squares.description + ("" if pixels else ", only checked")
    files = {**pixels, UNREADABLE: msgspec.json.encode(reasons)}
    write_rows("decoded", squares.recipe, description, squares.contents, files)


def _decoded_to_disk(squares: Squares) -> Generator[WorkDone, None, None]:
    """Decodes into a mapped file of the cache, if the cache has room for it."""
    name = entry_name(squares.recipe, squares.contents)
    with cache.writing("decoded", name, squares.description, squares.nbytes + squares.contents.nbytes) as folder:
        if folder is None:
            return
        reasons, _ = yield from _filled(_new_mapped(folder / PIXELS, squares.shape), squares, "decoding to the disk")
        np.save(folder / CONTENTS, squares.contents, allow_pickle=False)
        (folder / UNREADABLE).write_bytes(msgspec.json.encode(reasons))


def _new_mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A new ``.npy`` file, mapped for writing; its room is taken first, since on a full disk writing there kills."""
    array: NDArray[np.uint8] = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _unmapping(decoding: Decoding, array: NDArray[np.uint8]) -> Decoding:
    """The decoding, while the pages that it has filled leave this process's memory."""

    def unmapped(done: int) -> int:
        if done % UNMAP_EVERY == 0:
            unmap(array)
        return done

    return transformed(decoding, unmapped)


def _reasons(undecoded: Sequence[Undecoded | None]) -> Reasons:
    return {row: reason for row, reason in enumerate(undecoded) if reason is not None}


def _reasons_in(folder: Path) -> Reasons:
    return msgspec.json.decode((folder / UNREADABLE).read_bytes(), type=Reasons)


def _any_passing(reasons: Reasons) -> bool:
    return any(reason.passing for reason in reasons.values())


def _part(samples: Sequence[Sample], rows: Sequence[int | None], reasons: Reasons, side: int) -> PreparedPart:
    kept: list[tuple[int, Sample]] = []
    unreadable: list[Unreadable] = []
    for sample, row in zip(samples, rows, strict=True):
        if row is not None and row not in reasons:
            kept.append((row, sample))
        else:
            why = _why_not(sample.path, side) if row is None else reasons[row].reason
            unreadable.append(Unreadable(sample.path, why))
    return PreparedPart(
        torch.tensor([row for row, _ in kept], dtype=torch.int64),
        torch.tensor([sample.label for _, sample in kept], dtype=torch.int64),
        tuple(sample for _, sample in kept),
        tuple(unreadable),
    )


def _why_not(path: str, side: int) -> str:
    """Why the bytes of a file could not be read."""
    undecoded = decode_into(np.empty((side, side, 3), np.uint8), path)
    return (undecoded or CHANGED).reason


def _check_usable(dataset: DataSet, train: PreparedPart, val: PreparedPart, test: PreparedPart) -> None:
    for label, class_name in enumerate(dataset.classes):
        if not bool((train.labels == label).any()):
            raise DataError(f"{dataset.path}: no training image of class {shown(class_name)} can be read")
    if not len(val.labels):
        raise DataError(f"{dataset.path}: no validation image can be read")
    if dataset.test and not len(test.labels):
        raise DataError(f"{dataset.path}: no image of the test part can be read")
