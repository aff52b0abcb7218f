"""Decoding image files, each once, in threads, into one array of equal squares."""

from __future__ import annotations

import logging
import os
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import torch
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from engine.data.dataset import DataError, Sample
from engine.text import shown

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""What is tried on a file, whatever its name; not all that Pillow knows, since some of it starts other programs."""
MOST_WORKERS = 16
DRAFT_REDUCES_TO = 2
"""JPEGs are decoded at no less than this many times the final side; the rest is left to a better filter."""
BACKGROUND = (255, 255, 255, 255)


class Unreadable(Struct, frozen=True):
    """A file that could not be decoded, and why, in a few words."""

    path: str
    reason: str


class Decoded(Struct, frozen=True):
    """Decoded images in the order of their samples.

    ``pixels``: uint8 (N, 3, side, side), contiguous, red green blue. ``labels``: int64 (N,). ``samples``: the N that
    could be decoded; ``unreadable``: those left out.
    """

    pixels: Tensor
    labels: Tensor
    samples: tuple[Sample, ...]
    unreadable: tuple[Unreadable, ...]


def decode(samples: Sequence[Sample], side: int, workers: int | None = None) -> Generator[int, None, Decoded]:
    """Decodes every sample to a square of ``side`` pixels; yields the number of images done and returns them all.

    The shorter side is resized to ``side`` (bilinear, antialiased), then the central square is taken, as torchvision's
    ``Resize`` and ``CenterCrop`` do on a Pillow image. Closing the generator ends its threads as soon as the images in
    their hands are done. ``DataError`` where the images would not fit into the memory there is.
    """
    _check_memory(len(samples), side)
    _prepare_pillow()
    array = np.empty((len(samples), 3, side, side), np.uint8)
    reasons: list[str] = []
    threads = workers or min(MOST_WORKERS, _cores())
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            todo = iter(zip(samples, array, strict=True))
            # A window of tasks rather than all: it keeps progress in order and a cancelled pool short.
            running: deque[Future[str]] = deque()
            for sample, out in islice(todo, 4 * threads):
                running.append(pool.submit(_decode_into, out, sample.path))
            while running:
                reasons.append(running.popleft().result())
                for sample, out in islice(todo, 1):
                    running.append(pool.submit(_decode_into, out, sample.path))
                yield len(reasons)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return _without_unreadable(array, samples, reasons)


def _without_unreadable(array: NDArray[np.uint8], samples: Sequence[Sample], reasons: Sequence[str]) -> Decoded:
    readable = [number for number, reason in enumerate(reasons) if not reason]
    for place, number in enumerate(readable):  # in place: a second array might not fit
        if place != number:
            array[place] = array[number]
    kept = tuple(samples[number] for number in readable)
    return Decoded(
        torch.from_numpy(array[: len(kept)]),
        torch.tensor([sample.label for sample in kept], dtype=torch.int64),
        kept,
        tuple(Unreadable(sample.path, reason) for sample, reason in zip(samples, reasons, strict=True) if reason),
    )


def _check_memory(images: int, side: int) -> None:
    needed, free = images * 3 * side * side, psutil.virtual_memory().available
    if needed > free:
        raise DataError(
            f"{images:,} images of {side} × {side} pixels need {needed / 2**30:.1f} GiB of memory decoded, "
            f"{free / 2**30:.1f} GiB are free; use fewer images or a smaller image size"
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepare_pillow() -> None:
    """Loads the decoders before threads race for it, and keeps Pillow's remarks on odd files off the terminal."""
    Image.init()
    # For good, not with catch_warnings: that is not safe where other threads run.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    pillow = logging.getLogger("PIL")
    if not pillow.handlers:
        pillow.addHandler(logging.NullHandler())


def _decode_into(out: NDArray[np.uint8], path: str) -> str:
    """Writes a file's image into ``out`` (3, side, side); the reason where that cannot be done, else nothing."""
    try:
        out[:] = square(path, out.shape[-1]).transpose(2, 0, 1)
    except Exception as error:  # decoders raise almost anything on a broken file
        return _reason(path, error)
    return ""


def square(path: str, side: int) -> NDArray[np.uint8]:
    """The image of a file as a square: uint8 (side, side, 3). Raises what Pillow raises."""
    with Image.open(path, formats=FORMATS) as image:
        if image.format in ("JPEG", "MPO"):
            image.draft(None, (DRAFT_REDUCES_TO * side, DRAFT_REDUCES_TO * side))
        image.load()
        upright = _upright(image)
        return np.asarray(_rgb(upright).resize((side, side), Image.Resampling.BILINEAR, box=_box(upright.size, side)))


def _box(size: tuple[int, int], side: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what the central square shows, in pixels of the image before resizing.

    Resizing only that gives the pixels of resizing all and cropping (but for rounding: at most 1 of 255), and no huge
    image on the way to the square of a very long one.
    """
    shorter = min(size)
    starts, lengths = [], []
    for length in size:
        resized = int(side * length / shorter)
        starts.append(round((resized - side) / 2) * length / resized)
        lengths.append(side * length / resized)
    return starts[0], starts[1], starts[0] + lengths[0], starts[1] + lengths[1]


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says, if that can be read."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # metadata of any brokenness; the pixels are fine
        logging.getLogger("engine").debug("EXIF of an image cannot be read", exc_info=True)
    return image


def _rgb(image: Image.Image) -> Image.Image:
    """The image in 8-bit RGB; what is transparent is shown on white.

    16-bit grey keeps its full range (65535 is white). Other deep grey (32-bit integer, floating point) says of no
    value that it is white, so its own darkest and brightest are taken.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretched(np.asarray(image, np.float64))).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, BACKGROUND), layer).convert("RGB")
    return image.convert("RGB")


def _stretched(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = finite.min(), finite.max()
    shares: NDArray[np.float64] = (finite - low) / max(high - low, 1e-12)
    return (shares * 255).round().astype(np.uint8)


def _reason(path: str, error: Exception) -> str:
    """Why a file could not be decoded, in a few words for a person."""
    match error:
        case UnidentifiedImageError():
            empty = not Path(path).stat().st_size
            return "the file is empty" if empty else "not an image in a format that can be read"
        case Image.DecompressionBombError():
            return "far too many pixels to be a photograph"
        case MemoryError():
            return "needs more memory than there is"
        case OSError(strerror=str(reason)):
            return reason.lower()
    message = " ".join(str(error).split())
    if "truncated" in message.lower():
        return "the file is cut short"
    return shown(f"broken image: {message or type(error).__name__}", 120)
