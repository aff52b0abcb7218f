"""Opening image files, whatever is in them: upright, in 8-bit RGB, and in bounded memory."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import (  # the decoders: loaded before threads race for them, and no more of them than are used
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageOps,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
    _imaging,
)

from engine.text import in_one_line, shown

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""What is tried on a file, whatever its name; not all that Pillow knows, since some of it starts other programs."""
DRAFT_REDUCES_TO = 2
"""JPEGs are decoded at no less than this many times the final side; the rest is left to a better filter."""
BACKGROUND = (255, 255, 255, 255)
WHOLE = (1 << 20, 1 << 20)
"""A size that no JPEG is made smaller for while it is decoded."""
LARGE = 16_000_000
"""Pixels from which on an image is converted in strips, of about :data:`STRIP` pixels."""
STRIP = 1_000_000
MOST_PIXELS = 200_000_000
"""Pixels that all threads together have in memory at a time, whatever their number; Pillow takes 1 to 4 bytes each."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""
PILLOW = re.compile(r"PIL\.")
"""The modules whose remarks are left out."""
_held: list[int] = []
_may_change = threading.Condition()


def _silence_pillow() -> None:
    """Keeps Pillow's remarks on odd files off the terminal."""
    if any(module == PILLOW for _, _, _, module, _ in warnings.filters):
        return
    # For good, not with catch_warnings: that is not safe where other threads run.
    warnings.filterwarnings("ignore", module=PILLOW.pattern)
    pillow = logging.getLogger("PIL")
    if not pillow.handlers:
        pillow.addHandler(logging.NullHandler())
    with suppress(AttributeError, OSError):  # libtiff prints what it finds wrong, past Python
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def squeezed(path: str, side: int) -> tuple[Image.Image, tuple[int, int]]:
    """The whole image of a file squeezed into a square, RGB (side, side), and its own width and height in pixels.

    Raises what Pillow raises; :func:`reason` puts that in words.
    """
    with opened(path, (side, side)) as (image, size):
        small, box = reduced(image, side, (0, 0, *image.size))
        return small.resize((side, side), Image.Resampling.LANCZOS, box=box), size


