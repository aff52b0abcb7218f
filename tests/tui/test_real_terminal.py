"""The real ``tl-tui`` in a real pseudo-terminal, driven by keys and read from its screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from engine import folder as folders
from engine.log import event_reader
from engine.state import fold

SECONDS = 90.0


class Terminal:
    """The command in a pseudo-terminal of so many columns and rows."""

    def __init__(self, arguments: list[str], columns: int, rows: int, folder: Path) -> None:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        command = str(Path(sys.executable).parent / "tl-tui")
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            command, arguments, dimensions=(rows, columns), env=environment, cwd=str(folder), timeout=SECONDS
        )
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
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

    def wait_for_end(self) -> str:
        """The exit of the command; what is then on the normal screen and above it."""
        end = time.monotonic() + SECONDS
        while self.read():
            assert time.monotonic() < end, f"it does not end:\n{self.text()}"
        self.child.close()
        above = ["".join(line[column].data for column in sorted(line)) for line in self.screen.history.top]
        return "\n".join([*above, self.text()])


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def terminal(request: pytest.FixtureRequest, image_folder: Callable[..., Path], tmp_path: Path) -> Iterator[Terminal]:
    config = tmp_path / "small.toml"
    config.write_text(
        "".join(
            f'[[strategies]]\nname = "{name}"\nbased_on = "{base}"\nimage_size = 32\nepochs = 2\n'
            for name, base in (("tuned", "resnet18-finetune"), ("extracted", "mobilenetv3-extract"))
        )
    )
    arguments = [str(image_folder()), "--weights", "none", "--device", "cpu", "--config", str(config)]
    started = Terminal(arguments, *request.param, tmp_path)
    yield started
    started.child.close(force=True)


def test_from_setup_to_the_table_with_keys_alone(terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait_for("Setup", "cold", "warm")
    terminal.press("\x1b[15~")  # F5: start from anywhere
    terminal.wait_for("finished", "2/2")
    while fold(event_reader(folders.experiments(tmp_path / "runs")[0]).read()).end is None:
        terminal.read()
    terminal.press("3")
    terminal.wait_for("what trains", "tuned", "extracted")
    terminal.press("?")
    terminal.wait_for("Everywhere", "leave tl-tui")
    terminal.press("\x1b")
    terminal.wait_until_gone("Everywhere")  # Escape and q at once would be Alt+q
    terminal.press("q")
    left = terminal.wait_for_end()
    assert terminal.child.exitstatus == 0
    assert "validation accuracy" in left, "the table stays in the scrollback"
    assert "Traceback" not in left
    state = fold(event_reader(folders.experiments(tmp_path / "runs")[0]).read())
    assert [run.status for run in state.runs] == ["finished", "finished"]
