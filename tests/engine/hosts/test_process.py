"""An experiment in a process of its own session."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engine.events import EpochFinished
from engine.history import read_state
from engine.hosts import process, thread
from engine.hosts.process import NotBegunError, detach
from engine.log import event_reader, send_command
from engine.writer_lock import writing_process
from tests import forked
from tests.engine.running import SECONDS, small_experiment, wait_for


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    """What was started is asked how it ended: else Python warns of it at its own end."""
    yield
    while process._started:
        started = process._started.pop()
        started.kill()  # where the test failed, it would train on
        started.wait(SECONDS)


@pytest.mark.slow
def test_it_runs_in_a_session_of_its_own_obeys_and_can_be_gone_on_with(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = thread.create(small_experiment("mobilenetv3-extract", data=image_folder(), epochs=100_000), tmp_path)
    pid = detach(folder)
    assert writing_process(folder) == pid
    assert os.getsid(pid) == pid != os.getsid(0)
    assert psutil.Process(pid).terminal() is None
    with pytest.raises(NotBegunError, match=f"is being written by process {pid}"):
        detach(folder)
    wait_for(lambda: any(isinstance(event, EpochFinished) for event in event_reader(folder).read()))
    os.kill(pid, signal.SIGHUP)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: writing_process(folder) is None)
    assert read_state(folder).suspended
    epochs = len(read_state(folder).runs[0].epochs)
    host = thread.resume(folder)
    wait_for(lambda: len(read_state(folder).runs[0].epochs) > epochs)
    send_command(folder, "stop")
    assert host.wait(SECONDS)
    assert read_state(folder).end == "stopped"
    numbers = [epoch.epoch for epoch in read_state(folder).runs[0].epochs]
    assert numbers == list(range(1, len(numbers) + 1)), "no epoch twice, none left out"


ASKED = """
import os, signal, sys
from engine.hosts import process, thread

class Busy:
    failure = None
    def ask(self, action):
        print(action, flush=True)
    def wait(self, seconds):
        for _ in range(int(sys.argv[1])):
            os.kill(os.getpid(), signal.SIGTERM)
        return True

thread.resume = lambda *_, **__: Busy()
sys.exit(process.main(["folder"]))
"""


@pytest.mark.parametrize(("times", "status"), [(1, 0), (2, 130)])
def test_a_second_signal_ends_it_at_once(times: int, status: int) -> None:
    done = forked.run(["-c", ASKED, str(times)], Path(__file__).parents[3], SECONDS)
    assert (done.returncode, done.stdout) == (status, "suspend\n"), done.stderr


def test_what_cannot_begin_says_why_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert process.main([str(tmp_path / "nowhere")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_does_not_begin_in_time_is_ended_before_anybody_else_goes_on(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = thread.create(small_experiment("mobilenetv3-extract", data=image_folder(), epochs=100_000), tmp_path)
    monkeypatch.setattr(process, "BEGIN_SECONDS", 0)
    with pytest.raises(NotBegunError, match="did not begin within 0 s"):
        detach(folder)
    assert process._started[-1].returncode is not None
    host = thread.resume(folder)
    host.ask("stop")
    assert host.wait(SECONDS)


@pytest.mark.slow
def test_data_that_are_gone_are_told_by_the_one_who_detaches(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder()
    folder = thread.create(small_experiment("mobilenetv3-extract", data=data), tmp_path / "runs")
    data.rename(tmp_path / "moved")
    with pytest.raises(NotBegunError, match="no such"):
        detach(folder)
