"""Append-only JSON-lines files: an experiment's events (one writer) and the commands to it (any writer).

Imports without torch.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from engine.events import (
    Action,
    AnyEvent,
    Command,
    Event,
    MemorySampled,
    Progress,
    RunFailed,
    RunFinished,
    Warned,
)
from engine.folder import COMMANDS, EVENTS, WRITER_LOCK
from engine.text import shown

if TYPE_CHECKING:
    import filelock

T = TypeVar("T")
LOOK_SECONDS = 0.2
"""How long the lock is waited for: a process that only asks whether there is a writer holds it for less."""
CHUNK = 1 << 20
LONGEST_LINE = 1 << 24
"""Bytes, many times what an event takes; longer ones are not read into memory."""


class LogBusyError(RuntimeError):
    """Another process is writing this log; the text is one line that says which."""

    def __init__(self, text: str) -> None:
        super().__init__(shown(text, 2000))


class EventLog:
    """The one writer of an experiment's events. Safe to append to from several threads of its process.

    ``earlier``: the events that another process left before this one ``opened`` it; times go on from the last of them.
    Where the log cannot be written (a full disk), events wait in memory and are written as soon as that is possible
    again; ``problem`` is the error meanwhile. Progress and memory do not wait.

    :class:`LogBusyError` where another process writes the log, or one on another host may (``force``: it does not), and
    ``OSError`` where the folder is not there or cannot be written to.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        self.folder = folder
        self.problem: OSError | None = None
        self._encoder = msgspec.json.Encoder()
        self._mutex = threading.Lock()
        self._lock = _acquired(folder, force)
        self.opened = datetime.now(UTC)
        try:
            _sign(folder)  # from now on others know whom to send commands to
            self.earlier = event_reader(folder).read()
            # a line that was torn ends here
            self._waiting = b"" if _ends_whole(folder / EVENTS) else b"\n"
            self._file = open(folder / EVENTS, "ab", buffering=0, opener=private)  # noqa: SIM115 - until close()
        except OSError:
            self._lock.release()
            raise
        self._began = time.monotonic() - max((event.elapsed for event in self.earlier), default=0.0)

    def append(self, event: Event) -> Event:
        """Stamps the event with the time, writes it as one line, and returns it as written.

        The end of a run is on the disk when this returns: the checkpoint, the only other record of it, is deleted next.
        """
        with self._mutex:
            stamped = self._stamped(event)
            if self.problem is None or not isinstance(event, Progress | MemorySampled):
                self._waiting += self._encoder.encode(stamped) + b"\n"
            self._write()
            if isinstance(event, RunFinished | RunFailed):
                self._sync()
            return stamped

    def close(self) -> None:
        """Makes the log durable and lets another writer take over; ``OSError`` where events could not be written."""
        with self._mutex:
            try:
                self._write()
                self._sync()
                self._file.close()
                with suppress(OSError):
                    (self.folder / WRITER_LOCK).write_bytes(b"")
            finally:
                self._lock.release()
            if self.problem is not None:
                raise self.problem

    def _write(self) -> None:
        """Writes what waits, as far as that is possible."""
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._file.fileno(), self._waiting) :]
            self.problem = None
        except OSError as error:
            first, self.problem = self.problem is None, OSError(error.errno, error.strerror, str(self.folder / EVENTS))
            if first:
                message = f"the log could not be written ({error.strerror}); what happened meanwhile waited in memory"
                self._waiting += self._encoder.encode(self._stamped(Warned(message=message))) + b"\n"

    def _sync(self) -> None:
        with suppress(OSError):
            os.fsync(self._file.fileno())

    def _stamped(self, event: Event) -> Event:
        now = round(time.monotonic() - self._began, 3)
        return msgspec.structs.replace(event, time=datetime.now(UTC), elapsed=now)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LineReader(Generic[T]):
    """Reads the new whole lines of a growing JSON-lines file at each call of :meth:`read`.

    A torn last line is left for the next call; a line that cannot be understood (damaged, too long, or written by a
    newer version) is counted in ``skipped`` and passed over. Lines that begin with one of ``without`` are not even
    decoded; the last of them is ``passed``.
    """

    def __init__(self, path: Path, type_: Any, without: tuple[bytes, ...] = ()) -> None:
        self.path = path
        self.skipped = 0
        self.passed = b""
        self._without = without
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)
        self._offset = 0
        self._partial = b""
        self._in_long_line = False

    def read(self) -> list[T]:
        """What was appended since the last call; nothing where the file does not exist yet, ``OSError`` where it cannot
        be read now: the next call goes on from there.
        """
        items: list[T] = []
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                while chunk := file.read(CHUNK):
                    self._offset += len(chunk)
                    *lines, self._partial = (self._partial + chunk).split(b"\n")
                    if lines and self._in_long_line:
                        lines, self._in_long_line = lines[1:], False
                    items.extend(item for line in lines if self._is_wanted(line) and (item := self.decode(line)))
                    if len(self._partial) > LONGEST_LINE:
                        self.skipped += not self._in_long_line
                        self._partial, self._in_long_line = b"", True
        except OSError as error:  # what was read before it must not be lost
            if not items and not isinstance(error, FileNotFoundError):
                raise
        return items

    def _is_wanted(self, line: bytes) -> bool:
        if not line.startswith(self._without):
            return True
        self.passed = line
        return False

    def decode(self, line: bytes) -> T | None:
        """What a line says; None where it is empty, or cannot be understood and is counted."""
        if not line.strip():
            return None
        try:
            return self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.skipped += 1
            return None


