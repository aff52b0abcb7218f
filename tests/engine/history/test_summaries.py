"""Summaries of the experiments in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.history import experiment_state, summaries
from engine.history.experiment_state import Status, read_state, status
from engine.history.note import write_note
from engine.logs import events as ev
from engine.logs.folder import EVENTS, experiments, slug
from engine.logs.log import EventLog
from engine.specs.presets import DEFAULT_STRATEGIES, presets
from engine.specs.spec import Experiment

MEMORY = ev.Memory(rss=1, peak_rss=1)


def start(name: str = "ants-bees", seeds: tuple[int, ...] = (0,), folds: int | None = None) -> ev.ExperimentStarted:
    spec = Experiment(tuple(presets()[strategy] for strategy in DEFAULT_STRATEGIES), seeds=seeds, folds=folds)
    data = ev.DataSummary(name, "/data", "folders", ("ant", "bee"), {"ant": 2}, {"ant": 1}, "as in the folders")
    return ev.ExperimentStarted(
        name=name, spec=spec, data=data, device=ev.Device("cpu", "a processor", 1), versions={"torch": "2"}
    )


def epoch(run: str, number: int, accuracy: float, *, is_best: bool) -> ev.EpochFinished:
    metrics = ev.Metrics(0.5, accuracy, 10)
    return ev.EpochFinished(
        run=run,
        epoch=number,
        train=metrics,
        val=metrics,
        learning_rate=0.1,
        seconds=1,
        train_seconds=1,
        images_per_second=10,
        memory=MEMORY,
        is_best=is_best,
    )


def write(out: Path, name: str, *events: ev.Event) -> Path:
    folder = out / name
    folder.mkdir(parents=True)
    with EventLog(folder) as log:
        for event in events:
            log.append(event)
    return folder


def test_a_finished_experiment(tmp_path: Path) -> None:
    first, second = f"{DEFAULT_STRATEGIES[0]}-0", f"{DEFAULT_STRATEGIES[0]}-1"
    folder = write(
        tmp_path,
        "ants-bees-20260101-000000",
        start(seeds=(0, 1)),
        epoch(first, 1, 0.9, is_best=True),
        ev.Progress(run=first, stage="training", step=1, steps=2),
        epoch(first, 2, 0.8, is_best=False),
        epoch(second, 1, 0.7, is_best=True),
        ev.ExperimentFinished(end="finished"),
    )
    found = summaries.summary(folder)
    assert (found.status, found.data, found.seeds, found.strategies) == (
        "finished",
        "ants-bees",
        (0, 1),
        DEFAULT_STRATEGIES,
    )
    assert found.best == {first: 0.9, second: 0.7}
    assert found.reached[DEFAULT_STRATEGIES[0]] == (0.9, 0.7)
    assert found.reached[DEFAULT_STRATEGIES[1]] == ()
    assert found.began is not None


def test_without_a_last_event_it_is_running_while_its_writer_lives(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    with EventLog(folder) as log:
        log.append(start())
        before = summaries.summaries(tmp_path)
        assert [found.status for found in before] == ["running"]
    assert [found.status for found in summaries.iter_summaries(tmp_path, before)] == ["interrupted"]


def test_it_is_paused_until_it_goes_on_or_its_writer_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    seen = []
    with EventLog(folder) as log:
        log.append(start())
        for action in ("pause", "resume", "pause"):
            log.append(ev.CommandApplied(action=action, run=""))
            seen.append(summaries.summary(folder).status)
    assert [*seen, summaries.summary(folder).status] == ["paused", "running", "paused", "interrupted"]


def test_a_failed_run_makes_it_failed_and_says_why(tmp_path: Path) -> None:
    run = f"{DEFAULT_STRATEGIES[0]}-0"
    failed = ev.RunFailed(run=run, kind="MemoryError", message="out of memory")
    folder = write(tmp_path, "a", start(), failed, ev.ExperimentFinished(end="finished"))
    found = summaries.summary(folder)
    assert found.status == "failed"
    assert found.problem == f"{run}: out of memory"


def test_time_counts_to_the_last_sign_of_life(tmp_path: Path) -> None:
    folder = write(tmp_path, "a", start())
    with (folder / EVENTS).open("ab") as log:
        log.write(b'{"event":"MemorySampled","elapsed":41.5,"memory":{"rss":1,"peak_rss":1}}\n')
        log.write(b'{"event":"MemorySampled","elapsed":99')
    assert summaries.summary(folder).seconds == 41.5


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the log is empty"),
        (b'\x00\xff\n[1, 2]\n{"event": "Unheard"}\n', "nothing in the log can be read"),
        (b"[" * 100_000 + b"\n", "nothing in the log can be read"),
    ],
)
def test_a_log_that_tells_nothing_is_damaged(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / EVENTS).write_bytes(content)
    (found,) = summaries.summaries(tmp_path)
    assert (found.status, found.problem) == ("damaged", problem)


def test_what_had_not_begun_is_interrupted(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "experiment.toml").touch()
    (folder / EVENTS).touch()
    (found,) = summaries.summaries(tmp_path)
    assert (found.status, found.problem, found.strategies) == ("interrupted", "it had not started", ())


@pytest.mark.parametrize(
    "read", [lambda folder: status(read_state(folder)), lambda folder: summaries.summary(folder).status]
)
def test_whose_writer_ended_it_while_it_was_being_read_is_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Status]
) -> None:
    folder = write(tmp_path, "a", start())

    def ends_now(asked: Path) -> bool:
        with EventLog(asked) as log:
            log.append(ev.ExperimentFinished(end="finished"))
        return False

    assert read(folder) == "interrupted"
    monkeypatch.setattr(experiment_state, "is_being_written", ends_now)
    assert read(folder) == "finished"


def test_a_log_that_is_a_folder_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a" / EVENTS).mkdir(parents=True)
    (found,) = summaries.summaries(tmp_path)
    assert found.status == "damaged"
    assert found.problem.startswith("cannot be read: ")


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    folder = write(tmp_path, "a", start(), ev.ExperimentFinished(end="stopped"))
    with (folder / EVENTS).open("ab") as log:
        log.write(b"nonsense\n")
    found = summaries.summary(folder)
    assert (found.status, found.problem) == ("stopped", "1 line of the log could not be read")


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    for name in ("a-20260101-000000", "b-20260102-000000"):
        write(tmp_path, name, start(name), ev.ExperimentFinished(end="finished"))
    before = summaries.summaries(tmp_path)
    assert [found.data for found in before] == ["b-20260102-000000", "a-20260101-000000"]
    changed = tmp_path / "a-20260101-000000" / EVENTS
    changed.write_bytes(b"")
    os.utime(changed, ns=(1, 1))
    after = [*summaries.iter_summaries(tmp_path, before)]
    assert after[0] is before[0]
    assert after[1].status == "damaged"
    write_note(after[0].folder, "which one it was")
    noted = [*summaries.iter_summaries(tmp_path, after)]
    assert [found.note for found in noted] == ["which one it was", ""]
    assert noted[0].data == before[0].data and noted[1] is after[1]


def test_the_newest_comes_first_also_within_a_second(tmp_path: Path) -> None:
    named = ["zoo-20260101-000000", *(f"a-20260101-000001{end}" for end in ("", "-2", "-10")), "b-20260102-000000"]
    for name in named:
        write(tmp_path, name, start(name))
    assert [folder.name for folder in experiments(tmp_path)] == named[::-1]


def test_no_folder_no_experiments(tmp_path: Path) -> None:
    assert summaries.summaries(tmp_path / "none") == []


def test_the_runs_of_a_strategy_with_folds(tmp_path: Path) -> None:
    first, second = (epoch(f"{DEFAULT_STRATEGIES[0]}-0-fold-{number}", 1, 0.9, is_best=True) for number in (1, 2))
    found = summaries.summary(write(tmp_path, "folds", start(folds=2), first, second))
    assert found.folds == 2
    assert found.reached[DEFAULT_STRATEGIES[0]] == (0.9, 0.9)


@pytest.mark.parametrize(("kind", "unsaved"), [("writing", True), ("out of memory", False)])
def test_what_could_not_be_written_can_be_made_up_for(kind: str, unsaved: bool, tmp_path: Path) -> None:
    failed = ev.RunFailed(run=f"{DEFAULT_STRATEGIES[0]}-0", kind=kind, message="no room")
    found = summaries.summary(write(tmp_path, "full", start(seeds=(0,)), failed, ev.ExperimentFinished(end="finished")))
    assert (found.status, found.unsaved) == ("failed", unsaved)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Bilder für Übung", "bilder-fur-ubung"), ("../../x", "x"), ("日本", "experiment"), ("a" * 99, "a" * 40)],
)
def test_a_name_becomes_one_of_plain_letters(name: str, folder: str) -> None:
    assert slug(name) == folder
