"""Append-only JSON-lines files: an experiment's events (one writer) and the commands to it (any writer).

Imports without torch.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from engine.events import Action, AnyEvent, Command, Event

if TYPE_CHECKING:
    import filelock

T = TypeVar("T")
EVENTS = "events.jsonl"
COMMANDS = "commands.jsonl"
WRITER_LOCK = "writer.lock"
CHUNK = 1 << 20
LONGEST_LINE = 1 << 24
"""Bytes, many times what an event takes; longer ones are not read into memory."""


class LogBusyError(RuntimeError):
    """Another process is writing this log; the text says which."""


class EventLog:
    """The one writer of an experiment's events. Safe to append to from several threads of its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._encoder = msgspec.json.Encoder()
        self._mutex = threading.Lock()
        self._lock = _lock(folder)
        try:
            self._lock.acquire(blocking=False)
        except TimeoutError:
            raise LogBusyError(f"{folder.name} is being written by {_writer(folder)}") from None
        (folder / WRITER_LOCK).write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")
        self._file = (folder / EVENTS).open("ab")
        self._began = time.monotonic()

    def append(self, event: Event) -> Event:
        """Stamps the event with the time, writes it as one line, and returns it as written."""
        with self._mutex:
            stamped = msgspec.structs.replace(
                event, time=datetime.now(UTC), elapsed=round(time.monotonic() - self._began, 3)
            )
            self._file.write(self._encoder.encode(stamped) + b"\n")
            self._file.flush()
            return stamped

    def close(self) -> None:
        """Makes the log durable and lets another writer take over."""
        with self._mutex:
            os.fsync(self._file.fileno())
            self._file.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LineReader(Generic[T]):
    """Reads the new whole lines of a growing JSON-lines file at each call of :meth:`read`.

    A torn last line is left for the next call; a line that cannot be understood (damaged, too long, or written by a
    newer version) is counted in ``skipped`` and passed over.
    """

    def __init__(self, path: Path, type_: Any) -> None:
        self.path = path
        self.skipped = 0
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)
        self._offset = 0
        self._partial = b""
        self._in_long_line = False

    def read(self) -> list[T]:
        """What was appended since the last call; nothing where the file does not exist yet."""
        items: list[T] = []
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                while chunk := file.read(CHUNK):
                    self._offset += len(chunk)
                    *lines, self._partial = (self._partial + chunk).split(b"\n")
                    if lines and self._in_long_line:
                        lines, self._in_long_line = lines[1:], False
                    items.extend(item for line in lines if (item := self._decode(line)) is not None)
                    if len(self._partial) > LONGEST_LINE:
                        self.skipped += not self._in_long_line
                        self._partial, self._in_long_line = b"", True
        except FileNotFoundError:
            return []
        return items

    def _decode(self, line: bytes) -> T | None:
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


def is_being_written(folder: Path) -> bool:
    """Whether a process holds the experiment's writer lock now; no where the lock may not even be tried."""
    if not (folder / WRITER_LOCK).exists():
        return False
    lock = _lock(folder)
    try:
        lock.acquire(blocking=False)
    except TimeoutError:
        return True
    except OSError:
        return False  # someone else's folder
    lock.release()
    return False


def _lock(folder: Path) -> filelock.BaseFileLock:
    """The lock of the log's one writer; where another holds it, acquiring raises a ``TimeoutError``."""
    import filelock  # noqa: PLC0415 - brings asyncio with it, which a look at finished experiments does not need

    return filelock.FileLock(folder / WRITER_LOCK, thread_local=False)


def _writer(folder: Path) -> str:
    try:
        host, pid = (folder / WRITER_LOCK).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "another process"
    return f"process {pid} on {host}"
