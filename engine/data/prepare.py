"""Every image of a data set decoded once, kept where there is room, and found again by the next experiment."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine import cache
from engine.data.dataset import DataError, DataSet, Sample, Unreadable
from engine.data.fingerprint import content_hashes
from engine.data.pixels import OnDemand, Pixels, held, in_memory, mapped, open_mapped, unmap
from engine.data.room import ram_bound
from engine.data.squares import Undecoded, decode, decode_into
from engine.data.threads import cores
from engine.progress import WorkDone, counting_images, each
from engine.text import shown

DECODER = "3"
"""Changes whenever the same file is to be decoded to other pixels, or they are to be kept in another order."""
UNMAP_EVERY = 256
PIXELS, UNREADABLE = "pixels.npy", "unreadable.json"
Reasons = dict[int, Undecoded]
"""Why rows could not be decoded."""
Decoding = Generator[int, None, list[Undecoded | None]]
logger = logging.getLogger("engine")


@dataclass(frozen=True)
class Part:
    """The images of a part that can be read, in the order of the data set.

    ``rows``: int64 (N,), their places among the prepared images. ``labels``: int64 (N,). ``samples``: N.
    ``unreadable``: those left out.
    """

    rows: Tensor
    labels: Tensor
    samples: tuple[Sample, ...]
    unreadable: tuple[Unreadable, ...]


NO_IMAGES = Part(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), (), ())


@dataclass(frozen=True)
class Prepared:
    """A data set's images as squares, each content once; ``key`` names them by what they show.

    ``fingerprint``: a digest of what they show in their order, their labels and their split; the same at every size.
    ``test`` is empty where no part is set apart for it. ``pool``: the rows of all images that some run of the
    experiment trains on, where those are more than the ones of ``train``.
    """

    pixels: Pixels
    train: Part
    val: Part
    count: int
    key: str
    fingerprint: str
    test: Part = NO_IMAGES
    pool: Tensor | None = None

    @property
    def trained(self) -> Tensor:
        """The rows of all images that some run trains on: int64."""
        return self.train.rows if self.pool is None else self.pool


def prepare(
    dataset: DataSet, side: int, device: torch.device, later: Executor, others: Sequence[Pixels] = ()
) -> Generator[WorkDone, None, Prepared]:
    """Decodes the data set's images to squares of ``side`` pixels, or finds them decoded.

    What the next experiment can use is written by ``later``; ``others``, of other sides, are kept already, and share
    the room with these. ``DataError`` where a class of training images, or all of validation or of the test part,
    cannot be read. An image left out for a reason that may pass is tried again by the next experiment.
    """
    samples = (*dataset.train, *dataset.val, *dataset.test)
    paths = [sample.path for sample in samples]
    hashes = yield from counting_images("reading files", content_hashes(paths, cores()), len(paths))
    path_of = {digest: path for digest, path in zip(hashes, paths, strict=True) if digest is not None}
    digests = sorted(path_of)
    files = tuple(path_of[digest] for digest in digests)
    key = cache.key(DECODER, PIL.__version__, side, *digests)
    pixels, reasons = yield from _decoded(dataset.name, key, files, side, device, later, others)
    row_of = {digest: row for row, digest in enumerate(digests)}
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
    return Prepared(pixels, train, val, len(files), key, fingerprint, test)


def _decoded(
    name: str,
    key: str,
    files: tuple[str, ...],
    side: int,
    device: torch.device,
    later: Executor,
    others: Sequence[Pixels],
) -> Generator[WorkDone, None, tuple[Pixels, Reasons]]:
    """The pixels of the files, and why some rows could not be decoded."""
    fits = len(files) * 3 * side * side <= ram_bound(held(others, "cpu"))
    if found := _found(key, files, side, device, fits, others):
        return found
    description = f"{name}: {len(files)} images of {side} × {side} pixels"
    if fits:
        array = np.zeros((len(files), side, side, 3), np.uint8)
        reasons = _reasons((yield from counting_images("decoding", decode(files, array), len(files))))
        if not _any_passing(reasons):
            later.submit(keep, "decoded", key, description, {PIXELS: array, UNREADABLE: msgspec.json.encode(reasons)})
        return in_memory(array, device, others), reasons
    yield from _decoded_to_disk(key, description, files, side)
    if found := _found(key, files, side, device, fits, others, just_made=True):
        return found
    nowhere = (np.empty((side, side, 3), np.uint8) for _ in files)
    reasons = _reasons((yield from counting_images("checking images", decode(files, nowhere), len(files))))
    if not _any_passing(reasons):
        keep("decoded", key, f"{description}, only checked", {UNREADABLE: msgspec.json.encode(reasons)})
    return OnDemand(files, side, device), reasons


def _found(
    key: str,
    files: tuple[str, ...],
    side: int,
    device: torch.device,
    fits: bool,
    others: Sequence[Pixels],
    just_made: bool = False,
) -> tuple[Pixels, Reasons] | None:
    """What an earlier experiment left, or this one, unless it is not there or was removed this moment.

    ``just_made``: whatever could be left was, be it only the knowledge of which files cannot be decoded.
    """
    folder = cache.find("decoded", key)
    if folder is None:
        return None
    try:
        reasons = msgspec.json.decode((folder / UNREADABLE).read_bytes(), type=Reasons)
        if _any_passing(reasons) and not just_made:
            return None
        if not (folder / PIXELS).exists():
            # there was no room for them, in memory or on the disk, where there may be now
            return (OnDemand(files, side, device), reasons) if just_made else None
        array = np.load(folder / PIXELS, allow_pickle=False) if fits else open_mapped(folder / PIXELS)
        if array.shape != (len(files), side, side, 3) or array.dtype != np.uint8:
            return None
        return in_memory(array, device, others) if fits else mapped(array, device, others), reasons
    except (OSError, EOFError, ValueError, msgspec.DecodeError):
        logger.warning("an entry of the cache cannot be read: %s", folder, exc_info=True)
        return None


def keep(kind: str, key: str, description: str, files: Mapping[str, NDArray[Any] | bytes]) -> None:
    """Writes arrays and bytes to the cache under these file names; where that fails, it is only logged."""
    size = sum(content.nbytes if isinstance(content, np.ndarray) else len(content) for content in files.values())

    def write(folder: Path) -> None:
        for name, content in files.items():
            if isinstance(content, np.ndarray):
                np.save(folder / name, content, allow_pickle=False)
            else:
                (folder / name).write_bytes(content)

    cache.remember(kind, key, description, size, write)


def _decoded_to_disk(key: str, description: str, files: Sequence[str], side: int) -> Generator[WorkDone, None, None]:
    """Decodes into a mapped file of the cache, if the cache has room for it."""
    shape = (len(files), side, side, 3)
    with cache.writing("decoded", key, description, len(files) * 3 * side * side) as folder:
        if folder is None:
            return
        array = _new_mapped(folder / PIXELS, shape)
        decoding = decode(files, array)
        done = yield from counting_images("decoding to the disk", _unmapping(decoding, array), len(files))
        (folder / UNREADABLE).write_bytes(msgspec.json.encode(_reasons(done)))


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

    return each(decoding, unmapped)


def _reasons(undecoded: Sequence[Undecoded | None]) -> Reasons:
    return {row: reason for row, reason in enumerate(undecoded) if reason is not None}


def _any_passing(reasons: Reasons) -> bool:
    return any(reason.passing for reason in reasons.values())


def _part(samples: Sequence[Sample], rows: Sequence[int | None], reasons: Reasons, side: int) -> Part:
    kept: list[tuple[int, Sample]] = []
    unreadable: list[Unreadable] = []
    for sample, row in zip(samples, rows, strict=True):
        if row is not None and row not in reasons:
            kept.append((row, sample))
        else:
            why = _why_not(sample.path, side) if row is None else reasons[row].reason
            unreadable.append(Unreadable(sample.path, why))
    return Part(
        torch.tensor([row for row, _ in kept], dtype=torch.int64),
        torch.tensor([sample.label for _, sample in kept], dtype=torch.int64),
        tuple(sample for _, sample in kept),
        tuple(unreadable),
    )


def _why_not(path: str, side: int) -> str:
    """Why the bytes of a file could not be read."""
    undecoded = decode_into(np.empty((side, side, 3), np.uint8), path)
    return "it changes while it is read" if undecoded is None else undecoded.reason


def _check_usable(dataset: DataSet, train: Part, val: Part, test: Part) -> None:
    for label, class_name in enumerate(dataset.classes):
        if not bool((train.labels == label).any()):
            raise DataError(f"{dataset.path}: no training image of class {shown(class_name)} can be read")
    if not len(val.labels):
        raise DataError(f"{dataset.path}: no validation image can be read")
    if dataset.test and not len(test.labels):
        raise DataError(f"{dataset.path}: no image of the test part can be read")
