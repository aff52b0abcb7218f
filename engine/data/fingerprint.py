"""What image files contain, as digests: two files of the same bytes are the same image, whatever their names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from engine import cache
from engine.data.threads import collected

TRUSTED_AFTER_SECONDS = 2.0
"""A file that changed later than this before it was read may change again without another time of change."""


class State(NamedTuple):
    """What tells that a file did not change (times in ns); a program can set ``modified``, but not ``changed``."""

    bytes: int
    modified: int
    changed: int
    inode: int


def content_hashes(paths: Sequence[str], workers: int) -> Generator[int, None, list[str | None]]:
    """SHA-256 digests (hex) of the files' bytes, None where a file cannot be read; yields the number of files done.

    Remembered by path, size, times and inode, so that files that did not change are not read again. Nothing is
    remembered where one cannot be read, or changes now or changed just before.
    """
    before = time.time_ns()
    states = [_state(path) for path in paths]
    key = cache.key("digests", *(repr((path, state)) for path, state in zip(paths, states, strict=True)))
    if (known := cache.remembered_list("digests", key, str, len(paths))) is not None:
        return [*known]
    found = yield from collected((partial(_digest, path) for path in paths), workers)
    latest = max((state.changed for state in states if state), default=0)
    settled = before - latest > TRUSTED_AFTER_SECONDS * 1e9 and [_state(path) for path in paths] == states
    if settled and None not in found:
        cache.remember_list("digests", key, found, "digests")
    return found


def _state(path: str) -> State | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):  # ValueError: not a name that a file can have
        return None
    return State(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _digest(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
