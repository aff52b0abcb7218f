"""A command in a pseudo-terminal, everything that it writes with the time at which it arrived."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

Size = tuple[int, int]
"""Columns and rows."""


class PseudoTerminal:
    """The command's terminal. A thread only reads and notes the time, so that drawing the screen delays no time.

    Answers none of the questions that programs ask a terminal, like an old one. ``began`` and every other moment are
    those of ``time.perf_counter``.
    """

    def __init__(self, command: Sequence[str], size: Size, folder: Path) -> None:
        columns, rows = size
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TL_TUI_ASCII")},
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._chunks: list[tuple[float, bytes]] = []
        self._drawn = 0
        self.began = time.perf_counter()
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            command[0], list(command[1:]), dimensions=(rows, columns), env=environment, cwd=str(folder)
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.child.child_fd, 1 << 16)
            except OSError:  # the command has ended
                return
            if not data:
                return
            self._chunks.append((time.perf_counter(), data))

    def press(self, key: str) -> float:
        """Writes the key and returns the moment just before."""
        now = time.perf_counter()
        os.write(self.child.child_fd, key.encode())
        return now

    def moments(self) -> Iterator[float]:
        """Draws what has arrived, piece by piece, and gives the moment at which each piece had."""
        while self._drawn < len(self._chunks):
            moment, data = self._chunks[self._drawn]
            self._drawn += 1
            self._stream.feed(data)
            yield moment

    def text(self) -> str:
        """What the drawn part of the output shows."""
        return "\n".join(self.screen.display)

    def wait_for(self, shown: Callable[[str], bool], seconds: float = 90.0) -> float:
        """The moment at which the screen first satisfied ``shown``; ``TimeoutError`` with the screen if it does not."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for moment in self.moments():
                if shown(self.text()):
                    return moment
            if not self._reader.is_alive() and self._drawn == len(self._chunks):
                break
            time.sleep(0.005)
        raise TimeoutError(f"it was not shown:\n{self.text()}")

    def bytes_between(self, first: float, last: float) -> int:
        """How many bytes arrived between two moments."""
        return sum(len(data) for moment, data in self._chunks if first <= moment < last)

    def close(self) -> None:
        """Ends the command at once."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)  # the end of the terminal alone would not end what trains
            self.child.wait()
        self.child.close()
        self._reader.join(5)


@contextmanager
def terminal(command: Sequence[str], size: Size, folder: Path) -> Iterator[PseudoTerminal]:
    """The command in a pseudo-terminal of that size with ``folder`` as its working folder, ended afterwards."""
    opened = PseudoTerminal(command, size, folder)
    try:
        yield opened
    finally:
        opened.close()
