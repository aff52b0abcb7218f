"""The cache: what was prepared once for later experiments, in folders named after what it was made from.

Own code since no cache library hands out files to map into memory, and the usual ones pickle. Imports without torch.

Every change happens under one lock, and by renaming: an entry is there whole or not at all. What is being written is a
hidden folder whose name says how many bytes were promised to it and whose own lock its writer holds: if that lock is
free, its writer has died. Files of anyone else are left alone.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import platformdirs
from msgspec import Struct

from engine.errors import UserError
from engine.files import sync
from engine.text import shown

if TYPE_CHECKING:
    import filelock

DEFAULT_LIMIT = 20 * 2**30
DISK_SHARE = 0.25
"""Unless told otherwise, the cache takes no more than this share of what the disk has free, itself counted in."""
LOCK_SECONDS = 60.0
META, LOCK, PARTIAL = "meta.json", "lock", ".partial-"
NAME = re.compile(r"[0-9a-f]{40}(-[0-9a-f]{40})?")
PARTIAL_NAME = re.compile(re.escape(PARTIAL) + r"(\d+)-\w{8}")
FULL = (errno.ENOSPC, errno.EDQUOT)
logger = logging.getLogger("engine")


class Meta(Struct, frozen=True):
    """What an entry says of itself: a description for a person, and its size in bytes."""

    description: str
    bytes: Annotated[int, msgspec.Meta(ge=0)]


class Entry(NamedTuple):
    """A whole entry; ``used`` is when it was last found or made."""

    kind: str
    key: str
    path: Path
    bytes: int
    used: datetime
    description: str


class Writing(NamedTuple):
    """An entry in the making: its folder and the lock in it; ``before`` is the inode of the entry that it replaces,
    ``limit`` the cache's size limit (bytes) when it began.
    """

    path: Path
    lock: filelock.BaseFileLock
    before: int | None
    limit: int


def home() -> Path:
    """The folder of the cache and of the demo set, which is no entry; the environment variable TL_TUI_CACHE names
    another place, ``UserError`` if it cannot.
    """
    named = os.environ.get("TL_TUI_CACHE")
    try:
        return Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("tl-tui")
    except RuntimeError:
        raise UserError(f"TL_TUI_CACHE: {named!r} names nobody's home folder; give the whole path") from None


def folder() -> Path:
    """Where entries are; errors as of :func:`home`."""
    return home() if os.environ.get("TL_TUI_CACHE") else home() / "prepared"


def limit() -> int:
    """Bytes that all entries together may take; 0 is no cache.

    What TL_TUI_CACHE_GIB says, and no more than the disk has; ``UserError`` if that is no number. If it says nothing,
    20 GiB, and no more than a quarter of what the disk has.
    """
    asked = _asked()
    if asked == 0:
        return 0
    try:
        room = shutil.disk_usage(_existing(folder())).free + sum(entry.bytes for entry in entries())
    except OSError:
        return 0
    return min(asked, room) if asked is not None else int(min(DEFAULT_LIMIT, DISK_SHARE * room))


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
    if _asked() == 0:
        return None
    path = folder() / kind / name
    try:
        if not (path / META).is_file():
            return None
    except OSError:
        return None
    with suppress(OSError):  # one that may not be marked can still be read
        os.utime(path)
    return path


def alike(kind: str, recipe: str, first: str) -> list[Path]:
    """A kind's entries whose names begin with a recipe: the folder named ``first``, then those last used."""
    found: list[tuple[bool, float, Path]] = []
    try:
        paths = _folders(folder() / kind) if _asked() != 0 else []
    except OSError:
        return []
    for path in paths:
        if path.name.startswith(f"{recipe}-"):
            with suppress(OSError):  # it may be removed at any moment
                found.append((path.name == first, path.stat().st_mtime, path))
    return [path for *_, path in sorted(found, reverse=True)]


@contextmanager
def writing(kind: str, name: str, description: str, size: int) -> Iterator[Path | None]:
    """A new folder for the files of an entry of about ``size`` bytes; they become the entry where the block ends well.

    Others see it whole or not at all. Makes room by removing what was not used for longest. None where it would not
    fit or nothing can be written there. A full disk ends the block and costs only the entry, as does whatever goes
    wrong with its files; every other exception of the block is raised.
    """
    place = folder() / kind / name
    begun = _begin(place, size)
    if begun is None:
        yield None
        return
    try:
        yield begun.path
        _finish(begun, place, description)
    except OSError as error:
        is_unnamed = error.errno is not None and error.filename is None  # as of a file that is open: here an entry's
        if error.errno not in FULL and not is_unnamed and not str(error.filename).startswith(str(begun.path)):
            raise
        logger.warning("an entry of the cache could not be written", exc_info=True)
    finally:
        with suppress(OSError):
            begun.lock.release()
        shutil.rmtree(begun.path, ignore_errors=True)


def remember(kind: str, name: str, description: str, size: int, write: Callable[[Path], object]) -> None:
    """Makes an entry of about ``size`` bytes of what ``write`` puts into a folder; a failure is only logged."""
    try:
        with writing(kind, name, description, size) as place:
            if place is not None:
                write(place)
    except OSError:
        logger.warning("%s could not be kept for the next experiment", description, exc_info=True)


