"""The lock that lets one process at a time write an experiment's log. Imports without torch."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import LogBusyError
from engine.logs.folder import WRITER_LOCK
from engine.text import shown

if TYPE_CHECKING:
    import filelock

LOOK_SECONDS = 0.2
"""How long the lock is waited for: a process that only asks whether there is a writer holds it for less."""


@contextmanager
def held(folder: Path, *, force: bool = False) -> Iterator[None]:
    """Nobody else writes the experiment's log meanwhile; :class:`LogBusyError` as in :func:`acquired`."""
    lock = acquired(folder, force)
    try:
        yield
    finally:
        lock.release()


def is_being_written(folder: Path) -> bool:
    """Whether a process holds the experiment's writer lock now; no where the lock may not even be tried."""
    if not _is_locked(folder):
        return False
    time.sleep(0.001)  # somebody else who only looks has it for less
    return _is_locked(folder)


def _is_locked(folder: Path) -> bool:
    lock = _lock(folder)
    try:
        if not (folder / WRITER_LOCK).exists():
            return False
        lock.acquire(blocking=False)
    except TimeoutError:
        return True
    except OSError:
        return False  # someone else's folder
    lock.release()
    return False


def writing_process(folder: Path) -> int | None:
    """The id of the process of this host that writes the experiment's log; None where nobody here does."""
    host, pid = _host_and_pid(folder)
    return int(pid) if host == socket.gethostname() and pid.isdecimal() and is_being_written(folder) else None


def writer_place(folder: Path) -> tuple[str, int] | None:
    """The host of that which writes the experiment's log, or was the last to begin it, and the id of its process there;
    None where nobody does.
    """
    host, pid = _host_and_pid(folder)
    return (shown(host, 200), int(pid)) if pid.isdecimal() else None


def writer(folder: Path) -> str:
    """Who writes the experiment's log, or was the last to begin it, in words; empty where nobody does."""
    host, pid = _host_and_pid(folder)
    return shown(f"process {pid} on {host}", 200) if host else ""


def busy(folder: Path) -> LogBusyError:
    """The error that another process writes the experiment's log, which it names."""
    return LogBusyError(f"{folder.name} is being written by {writer(folder) or 'another process'}")


def _perhaps_busy(folder: Path) -> LogBusyError:
    advice = "once that has ended, --force on the command line takes over"
    return LogBusyError(f"{folder.name} may still be written by {writer(folder) or 'another process'}; {advice}")


def acquired(folder: Path, force: bool) -> filelock.BaseFileLock:
    """The lock, now this process's; :class:`LogBusyError` where another process has it, or one elsewhere may write."""
    if not folder.is_dir():  # else the lock would make it
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    lock = _lock(folder)
    try:
        _wait_for(lock)
    except TimeoutError:
        if not _is_left_behind(folder, lock):
            raise busy(folder) from None
        if not force:
            raise _perhaps_busy(folder) from None
        (folder / WRITER_LOCK).unlink(missing_ok=True)
        _wait_for(lock)
    host, _ = _host_and_pid(folder)
    if host not in ("", socket.gethostname()) and not force:
        lock.release()
        raise _perhaps_busy(folder)
    return lock


def sign(folder: Path, lock: filelock.BaseFileLock) -> None:
    """Says in the lock's file who holds it."""
    if not _is_a_file_alone(lock):  # of which the library has written that, and tells by it whether the holder lives
        (folder / WRITER_LOCK).write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")


def _wait_for(lock: filelock.BaseFileLock) -> None:
    lock.acquire(timeout=LOOK_SECONDS, poll_interval=LOOK_SECONDS / 10)


def _is_a_file_alone(lock: filelock.BaseFileLock) -> bool:
    """Whether the lock is that its file is there: what is left where the file system locks none (some of Lustre's)."""
    import filelock  # noqa: PLC0415 - see _lock

    return isinstance(lock, filelock.SoftFileLock)


def _is_left_behind(folder: Path, lock: filelock.BaseFileLock) -> bool:
    """Whether a file that alone is the lock is not that of a process of this host that lives."""
    import psutil  # noqa: PLC0415 - as rarely needed as it is large

    host, pid = _host_and_pid(folder)
    here = host == socket.gethostname() and pid.isdecimal() and psutil.pid_exists(int(pid))
    return _is_a_file_alone(lock) and not here


def _lock(folder: Path) -> filelock.BaseFileLock:
    """The lock of the log's one writer; where another holds it, acquiring raises a ``TimeoutError``."""
    import filelock  # noqa: PLC0415 - brings asyncio with it, which a look at finished experiments does not need

    return filelock.FileLock(folder / WRITER_LOCK, thread_local=False)


def _host_and_pid(folder: Path) -> tuple[str, str]:
    """What the last writer said of itself; empty where it ended in order or said nothing."""
    try:
        written = (folder / WRITER_LOCK).read_text(encoding="utf-8")
        if len(lines := written.splitlines()) > 1:  # as the library writes it, see sign()
            return lines[1].partition("?")[0], lines[0]
        host, pid = written.split()
    except (OSError, ValueError):
        return "", ""
    return host, pid
