"""Where decoded images are kept, and how batches of them reach the training device.

In memory or on the device while they fit; past that in a memory-mapped file; past the disk's limit they are decoded
again whenever they are needed, by threads that read ahead.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.squares import decode_into
from engine.data.threads import cores, in_order
from engine.errors import DataError
from engine.text import shown

DEVICE_SHARE = 0.5
"""The share of a GPU's free memory that decoded images, or features, may take; the rest is for training."""
BATCHES_AHEAD = 2
"""Batches that are decoded ahead where they are decoded in every epoch: one is stacked while the next one grows."""
MOVED_AT_ONCE = 64
"""Images that are copied to a device at a time."""
READERS = 4
"""Threads that read a mapped file, each a batch: a disk answers several at once sooner than one after the other."""


class Pixels(Protocol):
    """Decoded images, red green blue, kept as convolutions read them: a pixel's three values beside each other."""

    @property
    def kept(self) -> str:
        """Where the images are kept, in words."""

    def batches(self, rows: Tensor, sizes: Sequence[int]) -> Iterator[Tensor]:
        """The images of ``rows``, int64 (N,) on the CPU, in consecutive batches of these sizes.

        Each uint8 (B, 3, side, side) on the training device, in the channels_last memory format.
        """


@dataclass(frozen=True)
class InMemory:
    """Images in one tensor (N, side, side, 3), in the machine's memory or on the device."""

    tensor: Tensor
    device: torch.device

    @property
    def kept(self) -> str:
        """Where the images are kept, in words."""
        return "in memory" if self.tensor.device.type == "cpu" else f"on {self.tensor.device}"

    def batches(self, rows: Tensor, sizes: Sequence[int]) -> Iterator[Tensor]:
        """See :class:`Pixels`; in memory beside a GPU, batches are read ahead."""
        if self.tensor.device != self.device:
            yield from _read_ahead(self.tensor.__getitem__, rows, sizes, self.device)
            return
        for index in torch.split(rows.to(self.device), list(sizes)):
            yield channels_first(self.tensor[index])


@dataclass(frozen=True)
class Mapped:
    """Images in a memory-mapped ``.npy`` file, uint8 (N, side, side, 3), of which a batch a thread is read ahead."""

    array: NDArray[np.uint8]
    device: torch.device

    @property
    def kept(self) -> str:
        """Where the images are kept, in words."""
        return "in a memory-mapped file"

    def batches(self, rows: Tensor, sizes: Sequence[int]) -> Iterator[Tensor]:
        """See :class:`Pixels`."""
        yield from _read_ahead(partial(_read, self.array), rows, sizes, self.device)


@dataclass(frozen=True)
class OnDemand:
    """Images that are decoded from their files to squares of ``side`` pixels each time they are asked for.

    ``unchanged``: whether the file at a place in ``paths`` is still the one that is meant. ``elsewhere``: all of them,
    once another process has decoded them to a file.
    """

    paths: tuple[str, ...]
    side: int
    device: torch.device
    unchanged: Callable[[int], bool]
    elsewhere: Callable[[], Mapped | None] = lambda: None

    @property
    def kept(self) -> str:
        """Where the images are kept, in words."""
        return "decoded again in every epoch"

    def batches(self, rows: Tensor, sizes: Sequence[int]) -> Iterator[Tensor]:
        """See :class:`Pixels`; ``DataError`` where a file can no longer be decoded, or is another one."""
        if there := self.elsewhere():
            yield from there.batches(rows, sizes)
            return
        tasks = (partial(self._meant, row) for row in rows.tolist())
        ahead = math.ceil(BATCHES_AHEAD * max(sizes, default=1) / cores())
        with closing(in_order(tasks, cores(), max(4, ahead))) as images:
            for size in sizes:
                batch = np.stack([next(images) for _ in range(size)])
                yield channels_first(on_device(torch.from_numpy(batch), self.device))

    def _meant(self, row: int) -> NDArray[np.uint8]:
        image = _square(self.paths[row], self.side)
        if not self.unchanged(row):
            path = shown(self.paths[row])
            raise DataError(f"{path}: has changed since it was first read; restore the image, or start over")
        return image


