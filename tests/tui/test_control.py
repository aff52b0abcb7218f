"""``tl-tui ctl``: commands and questions without a screen."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.data.discover import discover
from engine.history.experiment_state import read_state
from engine.history.summaries import summary
from engine.hosts import thread
from engine.logs import events as ev
from engine.logs.events import Action
from engine.logs.folder import COMMANDS
from engine.logs.log import EventLog, event_reader
from engine.running.experiment import run
from tests.engine.running import small_experiment, wait_for
from tests.tui import logs
from tui.cli import status
from tui.commands.ctl import ANSWER_SECONDS

SECONDS = 60.0


@pytest.fixture
def host(image_folder: Callable[..., Path], tmp_path: Path) -> thread.ThreadHost:
    asked = small_experiment("mobilenetv3-extract", data=image_folder(), epochs=100_000)
    host = thread.start(asked, tmp_path / "runs")
    wait_for(lambda: any(run.epochs for run in read_state(host.folder).runs))
    return host


def test_every_command_and_what_is_said(
    host: thread.ThreadHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "runs")]
    name = host.folder.name
    assert status(["ctl", name, "pause", *out]) == 0
    said = capsys.readouterr().out
    assert "paused by process" in said and "mobilenetv3-extract-0 · paused" in said
    assert read_state(host.folder).paused
    assert status(["ctl", name, "pause", *out]) == 0, "it is so already"
    capsys.readouterr()
    assert status(["ctl", "resume", "--json", *out]) == 0, "the newest that runs, where none is named"
    told = json.loads(capsys.readouterr().out)
    assert (told["experiment"], told["status"]) == (name, "running")
    assert (told["process"], told["host"]) == (os.getpid(), socket.gethostname())
    assert told["writer"] == f"process {told['process']} on {told['host']}"
    assert told["runs"][0]["epochs"] > 0
    assert status(["ctl", name, "stop", *out]) == 0
    assert "mobilenetv3-extract-0 · stopped" in capsys.readouterr().out
    assert host.wait(SECONDS)
    assert read_state(host.folder).end == "stopped"
    assert status(["ctl", name, "pause", *out]) == 2
    assert "is not running (stopped)" in capsys.readouterr().err
    assert status(["ctl", name, "status", *out]) == 0
    assert "stopped" in capsys.readouterr().out
    assert status(["ctl", name, "status", "--json", *out]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [told[key] for key in ("writer", "process", "host")] == [None] * 3
    assert status(["ctl", "status", *out]) == 0, "of the newest, where none runs"
    assert f"{name} · stopped" in capsys.readouterr().out
    assert status(["ctl", "stop", *out]) == 2
    assert "is running; give a name to open another" in capsys.readouterr().err
    assert status(["ctl", name, *out]) == status(["ctl", *out]) == status(["ctl", "a", "b", "stop", *out]) == 2
    assert "use `tl-tui ctl [EXPERIMENT] pause|resume|stop|skip [RUN]|status`" in capsys.readouterr().err


def test_a_named_run_is_skipped_and_what_cannot_be_is_told(
    image_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = small_experiment("mobilenetv3-extract", data=image_folder(), epochs=100_000, seeds=(0, 1, 2, 3))
    host, out = thread.start(asked, tmp_path / "runs"), ["--out", str(tmp_path / "runs")]
    name, runs = host.folder.name, [f"mobilenetv3-extract-{seed}" for seed in range(4)]
    wait_for(lambda: bool(read_state(host.folder).runs and read_state(host.folder).runs[0].epochs))
    assert status(["ctl", name, "skip", runs[2], *out]) == 0
    said = capsys.readouterr().out
    assert f"{runs[2]} · skipped" in said and f"{runs[0]} · running" in said
    assert status(["ctl", "skip", runs[3], "--json", *out]) == 0, "of the newest that runs"
    told = json.loads(capsys.readouterr().out)["runs"]
    assert [one["state"] for one in told] == ["running", "waiting", "skipped", "skipped"]
    assert status(["ctl", name, "skip", runs[0], *out]) == 0
    assert f"{runs[0]} · skipped" in capsys.readouterr().out
    wait_for(lambda: read_state(host.folder).runs[1].status == "running")
    left = f"; {runs[1]} (running) can be skipped"
    for wrong, why in ((runs[0], f"{runs[0]} has ended (skipped)"), ("x", "has no run 'x'")):
        assert status(["ctl", name, "skip", wrong, *out]) == 2
        assert capsys.readouterr().err == f"tl-tui: {name}: {why}{left}\n"
    assert read_state(host.folder).runs[1].status == "running"
    assert status(["ctl", name, "skip", *out]) == 0, "the one that trains, where none is named"
    assert host.wait(SECONDS)
    assert read_state(host.folder).runs[1].status == "skipped"


def test_commands_of_several_are_each_applied_once(host: thread.ThreadHost, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "runs")]
    statuses: list[int] = []
    askers = [
        threading.Thread(target=lambda: statuses.append(status(["ctl", host.folder.name, "pause", *out])))
        for _ in range(3)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    applied = [event for event in event_reader(host.folder).read() if getattr(event, "action", "") == "pause"]
    assert len(applied) == 1
    assert statuses.count(0) == 3
    host.ask("stop")
    assert host.wait(SECONDS)


def test_scripts_are_told_how_long_it_takes_at_least_and_of_runs_what_a_comparison_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "runs" / "ants-bees", ["--out", str(tmp_path / "runs")]
    logs.write(folder, logs.until("EpochFinished", 7, logs.events()))

    def told(*command: str) -> dict[str, Any]:
        assert status([*command, *out]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    failed = ev.RunFailed(run="mobilenetv3-extract-0", kind="weights", message="no weights")
    with EventLog(folder) as log:
        now = told("ctl", "status", "--json")
        assert (now["remaining_seconds"], now["remaining_is_lower_bound"]) == (pytest.approx(5 * 3.2), True)
        log.append(failed)
        now = told("ctl", "status", "--json")
        assert (now["remaining_seconds"], now["remaining_is_lower_bound"]) == (pytest.approx(5 * 3.2), False)
        compared = told("compare", "--format", "json")["runs"]
        assert (compared[0]["epochs"], compared[0]["epochs_planned"], compared[1]["error"]) == (7, 12, "no weights")
        for run, row in zip(now["runs"], compared, strict=True):
            assert run.pop("stage") == ("training" if row["run"].startswith("resnet18") else None)
            assert run == {name: row[name] for name in run}
        log.append(ev.CommandApplied(action="pause"))
        now = told("ctl", "status", "--json")
        assert now["remaining_seconds"] is now["remaining_is_lower_bound"] is None
        assert [(run["state"], run["stage"]) for run in now["runs"]] == [("paused", "training"), ("failed", None)]
    now = told("ctl", "status", "--json")
    assert [(run["state"], run["stage"]) for run in now["runs"]] == [("interrupted", None), ("failed", None)]


def test_why_an_experiment_failed_as_a_whole_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (begun, *_), folder, why = logs.events(), tmp_path / "runs" / "ants-bees", "train: no images are left"
    folder.mkdir(parents=True)
    with EventLog(folder) as log:
        log.append(begun)
        log.append(ev.ExperimentFinished(end="failed", error=why))
    out = ["--out", str(tmp_path / "runs")]
    assert status(["ctl", "status", *out]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["ants-bees · failed", f"  {why}"]
    assert status(["ctl", "status", "--json", *out]) == 0
    assert json.loads(capsys.readouterr().out)["error"] == why
    assert status(["compare", *out]) == 0
    assert f"No run has a result: {why}" in capsys.readouterr().out
    assert status(["compare", "--format", "json", *out]) == 0
    assert json.loads(capsys.readouterr().out)["error"] == why


@pytest.mark.parametrize(("action", "code", "said"), [("stop", 0, ""), ("pause", 1, "pause requested; it ended first")])
def test_what_ends_by_itself_is_not_waited_for(
    action: Action, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a failed run makes it failed, here as in every list."""
    (begun, *_), folder = logs.events(), tmp_path / "runs" / "ants-bees"
    folder.mkdir(parents=True)
    with EventLog(folder) as log:
        log.append(begun)

        def end() -> None:
            wait_for((folder / COMMANDS).exists)
            log.append(ev.RunFailed(run="resnet18-finetune-0", kind="error", message="a cosmic ray"))
            log.append(ev.ExperimentFinished(end="finished"))

        ending = threading.Thread(target=end)
        ending.start()
        began = time.monotonic()
        assert status(["ctl", action, "--out", str(tmp_path / "runs")]) == code
        assert time.monotonic() - began < ANSWER_SECONDS
        ending.join()
    told = capsys.readouterr()
    assert "ants-bees · failed" in told.out
    assert said in told.err
    assert summary(folder).status == "failed"


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["here", "detached"])
def test_to_resume_what_was_paused_is_to_go_on(
    detach: list[str], image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = small_experiment("mobilenetv3-extract", data=image_folder())
    folder = tmp_path / "runs" / "a-20260101-000000"
    folder.mkdir(parents=True)
    with EventLog(folder) as log:
        run(asked, discover(asked.data), log, deque[Action](["pause", "suspend"]))
    assert read_state(folder).paused
    assert status(["resume", "--out", str(tmp_path / "runs"), *detach]) == 0
    wait_for(lambda: read_state(folder).end == "finished")
