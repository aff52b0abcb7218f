"""Leaving the app while a run trains, coming back to it, and ending it from there: with keys, in a real terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from engine.logs import events as ev
from engine.logs import folder as folders
from engine.logs.log import event_reader
from engine.logs.writer_lock import is_being_written, writing_process
from engine.states.replay import replay
from tests.engine.running import wait_for
from tests.tui.real_terminal import Terminal

START = "\x1b[15~"
"""F5."""


@pytest.fixture
def arguments(image_folder: Callable[..., Path], tmp_path: Path) -> Iterator[list[str]]:
    config = tmp_path / "long.toml"
    config.write_text(
        '[[strategies]]\nname = "tuned"\nbased_on = "resnet18-finetune"\n'
        'backbone = "squeezenet1_1"\nimage_size = 32\nepochs = 4000\n'
    )
    yield [str(image_folder()), "--weights", "none", "--device", "cpu", "--config", str(config)]
    for folder in folders.experiments(tmp_path / "runs"):
        if (pid := writing_process(folder)) is not None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()


@pytest.mark.slow
def test_detach_look_again_and_stop(
    open_terminal: Callable[..., Terminal], arguments: list[str], tmp_path: Path
) -> None:
    first = open_terminal(arguments)
    first.wait_for("Setup", "cold", "warm")
    first.press(START)
    first.wait_for("2/4000")
    first.press("d")
    left = first.wait_for_end()
    assert first.exit_status == 0
    (folder,) = folders.experiments(tmp_path / "runs")
    assert "It continues in the background" in left and "validation accuracy" not in left
    assert folder.name in left.replace("\n", "")
    assert is_being_written(folder)

    again = open_terminal([])  # it opens what goes on
    again.wait_for("squeezenet1_1", "training", "Pause")
    wait_for(lambda: len([one for one in event_reader(folder).read() if isinstance(one, ev.RunStarted)]) == 2)
    again.press(" ")
    again.wait_for("paused")
    again.press(" ")
    again.wait_until_gone("paused")
    again.press("s")
    again.wait_for("Stop the experiment?")
    again.press("y")
    again.wait_for("stopped", "Resume")  # the other process has written all that it had to
    again.press("q")
    left = again.wait_for_end().replace("\n", "")
    assert f"Some runs are unfinished; `tl-tui resume {folder.name}` continues them." in left
    assert "validation accuracy" not in left, "this process trained nothing"

    events = event_reader(folder).read()
    actions = [event.action for event in events if isinstance(event, ev.CommandApplied)]
    assert actions == ["suspend", "pause", "resume", "stop"]
    epochs = [epoch.epoch for epoch in replay(events).runs[0].epochs]
    assert epochs == list(range(1, len(epochs) + 1)), "the curve has no seam"
    started = [event for event in events if isinstance(event, ev.RunStarted)]
    assert len(started) == 2
    assert (started[1].epoch, started[1].step) >= (2, 0)


SLOW = """
from engine.hosts.thread import ThreadHost
from tui.cli import main
ThreadHost.ask = lambda self, action: None  # saving takes for ever
main()
"""


@pytest.mark.slow
def test_what_is_left_while_it_is_being_saved_does_not_go_on(
    open_terminal: Callable[..., Terminal], arguments: list[str], tmp_path: Path
) -> None:
    terminal = open_terminal(["-c", SLOW, *arguments])
    terminal.wait_for("Setup", "cold", "warm")
    terminal.press(START)
    terminal.wait_for("2/4000")
    terminal.press("q")
    terminal.wait_for("A run is training")
    terminal.press("y")
    terminal.wait_for("q quits without waiting")
    terminal.press("q")
    left = terminal.wait_for_end().replace("\n", "")
    (folder,) = folders.experiments(tmp_path / "runs")
    assert terminal.exit_status == 0
    assert f"It was closed while saving; `tl-tui resume {folder.name}` continues it." in left
    assert not is_being_written(folder)
