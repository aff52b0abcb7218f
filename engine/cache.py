"""What was prepared once and may be needed again: folders of files below the user's cache, by what they were made from.

Own code since no cache library hands out files to map into memory, and the usual ones pickle. Imports without torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import filelock
import msgspec
import platformdirs
import psutil
from msgspec import Struct

from engine.spec import SpecError

DEFAULT_LIMIT = 20 * 2**30
DISK_SHARE = 0.25
"""The cache takes no more than this share of what the disk has free, itself counted in."""
LOCK_SECONDS = 60.0
LEFT_OVER_SECONDS = 24 * 3600.0
META, LOCK, PARTIAL = "meta.json", "lock", ".partial-"
logger = logging.getLogger("engine")


class Meta(Struct, frozen=True):
    """What an entry says of itself: a description for a person, and its size in bytes."""

    description: str
    bytes: int


class Entry(NamedTuple):
    """A whole entry; ``used`` is when it was last found or made."""

    kind: str
    key: str
    path: Path
    bytes: int
    used: datetime
    description: str


def folder() -> Path:
    """Where entries are; the environment variable TL_TUI_CACHE names another place."""
    named = os.environ.get("TL_TUI_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("tl-tui") / "prepared"


def limit() -> int:
    """Bytes that all entries together may take: 20 GiB, or what TL_TUI_CACHE_GIB says; 0 is no cache.

    Never more than a quarter of the disk's free room. ``SpecError`` where the variable is no such number.
    """
    asked = os.environ.get("TL_TUI_CACHE_GIB")
    if asked is not None:
        try:
            return max(0, int(float(asked) * 2**30))
        except (ValueError, OverflowError):
            raise SpecError(f"TL_TUI_CACHE_GIB: {asked!r} is not a number of GiB, such as 20 or 0.5") from None
    try:
        free = shutil.disk_usage(_existing(folder())).free
    except OSError:
        return 0
    return int(min(DEFAULT_LIMIT, DISK_SHARE * (free + sum(entry.bytes for entry in entries()))))


def key(*parts: str | int | bytes) -> str:
    """A name (hex) that depends on the parts and their order, and on nothing else."""
    digest = hashlib.blake2b(digest_size=20)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        digest.update(f"{len(raw)}:".encode())
        digest.update(raw)
    return digest.hexdigest()


def find(kind: str, name: str) -> Path | None:
    """The folder of an entry, marked as used now; None where there is none. It may be removed at any moment."""
    path = folder() / kind / name
    try:
        os.utime(path)
    except OSError:
        return path if path.is_dir() else None  # one that may not be marked can still be read
    return path


@contextmanager
def writing(kind: str, name: str, description: str, size: int) -> Iterator[Path | None]:
    """A new folder for the files of an entry of about ``size`` bytes; they become the entry where the block ends well.

    Others see it whole or not at all. Makes room by removing what was not used for longest. None where it would not
    fit or nothing can be written there; what goes wrong while it is put into its place only costs the entry.
    """
    try:
        partial = _begin(size)
    except OSError:
        logger.warning("nothing can be written to the cache", exc_info=True)
        partial = None
    if partial is None:
        yield None
        return
    try:
        yield partial
        try:
            _finish(partial, folder() / kind / name, description)
        except OSError:
            logger.warning("an entry could not be put into the cache", exc_info=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def entries() -> list[Entry]:
    """Every whole entry, the last used first."""
    found = []
    for path in folder().glob(f"[!.]*/*/{META}"):
        try:
            meta = msgspec.json.decode(path.read_bytes(), type=Meta)
            used = datetime.fromtimestamp(path.parent.stat().st_mtime, UTC)
        except (OSError, msgspec.DecodeError):
            continue
        found.append(Entry(path.parent.parent.name, path.parent.name, path.parent, meta.bytes, used, meta.description))
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def clear() -> tuple[int, int]:
    """Removes every entry and what dead processes left; the number of entries and of bytes."""
    if not folder().is_dir():
        return 0, 0
    with _lock():
        there = entries()
        for entry in there:
            _remove(entry.path)
        _remove_leftovers()
    return len(there), sum(entry.bytes for entry in there)


def _begin(size: int) -> Path | None:
    room = limit()
    if size > room or room == 0:
        return None
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock():
        _remove_leftovers()
        taken = 0
        for entry in entries():
            taken += entry.bytes
            if taken > room - size:
                _remove(entry.path)
                taken -= entry.bytes
    return Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{socket.gethostname()}-{os.getpid()}-", dir=folder()))


def _finish(partial: Path, place: Path, description: str) -> None:
    files = [path for path in partial.iterdir() if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    meta = partial / META
    meta.write_bytes(msgspec.json.encode(Meta(description, size)))
    for path in (*files, meta):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    place.parent.mkdir(exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError), _lock():
        if place.exists():  # another process was first, or it lacks what this one has
            _remove(place)
        partial.rename(place)


def _remove(path: Path) -> None:
    """Out of sight at once, whoever still reads it."""
    gone = path.parent.parent / f"{PARTIAL}{socket.gethostname()}-{os.getpid()}-{path.name}"
    with contextlib.suppress(OSError):
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _remove_leftovers() -> None:
    here = f"{PARTIAL}{socket.gethostname()}-"
    for path in folder().glob(f"{PARTIAL}*"):
        with contextlib.suppress(OSError, ValueError):
            dead = path.name.startswith(here) and not psutil.pid_exists(int(path.name.removeprefix(here).split("-")[0]))
            if dead or time.time() - path.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _lock() -> filelock.BaseFileLock:
    return filelock.FileLock(folder() / LOCK, timeout=LOCK_SECONDS)


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
