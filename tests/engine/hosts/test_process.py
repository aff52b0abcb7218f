"""An experiment in a process of its own session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from engine.history.experiment_state import read_state
from engine.hosts import process, thread
from engine.hosts.process import NotBegunError, detach
from engine.logs.events import EpochFinished
from engine.logs.log import event_reader, send_command
from engine.logs.writer_lock import writing_process
from tests import forked
from tests.engine.running import SECONDS, small_experiment, wait_for


@contextmanager
def detached(folder: Path) -> Iterator[int]:
    """A process that goes on with the experiment; where the test fails, it does not train on."""
    pid = detach(folder)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)  # nobody has waited for it, so the number is still its own
        os.waitpid(pid, 0)


@pytest.mark.slow
def test_it_runs_in_a_session_of_its_own_obeys_and_can_be_gone_on_with(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = thread.create(small_experiment("mobilenetv3-extract", data=image_folder(), epochs=100_000), tmp_path)
    with detached(folder) as pid:
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


DETACHES = """
import sys
from pathlib import Path
from engine.hosts.process import detach

detach(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_python_has_nothing_to_warn_of_where_a_process_outlives_the_one_that_started_it(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = thread.create(small_experiment("mobilenetv3-extract", data=image_folder()), tmp_path)
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", DETACHES, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_state(folder).end is None, "it outlives it"
    wait_for(lambda: read_state(folder).end == "finished")


def test_a_cache_that_is_named_from_here_is_the_same_in_a_process_of_its_own(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = thread.create(small_experiment("mobilenetv3-extract", data=image_folder()), tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TL_TUI_CACHE", "kept")
    process.detach(folder)
    wait_for(lambda: read_state(folder).end == "finished")
    assert (tmp_path / "kept").is_dir() and not Path("/kept").exists()


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
    folder = thread.create(small_experiment("mobilenetv3-extract", data=image_folder(), epochs=100_000), tmp_path)
    monkeypatch.setattr(process, "BEGIN_SECONDS", 0)
    with pytest.raises(NotBegunError, match="did not start within 0 s") as caught:
        detach(folder)
    with pytest.raises(ChildProcessError):  # it was waited for
        os.waitpid(int(str(caught.value).split()[1]), os.WNOHANG)
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