def entries() -> list[Entry]:
    """Every whole entry, the last used first; ``OSError`` where the cache's folder cannot be read."""
    found: list[Entry] = []
    for kind in _folders(folder()):
        with suppress(OSError):  # a folder of someone else
            found += [entry for path in _folders(kind) if NAME.fullmatch(path.name) and (entry := _entry(path))]
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def clear() -> tuple[int, int]:
    """Removes every entry and what dead processes left; the number of entries and all bytes that went.

    ``OSError`` where that cannot be done, a ``TimeoutError`` where others are busy there.
    """
    if not entries() and not _partials():
        return 0, 0
    with _lock(folder()):
        removed = [entry.bytes for entry in entries() if _remove(entry.path)]
        return len(removed), sum(removed) + _remove_leftovers()


def _asked() -> int | None:
    """Bytes that TL_TUI_CACHE_GIB allows; None where it says nothing."""
    asked = os.environ.get("TL_TUI_CACHE_GIB")
    if asked is None:
        return None
    try:
        return max(0, int(float(asked) * 2**30))
    except (ValueError, OverflowError):
        raise UserError(f"TL_TUI_CACHE_GIB: {asked!r} is not a number of GiB, such as 20 or 0.5") from None


def _begin(place: Path, size: int) -> Writing | None:
    most = limit()
    if most == 0 or size > most:
        return None
    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(folder()):
            if not _make_room(size, most):
                return None
            before = _inode(place)
            path = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{size}-", dir=folder()))
            lock = _lock(path, seconds=0)
            lock.acquire()
            return Writing(path, lock, before, most)
    except OSError:  # a lock that is not had in time among them
        logger.warning("nothing can be written to the cache", exc_info=True)
        return None


def _finish(begun: Writing, place: Path, description: str) -> None:
    try:
        size = _sealed(begun.path, description)
        with _lock(folder()):
            if _inode(place) not in (None, begun.before) and (first := _entry(place)) and first.bytes >= size:
                return  # another process was first, and has all that this one has
            _remove(place)
            if _make_room(size, begun.limit, besides=begun.path):
                (begun.path / LOCK).unlink()
                place.parent.mkdir(exist_ok=True, mode=0o700)
                begun.path.rename(place)
    except OSError:
        logger.warning("an entry could not be put into the cache", exc_info=True)


def _sealed(path: Path, description: str) -> int:
    """Writes what the entry says of itself, and all of it to the disk; the bytes of its files."""
    files = [file for file in path.iterdir() if file.name != LOCK]
    size = sum(file.stat().st_size for file in files)
    meta = path / META
    meta.write_bytes(msgspec.json.encode(Meta(shown(description), size)))
    for written in (*files, meta):
        sync(written)
    return size


def _make_room(size: int, most: int, besides: Path | None = None) -> bool:
    """Removes what was not used for longest until ``size`` more bytes fit, and says whether they do; under the lock."""
    _remove_leftovers()
    promised = sum(bytes_ for path, bytes_ in _partials() if path != besides)
    room = most - size - promised
    if room < 0:
        return False
    taken = 0
    for entry in entries():
        taken += entry.bytes
        if taken > room and _remove(entry.path):
            taken -= entry.bytes
    return taken <= room


def _remove(path: Path) -> bool:
    """Removes an entry, at once also for those who still read it; whether that went well."""
    gone = folder() / f"{PARTIAL}0-{secrets.token_hex(4)}"
    try:
        path.rename(gone)
    except OSError:
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _remove_leftovers() -> int:
    """Removes what processes that died were writing or removing; the bytes that went."""
    freed = 0
    for path, _ in _partials():
        with suppress(OSError), _lock(path, seconds=0):  # a TimeoutError where its writer lives
            freed += _size(path)
            shutil.rmtree(path, ignore_errors=True)
    return freed


def _partials() -> list[tuple[Path, int]]:
    """The folders that are being written, or were by a process that died, and the bytes promised to each."""
    named = ((path, PARTIAL_NAME.fullmatch(path.name)) for path in _folders(folder()))
    return [(path, int(match[1])) for path, match in named if match]


def _entry(path: Path) -> Entry | None:
    """What is there; None where nothing is that this process may read."""
    try:
        raw, changed = (path / META).read_bytes(), path.stat().st_mtime
        try:
            meta = msgspec.json.decode(raw, type=Meta)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            meta = Meta("damaged", _size(path))  # still takes room, and goes when room is needed
    except OSError:
        return None
    used = datetime.fromtimestamp(min(max(0.0, changed), time.time()), UTC)
    return Entry(path.parent.name, path.name, path, meta.bytes, used, meta.description)


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as found:
            return [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    with os.scandir(path) as found:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in found)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _lock(path: Path, seconds: float = LOCK_SECONDS) -> filelock.BaseFileLock:
    """The lock in a folder; acquiring it raises ``OSError``, a ``TimeoutError`` where others hold it for so long."""
    import filelock  # noqa: PLC0415 - brings asyncio with it, which a look at the entries does not need

    return filelock.FileLock(path / LOCK, timeout=seconds, thread_local=False)


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
