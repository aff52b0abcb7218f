"""Digests of image files: two files of the same bytes are the same image, whatever their names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from engine import cache
from engine.cached_rows import remember, remembered
from engine.data.threads import collected
from engine.progress import WorkDone, counting_images

TRUSTED_AFTER_SECONDS = 2.0
"""A file that changed later than this before it was read may change again without another time of change."""

RECIPE = cache.key("digests", "1")
"""Changes whenever digests are taken or named in another way."""


class State(NamedTuple):
    """What tells that a file did not change (times in ns); a program can set ``modified``, but not ``changed``."""

    bytes: int
    modified: int
    changed: int
    inode: int


class FileDigests(NamedTuple):
    """SHA-256 ``digests`` (hex) of files' bytes, None where a file cannot be read, and in what ``versions`` the files
    were looked at: numbers that tell a file only from itself at another time, in this process.
    """

    digests: list[str | None]
    versions: list[int]


def content_hashes(paths: Sequence[str], workers: int) -> Generator[WorkDone, None, list[str | None]]:
    """The digests of :func:`contents_of`; yields how far it is."""
    return (yield from contents_of(paths, workers)).digests


def contents_of(paths: Sequence[str], workers: int) -> Generator[WorkDone, None, FileDigests]:
    """What the files contain; yields how far it is.

    Remembered by path, size, times and inode, so that a file that did not change is not read again. Not remembered are
    those that change now or changed just before.
    """
    yield WorkDone("reading files")
    before = time.time_ns()
    states = [_state(path) for path in paths]
    names = [cache.key(repr(file)) for file in zip(paths, states, strict=True)]
    known: dict[str, str | None] = {**remembered("digests", RECIPE, names, str)}
    unknown = [place for place, name in enumerate(names) if name not in known]
    work = collected((partial(_digest, paths[place]) for place in unknown), workers)
    found = yield from counting_images("reading files", work, len(unknown))
    digests = known | {names[place]: digest for place, digest in zip(unknown, found, strict=True)}
    unsettled = {names[place] for place in unknown if not _is_settled(paths[place], states[place], before)}
    lasting = {name: digest for name, digest in digests.items() if digest is not None and name not in unsettled}
    if len(lasting) > len(known):
        remember("digests", RECIPE, lasting, "digests")
    return FileDigests([digests[name] for name in names], [hash(state) for state in states])


def still_contains(path: str, digest: str, version: int) -> bool:
    """Whether a file has the bytes of a digest, as it had in a ``version``; it is read only where this is another."""
    return hash(_state(path)) == version or _digest(path) == digest


def _is_settled(path: str, state: State | None, before: int) -> bool:
    """Whether a file is as it was when it was read, and had been for long enough ``before`` (ns)."""
    return state is not None and before - state.changed > TRUSTED_AFTER_SECONDS * 1e9 and _state(path) == state


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
