"""``tl-tui`` in a pseudo-terminal, for tests that press its keys and read its screen."""

from __future__ import annotations

import os
import pty
import sys
import termios
import time
from pathlib import Path

import pexpect
import pyte
from pexpect.fdpexpect import fdspawn
from pexpect.spawnbase import SpawnBase

from tests import forked

SECONDS = 90.0
COLUMNS, ROWS = 80, 24


class Terminal:
    """The command in a pseudo-terminal; ``new``: in a new interpreter, else forked.

    ``-c CODE …`` as the arguments of one that is forked: that code of Python instead.
    """

    def __init__(self, arguments: list[str], folder: Path, *, new: bool = False) -> None:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.child: SpawnBase[bytes]
        self.process: forked.Forked | None = None
        if new:
            command = str(Path(sys.executable).parent / "tl-tui")
            self.child = pexpect.spawn(
                command, arguments, dimensions=(ROWS, COLUMNS), env=environment, cwd=str(folder), timeout=SECONDS
            )
        else:
            ours, theirs = pty.openpty()
            termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
            streams = (theirs, theirs, theirs)
            arguments = arguments if arguments[:1] == ["-c"] else ["tl-tui", *arguments]
            self.process = forked.start(arguments, streams, folder, environment, controlling=True)
            os.close(theirs)
            self.child = fdspawn(ours, timeout=SECONDS)
        self.screen = pyte.HistoryScreen(COLUMNS, ROWS, history=1000)
        self.stream = pyte.ByteStream(self.screen)

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def read(self) -> bool:
        """Takes in what was written; whether the command is still there."""
        try:
            self.stream.feed(self.child.read_nonblocking(65536, timeout=0.1))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True

    def wait_for(self, *texts: str) -> str:
        end = time.monotonic() + SECONDS
        while not all(text in self.text() for text in texts):
            assert self.read() or all(text in self.text() for text in texts), f"it ended:\n{self.text()}"
            assert time.monotonic() < end, f"{texts} did not appear:\n{self.text()}"
        return self.text()

    def wait_until_gone(self, text: str) -> None:
        end = time.monotonic() + SECONDS
        while text in self.text():
            assert self.read(), f"it ended:\n{self.text()}"
            assert time.monotonic() < end, f"{text} stays:\n{self.text()}"

    def press(self, keys: str) -> None:
        self.child.send(keys)

    def close(self) -> None:
        """Lets go of the terminal, with which the command ends."""
        self.child.close()
        if self.process is not None:
            self.exit_status = self.process.wait()
        elif isinstance(self.child, pexpect.spawn):
            self.exit_status = self.child.exitstatus

    def kill(self) -> None:
        """Ends the command whatever it does, if it has not ended."""
        if self.process is not None:
            self.process.kill()
        self.close()

    def wait_for_end(self) -> str:
        """The exit of the command; what is then on the normal screen and above it."""
        end = time.monotonic() + SECONDS
        while self.read():
            assert time.monotonic() < end, f"it does not end:\n{self.text()}"
        self.close()
        above = ["".join(line[column].data for column in sorted(line)) for line in self.screen.history.top]
        return "\n".join([*above, self.text()])
