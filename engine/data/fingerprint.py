"""What image files contain, as digests: two files of the same bytes are the same image, whatever their names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from engine import cache
from engine.data.images import in_order

TRUSTED_AFTER_SECONDS = 2.0
"""A file that changed later than this before it was hashed may change again without another time of change."""
DIGESTS = "digests.json"


def content_hashes(paths: Sequence[str], workers: int) -> Generator[int, None, list[str | None]]:
    """BLAKE2b digests (hex) of the files' bytes, None where a file cannot be read; yields the number of files done.

    Remembered by path, size, time of change and inode, so that files that did not change are not read again.
    """
    before = time.time_ns()
    states = [_state(path) for path in paths]
    key = cache.key("digests", *(repr((path, state)) for path, state in zip(paths, states, strict=True)))
    if (known := _remembered(key, len(paths))) is not None:
        return known
    found: list[str | None] = []
    for digest in in_order((partial(_digest, path) for path in paths), workers):
        found.append(digest)
        yield len(found)
    latest = max((state[1] for state in states if state), default=0)
    if None not in found and before - latest > TRUSTED_AFTER_SECONDS * 1e9:
        _remember(key, found)
    return found


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _digest(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=20)).hexdigest()
    except OSError:
        return None


def _remembered(key: str, count: int) -> list[str | None] | None:
    folder = cache.find("digests", key)
    if folder is None:
        return None
    try:
        known = msgspec.json.decode((folder / DIGESTS).read_bytes(), type=list[str])
    except (OSError, msgspec.DecodeError):
        return None
    return list(known) if len(known) == count else None


def _remember(key: str, digests: Sequence[str | None]) -> None:
    encoded = msgspec.json.encode(digests)
    with cache.writing("digests", key, f"digests of {len(digests)} files", len(encoded)) as folder:
        if folder is not None:
            (folder / DIGESTS).write_bytes(encoded)