def event_reader(folder: Path) -> LineReader[AnyEvent]:
    """A reader of the experiment's events, from the first."""
    return LineReader(folder / EVENTS, AnyEvent)


def command_reader(folder: Path) -> LineReader[Command]:
    """A reader of the commands sent to the experiment, from the first."""
    return LineReader(folder / COMMANDS, Command)


def send_command(folder: Path, action: Action) -> None:
    """Asks the process that runs the experiment to pause, resume, stop or skip."""
    line = msgspec.json.encode(Command(action, datetime.now(UTC))) + b"\n"
    with (folder / COMMANDS).open("ab", buffering=0) as file:
        file.write(line)


@contextmanager
def held(folder: Path, *, force: bool = False) -> Iterator[None]:
    """Nobody else writes the experiment's log meanwhile; :class:`LogBusyError` as in :class:`EventLog`."""
    lock = _acquired(folder, force)
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


def writer(folder: Path) -> str:
    """Who writes the experiment's log, or was the last to begin it, in words; empty where nobody does."""
    host, pid = _host_and_pid(folder)
    return shown(f"process {pid} on {host}", 200) if host else ""


def busy(folder: Path) -> LogBusyError:
    """That another process writes the experiment's log, and which."""
    return LogBusyError(f"{folder.name} is being written by {writer(folder) or 'another process'}")


def _acquired(folder: Path, force: bool) -> filelock.BaseFileLock:
    if not folder.is_dir():  # else the lock would make it
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    lock = _lock(folder)
    try:
        lock.acquire(timeout=LOOK_SECONDS, poll_interval=LOOK_SECONDS / 10)
    except TimeoutError:
        raise busy(folder) from None
    host, _ = _host_and_pid(folder)
    if host not in ("", socket.gethostname()) and not force:
        lock.release()
        raise LogBusyError(
            f"{folder.name} may still be written by {writer(folder)}; once that has ended, --force takes it over"
        )
    return lock


def _sign(folder: Path) -> None:
    """Says in the lock's file who holds it."""
    (folder / WRITER_LOCK).write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")


def private(path: str, flags: int) -> int:
    """An ``opener`` for files that only their owner may read."""
    return os.open(path, flags, 0o600)


def _ends_whole(path: Path) -> bool:
    """Whether the file ends with a whole line, is empty, or is not there."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except FileNotFoundError:
        return True


def _lock(folder: Path) -> filelock.BaseFileLock:
    """The lock of the log's one writer; where another holds it, acquiring raises a ``TimeoutError``."""
    import filelock  # noqa: PLC0415 - brings asyncio with it, which a look at finished experiments does not need

    return filelock.FileLock(folder / WRITER_LOCK, thread_local=False)


def _host_and_pid(folder: Path) -> tuple[str, str]:
    """What the last writer said of itself; empty where it ended in order or said nothing."""
    try:
        host, pid = (folder / WRITER_LOCK).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "", ""
    return host, pid
