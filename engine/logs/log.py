"""Append-only JSON-lines files: an experiment's events (one writer) and the commands to it (any writer).

Imports without torch.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from engine.files import private
from engine.logs.events import (
    Action,
    AnyEvent,
    Command,
    Event,
    MemorySampled,
    Progress,
    Warned,
)
from engine.logs.folder import COMMANDS, EVENTS, WRITER_LOCK
from engine.logs.writer_lock import acquired, sign

T = TypeVar("T")
CHUNK = 1 << 20
ENOUGH_TO_TELL = 256
"""Bytes of a log that no other log has: a whole line, with its time."""
LONGEST_LINE = 1 << 24
"""Bytes, many times what an event takes; longer ones are not read into memory."""


class EventLog:
    """The one writer of an experiment's events. Safe to append to from several threads of its process.

    ``earlier``: the events that another process left before this one ``opened`` it, but for progress and memory, which
    are most of a long log and say nothing of how to go on; ``earlier_count``: of all. Times go on from the last.
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
        self._lock = acquired(folder, force)
        self.opened = datetime.now(UTC)
        try:
            sign(folder, self._lock)  # from now on others know whom to send commands to
            self.earlier, self.earlier_count, elapsed = list[AnyEvent](), 0, 0.0
            for event in event_reader(folder).stream():
                self.earlier_count += 1
                elapsed = max(elapsed, event.elapsed)
                if not isinstance(event, Progress | MemorySampled):
                    self.earlier.append(event)
            # a line that was torn ends here
            self._waiting = b"" if _ends_whole(folder / EVENTS) else b"\n"
            self._file = open(folder / EVENTS, "ab", buffering=0, opener=private)  # noqa: SIM115 - until close()
        except OSError:
            self._lock.release()
            raise
        self._began = time.monotonic() - elapsed

    def append(self, event: Event) -> Event:
        """Stamps the event with the time, writes it as one line, and returns it as written."""
        with self._mutex:
            stamped = self._stamped(event)
            if self.problem is None or not isinstance(event, Progress | MemorySampled):
                self._waiting += self._encoder.encode(stamped) + b"\n"
            self._write()
            return stamped

    def is_on_disk(self) -> bool:
        """Makes the log durable; whether all that was appended is so now, as far as the system tells."""
        with self._mutex:
            self._write()
            return self._sync() and self.problem is None

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
                message = f"the log could not be written ({error.strerror}); events were kept in memory meanwhile"
                self._waiting += self._encoder.encode(self._stamped(Warned(message=message))) + b"\n"

    def _sync(self) -> bool:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:  # a network's disk tells here that it is full
            return error.errno in (errno.EINVAL, errno.ENOSYS)  # it has no such thing
        return True

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
    newer version) is counted in ``unreadable`` and passed over. Lines that begin with one of ``skip_prefixes`` are not
    even decoded; the last of them is ``last_skipped``.
    """

    def __init__(self, path: Path, type_: Any, skip_prefixes: tuple[bytes, ...] = ()) -> None:
        self.path = path
        self.unreadable = 0
        self.last_skipped = b""
        self._skip_prefixes = skip_prefixes
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)
        self._unclaimed: list[T] = []
        self._offset = 0
        self._partial = b""
        self._end = b""
        self._in_long_line = False

    def read(self) -> list[T]:
        """All that was appended since the last call; nothing where the file does not exist yet, ``OSError`` where it
        cannot be read to its end now: the next call goes on from there, and nothing is lost.
        """
        for item in self.stream():
            self._unclaimed.append(item)
        items, self._unclaimed = self._unclaimed, []
        return items

    def stream(self) -> Iterator[T]:
        """What :meth:`read` returns, one by one, for a reader who keeps little of a long file; of one call, all has to
        be taken. ``OSError`` once it cannot be read on.
        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            while chunk := file.read(CHUNK):
                self._offset += len(chunk)
                self._end = (self._end + chunk[-ENOUGH_TO_TELL:])[-ENOUGH_TO_TELL:]
                *lines, self._partial = (self._partial + chunk).split(b"\n")
                if lines and self._in_long_line:
                    lines, self._in_long_line = lines[1:], False
                yield from (item for line in lines if self._is_wanted(line) and (item := self.decode(line)))
                if len(self._partial) > LONGEST_LINE:
                    self.unreadable += not self._in_long_line
                    self._partial, self._in_long_line = b"", True

    def can_go_on(self) -> bool:
        """Whether the file still holds what was read of it last: it was not cut, nor did another take its place."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset - len(self._end))
                return file.read(len(self._end)) == self._end
        except OSError:
            return False

    def _is_wanted(self, line: bytes) -> bool:
        if not line.startswith(self._skip_prefixes):
            return True
        self.last_skipped = line
        return False

    def decode(self, line: bytes) -> T | None:
        """What a line says; None where it is empty, or cannot be understood and is counted."""
        if not line.strip():
            return None
        try:
            return self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.unreadable += 1
            return None


def event_reader(folder: Path, skip_prefixes: tuple[bytes, ...] = ()) -> LineReader[AnyEvent]:
    """A reader of the experiment's events, from the first, without the lines that begin so."""
    return LineReader(folder / EVENTS, AnyEvent, skip_prefixes)


def command_reader(folder: Path) -> LineReader[Command]:
    """A reader of the commands sent to the experiment, from the first."""
    return LineReader(folder / COMMANDS, Command)


def send_command(folder: Path, action: Action, run: str = "") -> None:
    """Asks the process that runs the experiment to pause, resume, stop or skip; ``run``: see :class:`Command`."""
    line = msgspec.json.encode(Command(action, datetime.now(UTC), run)) + b"\n"
    with (folder / COMMANDS).open("ab", buffering=0) as file:
        file.write(line)


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
