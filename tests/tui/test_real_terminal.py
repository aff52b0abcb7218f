"""The real ``tl-tui`` in a real pseudo-terminal, driven by keys and read from its screen."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from engine.history.experiment_state import read_state
from engine.logs import folder as folders
from tests.engine.running import wait_for
from tests.tui import logs
from tests.tui.real_terminal import Terminal
from tui.errors import app_log


@pytest.fixture
def small(image_folder: Callable[..., Path], tmp_path: Path) -> list[str]:
    """The arguments of two runs of a few seconds."""
    config = tmp_path / "small.toml"
    config.write_text(
        "".join(
            f'[[strategies]]\nname = "{name}"\nbased_on = "{base}"\nimage_size = 32\nepochs = 2\n'
            for name, base in (("tuned", "resnet18-finetune"), ("extracted", "mobilenetv3-extract"))
        )
    )
    return [str(image_folder()), "--weights", "none", "--device", "cpu", "--config", str(config)]


def test_from_setup_to_the_table_with_keys_alone(
    open_terminal: Callable[..., Terminal], small: list[str], tmp_path: Path
) -> None:
    terminal = open_terminal(small, new=True)
    terminal.wait_for("Setup", "cold", "warm")
    terminal.press("\x1b[15~")  # F5: start from anywhere
    terminal.wait_for("finished", "2/2")
    (folder,) = folders.experiments(tmp_path / "runs")
    wait_for(lambda: terminal.read() and read_state(folder).end is not None)
    terminal.press("3")
    terminal.wait_for("val acc", "tuned", "extracted")
    terminal.press("?")
    terminal.wait_for("Keys", "line up")
    logs.write(tmp_path / "runs" / "earlier-20200101-000000", logs.events())
    terminal.press("\x1b4")  # Escape and 4 in one piece, as over a slow connection
    terminal.wait_for("tuned", "ants-bees")
    terminal.press("\x1b[F\r")  # End and Enter: the earlier one
    terminal.wait_for("ants-bees", "val acc")
    terminal.press("q")
    left = terminal.wait_for_end()
    assert terminal.exit_status == 0
    assert "validation accuracy" in left and "tuned" in left, "the table of what was trained stays in the scrollback"
    assert "ants-bees" not in left, "and not that of what was looked at"
    assert "Traceback" not in left
    assert [run.status for run in read_state(folder).runs] == ["finished", "finished"]


def test_of_an_experiment_that_was_only_looked_at_one_line_says_where_it_is(
    open_terminal: Callable[..., Terminal], image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    logs.write(tmp_path / "runs" / "earlier-20200101-000000", logs.events())
    terminal = open_terminal([str(image_folder())])
    terminal.wait_for("Setup", "cold")
    terminal.press("4")
    terminal.wait_for("ants-bees", "finished")
    terminal.press("\r")
    terminal.wait_for("val acc", "t Plot")
    terminal.press("q")
    left = terminal.wait_for_end()
    said = "runs/earlier-20200101-000000: `tl-tui compare earlier-20200101-000000` prints its results."
    assert "".join(said.split()) in "".join(left.split())
    assert "trainable parameters" not in left, "a line of the table"


def test_keys_of_another_encoding_end_nothing(
    open_terminal: Callable[..., Terminal], image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    terminal = open_terminal([str(image_folder())])
    terminal.wait_for("Setup", "cold")
    terminal.press("/")
    terminal.child.send(b"\x05f\xfcr")  # the end of the line, and ü in Latin-1
    terminal.wait_for("f\ufffdr")
    terminal.press("\x03")  # Ctrl-C
    terminal.wait_for_end()
    assert terminal.exit_status == 0
    assert not app_log().exists() or not app_log().read_text()


COUNTED = """
import signal, sys, threading
from pathlib import Path
from tui.cli import main
def count(*_):
    Path("threads").write_text(" ".join(sorted(one.name for one in threading.enumerate())))
