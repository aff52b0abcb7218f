"""Image files as the equal squares that networks are fed: decoded, resized and cropped in threads."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

from engine.data.images import Box, is_passing, opened, reason, reduced
from engine.data.threads import collected, cores


class Undecoded(Struct, frozen=True):
    """Why a file could not be decoded, in a few words; ``passing``: see :func:`engine.data.images.is_passing`."""

    reason: str
    passing: bool = False


CHANGED = Undecoded("it is changing while being read", passing=True)


def decode(
    paths: Sequence[str],
    out: Iterable[NDArray[np.uint8]],
    workers: int | None = None,
    unchanged: Callable[[int], bool] | None = None,
) -> Generator[int, None, list[Undecoded | None]]:
    """Decodes every file into its place of ``out``, N times uint8 (side, side, 3); yields the number of files done.

    Returns why each could not be decoded, None where it could; its place is then left as it was.
    The shorter side is resized to ``side`` (bilinear, antialiased), then the central square is taken, as torchvision's
    ``Resize`` and ``CenterCrop`` do on a Pillow image. Closing the generator ends its threads as soon as the images in
    their hands are done. ``unchanged``: whether the file at a place in ``paths`` is still the one that is meant, asked
    once it was decoded; another one is :data:`CHANGED`, and its place all zero.
    """
    asked = (None if unchanged is None else partial(unchanged, place) for place in range(len(paths)))
    tasks = (partial(_decode_one, *each) for each in zip(out, paths, asked, strict=True))
    return (yield from collected(tasks, workers or cores()))


def _decode_one(out: NDArray[np.uint8], path: str, unchanged: Callable[[], bool] | None) -> Undecoded | None:
    undecoded = decode_into(out, path)
    if unchanged is None or unchanged():
        return undecoded
    out[:] = 0
    return CHANGED


def decode_into(out: NDArray[np.uint8], path: str) -> Undecoded | None:
    """Writes a file's image into ``out`` (side, side, 3); why not, where that cannot be done."""
    try:
        out[:] = square(path, len(out))
    except Exception as error:  # decoders raise almost anything on a broken file
        return Undecoded(reason(path, error), is_passing(error))
    return None


def square(path: str, side: int) -> NDArray[np.uint8]:
    """The image of a file as a square: uint8 (side, side, 3). Raises what Pillow raises."""
    with opened(path, (side, side)) as (image, _):
        small, box = reduced(image, side, _box(image.size, side))
        return np.asarray(small.resize((side, side), Image.Resampling.BILINEAR, box=box))


def _box(size: tuple[int, int], side: int) -> Box:
    """Left, top, right and bottom of what the central square shows, in pixels of the image before resizing.

    Resizing only that gives the pixels of resizing all and cropping (but for rounding: at most 2 of 255), and no huge
    image on the way to the square of a very long one.
    """
    shorter = min(size)
    starts, lengths = [], []
    for length in size:
        resized = int(side * length / shorter)
        starts.append(round((resized - side) / 2) * length / resized)
        lengths.append(side * length / resized)
    return starts[0], starts[1], starts[0] + lengths[0], starts[1] + lengths[1]