def thumbnail(path: str, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """The whole image of a file, upright and in RGB, as large as fits into ``size`` (width and height, in pixels), and
    the width and height that it has in the file.

    ``ValueError`` where it cannot be decoded, with the reason in a few words.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113 - Path's raise where they may not look
        raise ValueError("not a file")
    try:
        return _contained(path, size)
    except Exception as error:  # decoders raise almost anything on a broken file
        raise ValueError(reason(path, error)) from error


def _contained(path: str, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    with opened(path, size) as (image, whole):
        times = max(has / most for has, most in zip(image.size, size, strict=True))
        factor = max(1, int(times / DRAFT_REDUCES_TO)) if math.prod(image.size) > LARGE else 1
        small = _in_strips(image, (0, 0, *image.size), factor)
        width, height = (max(1, round(length / times)) for length in image.size)
        return small.resize((width, height), Image.Resampling.BILINEAR), whole


def same_pixels(one: str, other: str) -> bool:
    """Whether the images of two files have the same pixels, upright and in RGB; not where one cannot be decoded."""
    try:
        return _pixels(one) == _pixels(other)
    except Exception:  # decoders raise almost anything on a broken file, and either may have changed by now
        return False


def _pixels(path: str) -> tuple[tuple[int, int], bytes]:
    """The size of an image, and the digest of all its pixels: of two large ones not both are in memory."""
    with opened(path, WHOLE) as (image, size):
        pixels, grey = hashlib.sha256(), _range(image)
        rows = max(1, STRIP // image.width)
        for top in range(0, image.height, rows):
            strip = image.crop((0, top, image.width, min(image.height, top + rows)))
            pixels.update(_rgb(strip, grey).tobytes())
    return size, pixels.digest()


@contextmanager
def opened(path: str, size: tuple[int, int]) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
    """The image of a file, upright and large enough for ``size``, and the width and height that all of it has."""
    _silence_pillow()
    with Image.open(path, formats=FORMATS) as image:
        whole = image.size
        if not all(whole):
            raise ValueError("it has no pixels")
        if image.format in ("JPEG", "MPO"):
            image.draft(None, (DRAFT_REDUCES_TO * size[0], DRAFT_REDUCES_TO * size[1]))
        # libjpeg keeps all of a progressive image, whatever the scale
        with _room_for(math.prod(whole if "progressive" in image.info else image.size)):
            image.load()
            upright = _upright(image)
            turned = (whole[0] < whole[1]) != (upright.width < upright.height)
            yield upright, whole[::-1] if turned else whole


@contextmanager
def _room_for(pixels: int) -> Iterator[None]:
    """Waits until so many more may be in memory: all threads hold :data:`MOST_PIXELS`, or one image of more."""
    with _may_change:
        _may_change.wait_for(lambda: not _held or sum(_held) + pixels <= MOST_PIXELS)
        _held.append(pixels)
    try:
        yield
    finally:
        with _may_change:
            _held.remove(pixels)
            _may_change.notify_all()


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says, if that can be read."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # metadata of any brokenness; the pixels are fine
        logging.getLogger("engine").debug("EXIF of an image cannot be read", exc_info=True)
    return image


def reduced(image: Image.Image, side: int, box: Box) -> tuple[Image.Image, Box]:
    """The image in 8-bit RGB, and where the ``box`` is in it; a large one is cropped and made smaller.

    To no less than twice the ``side``, and in strips, so that beside it no second one of its size is in memory.
    """
    if math.prod(image.size) <= LARGE:
        return _rgb(image, _range(image)), box
    shorter = min(image.size)
    factor = max(1, shorter // (DRAFT_REDUCES_TO * side))
    around = shorter / side  # pixels beside the square that resizing looks at
    left, top = (max(0, math.floor((edge - around) / factor) * factor) for edge in box[:2])
    right, bottom = (min(most, math.ceil(edge + around)) for edge, most in zip(box[2:], image.size, strict=True))
    small = _in_strips(image, (left, top, right, bottom), factor)
    inside = ((box[0] - left) / factor, (box[1] - top) / factor, (box[2] - left) / factor, (box[3] - top) / factor)
    return small, inside


def _in_strips(image: Image.Image, area: tuple[int, int, int, int], factor: int) -> Image.Image:
    """An area (left, top, right and bottom) in 8-bit RGB, each of its sides so many times shorter."""
    left, top, right, bottom = area
    small = Image.new("RGB", (math.ceil((right - left) / factor), math.ceil((bottom - top) / factor)))
    grey, step = _range(image), factor * math.ceil(STRIP / (factor * (right - left)))
    for start in range(top, bottom, step):
        strip = image.crop((left, start, right, min(bottom, start + step)))
        small.paste(_rgb(strip, grey).reduce(factor), (0, (start - top) // factor))
    return small


def _range(image: Image.Image) -> tuple[float, float]:
    """The darkest and the brightest value of deep grey; other images do not need them."""
    if image.mode not in ("I", "F"):
        return 0.0, 0.0
    rows = max(1, STRIP // image.width)
    strips = (image.crop((0, top, image.width, min(image.height, top + rows))) for top in range(0, image.height, rows))
    ranges = [(float(values.min()), float(values.max())) for values in map(_finite, strips)]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _rgb(image: Image.Image, grey: tuple[float, float]) -> Image.Image:
    """The image in 8-bit RGB; what is transparent is shown on white.

    16-bit grey keeps its full range (65535 is white). Other deep grey (32-bit integer, floating point) says of no
    value that it is white, so the image's own darkest and brightest, ``grey``, are taken.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        low, high = grey
        shares = (_finite(image) - low) / max(high - low, 1e-12)
        return Image.fromarray((shares * 255).round().astype(np.uint8)).convert("RGB")
    if image.mode == "RGB" and "transparency" not in image.info:
        return image  # convert() would copy it
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, BACKGROUND), layer).convert("RGB")
    return image.convert("RGB")


def _finite(image: Image.Image) -> NDArray[np.float64]:
    """The values of deep grey, 0 where they are no numbers."""
    return np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def is_passing(error: Exception) -> bool:
    """Whether a file could not be decoded for a reason that is not in it: no memory, too many open files, a disk that
    does not answer. Next time it may be decoded. What Pillow says of a file's content has no number.
    """
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)


def reason(path: str, error: Exception) -> str:
    """Why a file could not be decoded, in a few words for a person."""
    match error:
        case UnidentifiedImageError():
            return "the file is empty" if _is_empty(Path(path)) else "not an image format that can be read"
        case Image.DecompressionBombError():
            return "too many pixels"
        case MemoryError():
            return "needs more memory than there is"
        case OSError(strerror=str(reason)):
            return reason.lower()
    message = in_one_line(error)
    if "truncated" in message.lower():
        return "the file is truncated"
    return shown(f"broken image: {message}", 120)


def _is_empty(path: Path) -> bool:
    try:
        return not path.stat().st_size
    except OSError:  # it is gone by now
        return False