signal.signal(signal.SIGUSR1, count)
main()
"""


@pytest.mark.parametrize("stop", [signal.SIGSTOP, signal.SIGTSTP])
def test_after_every_stop_all_is_drawn_and_one_thread_reads_the_keys(
    stop: signal.Signals, open_terminal: Callable[..., Terminal], image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    terminal = open_terminal(["-c", COUNTED, str(image_folder())])
    assert terminal.process is not None
    process = psutil.Process(terminal.process.pid)
    terminal.wait_for("Setup", "cold")
    for _ in range(3):
        terminal.process.send_signal(stop)
        wait_for(lambda: terminal.read() and process.status() == psutil.STATUS_STOPPED)
        terminal.screen.reset()  # what a shell does with it meanwhile
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for("Setup", "cold", "Strategies", "ctrl+r starts")
    terminal.press("?")
    terminal.wait_for("Keys", "esc close")
    terminal.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: terminal.read() and (tmp_path / "threads").exists() and (tmp_path / "threads").read_text())
    assert (tmp_path / "threads").read_text().count("textual-input") == 1
    assert (tmp_path / "threads").read_text().count("textual-output") == 1
    terminal.press("\x1b")
    terminal.press("\x03")
    terminal.wait_for_end()
    assert terminal.exit_status == 0


STOPPED_WHILE_WRITING = """
import os, signal
from pathlib import Path
from textual.drivers._writer_thread import WriterThread
from tui.cli import main
from tui.terminal.stops import StoppedInOrder
write, begin, numbers = WriterThread.write, StoppedInOrder._begin_anew, {}
def interrupted(thread, text):
    with thread._queue.mutex:
        while "Keys" in text and numbers:
            os.kill(os.getpid(), numbers.pop(0))
    write(thread, text)
def noted(driver):
    begin(driver)
    Path("begun anew").touch()
WriterThread.write, StoppedInOrder._begin_anew = interrupted, noted
main()
"""


@pytest.mark.parametrize("goes_on", [False, True], ids=["until it is continued", "unless it was continued before"])
def test_a_stop_in_the_middle_of_a_write_is_obeyed(
    goes_on: bool, open_terminal: Callable[..., Terminal], image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    numbers = [int(signal.SIGTSTP), *([int(signal.SIGCONT)] if goes_on else [])]
    terminal = open_terminal(["-c", STOPPED_WHILE_WRITING.format(numbers), str(image_folder())])
    assert terminal.process is not None
    process = psutil.Process(terminal.process.pid)
    terminal.wait_for("Setup", "cold")
    terminal.press("?")
    if not goes_on:
        wait_for(lambda: terminal.read() and process.status() == psutil.STATUS_STOPPED)
        terminal.screen.reset()
        terminal.process.send_signal(signal.SIGCONT)
    wait_for(lambda: terminal.read() and (tmp_path / "begun anew").exists())  # what is pressed before is thrown away
    terminal.wait_for("Keys", "esc close")
    terminal.press("\x1b")
    terminal.press("\x03")
    terminal.wait_for_end()
    assert terminal.exit_status == 0


BROKEN = """
from tui.app import TlTui
from tui.cli import main
from textual._xterm_parser import XTermParser
def broken(*_):
    raise RuntimeError("broken on purpose")
{} = broken
main()
"""


@pytest.mark.parametrize("what", ["TlTui.action_help", "XTermParser.feed"], ids=["a key", "reading keys"])
def test_an_app_that_fails_says_so_on_the_terminal(
    what: str, open_terminal: Callable[..., Terminal], image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    terminal = open_terminal(["-c", BROKEN.format(what), str(image_folder())])
    if what == "TlTui.action_help":
        terminal.wait_for("Setup", "cold")
        terminal.press("?")
    else:
        terminal.press("?")
    said = terminal.wait_for_end()
    assert terminal.exit_status == 1
    assert "".join(said.split()).count(f"tl-tuicrashed;detailsin{app_log()}") == 1
    assert "Traceback" not in said and "broken on purpose" in app_log().read_text()


SLOW = """
import time
import engine.data.discover, engine.history.summaries
from tui.cli import main
engine.data.discover.discover = engine.history.summaries.iter_summaries = lambda *_: time.sleep(600)
main()
"""


@pytest.mark.parametrize("mode", ["Setup", "Runs"])
def test_quitting_waits_for_no_disk(mode: str, open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(["-c", SLOW])
    terminal.wait_for("Setup", "reading", "space Tick")
    if mode == "Runs":
        terminal.press("4")
        terminal.wait_for("reading")
    terminal.press("q")
    terminal.wait_for_end()
    assert terminal.exit_status == 0
