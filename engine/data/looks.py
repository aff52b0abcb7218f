"""How every image looks: perceptual hashes, a tiny picture, its size, whether it is grey. Imports without torch."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import PIL
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

from engine import cache
from engine.cached_rows import remember, remembered
from engine.data.images import is_passing, reason, squeezed
from engine.data.threads import collected
from engine.progress import WorkDone, counting_images

SIDE = 64
GREY_WITHIN = 12
"""Levels of 255 that the colours of a grey picture may differ by, as JPEG makes them."""
TINY = 8
"""The side of the tiny picture, in pixels."""
VERSION = "2"
"""Changes whenever the same file is to look different."""


class Look(Struct, frozen=True, array_like=True):
    """One image: hashes of 64 and 256 bits, width and height in pixels, whether it is grey, and ``tiny``: all of it
    squeezed into :data:`TINY` by :data:`TINY` pixels, RGB, a byte each.

    ``unreadable`` says why it cannot be decoded, ``passing`` that next time it may be; the rest is nothing then.
    """

    coarse: bytes = b""
    fine: bytes = b""
    width: int = 0
    height: int = 0
    grey: bool = False
    unreadable: str = ""
    passing: bool = False
    tiny: bytes = b""


class Hashes(NamedTuple):
    """Perceptual hashes of N images, uint64 (N,) and, finer, uint64 (N, 4), and what else tells them apart: tiny
    pictures, uint8 (N, TINY * TINY, 3), and whether they are grey, bool (N,).
    """

    coarse: NDArray[np.uint64]
    fine: NDArray[np.uint64]
    tiny: NDArray[np.uint8]
    grey: NDArray[np.bool_]


def looks(files: Mapping[str, str], workers: int) -> Generator[WorkDone, None, dict[str, Look]]:
    """How each file looks, by the digest of its bytes; yields how far it is. ``files``: the paths by these digests.

    Remembered by the contents, but for what cannot be read for a moment. Closing the generator ends its threads as
    soon as the images in their hands are done.
    """
    recipe = cache.key("looks", VERSION, PIL.__version__)
    known = remembered("looks", recipe, [*files], Look)
    unknown = [digest for digest in files if digest not in known]
    work = collected((partial(look, files[digest]) for digest in unknown), workers)
    found = yield from counting_images("reading images", work, len(unknown))
    looked = known | dict(zip(unknown, found, strict=True))
    lasting = {digest: one for digest, one in looked.items() if not one.passing}
    if len(lasting) > len(known):
        remember("looks", recipe, lasting, "perceptual hashes")
    return looked


def look(path: str) -> Look:
    """How the image of a file looks."""
    # Imported here because it loads scipy, which nothing before a check needs.
    import imagehash  # noqa: PLC0415

    try:
        picture, (width, height) = squeezed(path, SIDE)
        pixels = np.asarray(picture, np.int16)
        grey = int((pixels.max(axis=2) - pixels.min(axis=2)).max()) <= GREY_WITHIN
        light = picture.convert("L")
        coarse, fine = (_bits(imagehash.phash(light, size)) for size in (8, 16))
        tiny = picture.resize((TINY, TINY), Image.Resampling.BOX).tobytes()
    except Exception as error:  # decoders raise almost anything on a broken file
        return Look(unreadable=reason(path, error), passing=is_passing(error))
    return Look(coarse, fine, width, height, grey, tiny=tiny)


def hashes(found: Sequence[Look]) -> Hashes:
    """What tells readable images apart, as arrays."""
    coarse = np.frombuffer(b"".join(one.coarse for one in found), np.uint64)
    fine = np.frombuffer(b"".join(one.fine for one in found), np.uint64)
    tiny = np.frombuffer(b"".join(one.tiny for one in found), np.uint8)
    grey = np.array([one.grey for one in found], np.bool_)
    return Hashes(coarse, fine.reshape(-1, 4), tiny.reshape(-1, TINY * TINY, 3), grey)


def _bits(found: object) -> bytes:
    bits: NDArray[np.bool_] = found.hash  # type: ignore[attr-defined]  # imagehash has no types
    return np.packbits(bits.ravel()).tobytes()