def channels_first(batch: Tensor) -> Tensor:
    """Images (B, side, side, 3) as torch names them, (B, 3, side, side); nothing is copied."""
    return batch.permute(0, 3, 1, 2)


def on_device(batch: Tensor, device: torch.device) -> Tensor:
    """The batch on the device; the copy to a CUDA GPU goes on beside what the CPU does next.

    To others it is waited for: their copies read memory that may be another batch's by then.
    """
    if batch.device == device:
        return batch
    return pinned(batch, device).to(device, non_blocking=device.type == "cuda")


def pinned(batch: Tensor, device: torch.device) -> Tensor:
    """The batch where a GPU can fetch it by itself; a copy, unless it is there already."""
    return batch.pin_memory() if device.type == "cuda" else batch


def in_memory(array: NDArray[np.uint8], device: torch.device, others: Sequence[Pixels] = ()) -> InMemory:
    """Images (N, side, side, 3) on the device where they and ``others`` leave it enough room, else in memory."""
    pixels = torch.from_numpy(array)
    return InMemory(pixels.to(device) if fits_on(device, array.nbytes, held(others, "cuda")) else pixels, device)


def mapped(array: NDArray[np.uint8], device: torch.device, others: Sequence[Pixels] = ()) -> Mapped | InMemory:
    """Images of a mapped file where they are, or on a GPU that has more room for them than the machine's memory."""
    if device.type == "cpu" or not fits_on(device, array.nbytes, held(others, "cuda")):
        return Mapped(array, device)
    pixels = torch.empty(array.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(array), MOVED_AT_ONCE):
        part = slice(first, first + MOVED_AT_ONCE)
        pixels[part].copy_(torch.from_numpy(array[part].copy()))
        unmap(array)
    return InMemory(pixels, device)


def fits_on(device: torch.device, size: int, there: int = 0) -> bool:
    """Whether so many bytes, beside as many that are ``there`` already, leave a device enough room for training."""
    if device.type != "cuda":
        return device.type == "cpu"
    free, _ = torch.cuda.mem_get_info(device)
    return size <= DEVICE_SHARE * (free + there) - there


def held(some: Sequence[Pixels], device_type: str) -> int:
    """Bytes that images take in memory ("cpu") or on a GPU ("cuda")."""
    tensors = [pixels.tensor for pixels in some if isinstance(pixels, InMemory)]
    return sum(tensor.nbytes for tensor in tensors if tensor.device.type == device_type)


def open_mapped(path: Path) -> NDArray[np.uint8]:
    """The images of a ``.npy`` file, mapped; ``ValueError`` or ``OSError`` where it is not such a file."""
    array: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def unmap(array: NDArray[np.uint8], rows: Iterable[int] | None = None) -> None:
    """Takes a mapped array's pages out of this process's memory; the system may keep them as long as it has room.

    ``rows``: those of these rows alone, where other threads read the others.
    """
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    if rows is None:
        array.base.madvise(mmap.MADV_DONTNEED)
        return
    size, begin = array[0].nbytes, array.offset % mmap.ALLOCATIONGRANULARITY
    for row in rows:
        first = begin + row * size
        page = first - first % mmap.PAGESIZE
        array.base.madvise(mmap.MADV_DONTNEED, page, first + size - page)


def _read_ahead(
    read: Callable[[Tensor], Tensor], rows: Tensor, sizes: Sequence[int], device: torch.device
) -> Iterator[Tensor]:
    """Batches on the device, while threads read the next ones."""
    tasks = (partial(_ready, read, index, device) for index in torch.split(rows, list(sizes)))
    with closing(in_order(tasks, workers=min(READERS, cores()), ahead=1)) as batches:
        for batch in batches:
            yield channels_first(on_device(batch, device))


def _ready(read: Callable[[Tensor], Tensor], index: Tensor, device: torch.device) -> Tensor:
    return pinned(read(index), device)


def _read(array: NDArray[np.uint8], index: Tensor) -> Tensor:
    batch = torch.from_numpy(array[index.numpy()])
    unmap(array, index.tolist())
    return batch


def _square(path: str, side: int) -> NDArray[np.uint8]:
    image = np.empty((side, side, 3), np.uint8)
    if undecoded := decode_into(image, path):
        raise DataError(f"{shown(path)}: {undecoded.reason}, although it was readable before; have the images changed?")
    return image
