"""The state of an experiment whose log grows: told from as little of it as will do."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.history import experiment_state
from engine.history.experiment_state import INFLATED, ran_beside_another, read_quickly, read_state, warning_of_others
from engine.history.summaries import summary
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.logs.folder import EVENTS
from engine.logs.log import LineReader
from engine.states.replay import replay
from engine.states.state import ExperimentState
from tests.tui import logs

EVERYTHING = logs.events()


@pytest.fixture(autouse=True)
def _nothing_was_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_state, "_going_on", {})


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every log has a writer."""
    monkeypatch.setattr(experiment_state, "is_being_written", lambda _: True)


def resumed() -> list[AnyEvent]:
    """A process was killed in the middle of training, and another has just gone on."""
    killed = logs.until("Progress", 8, EVERYTHING)
    last, run = killed[-1], "resnet18-finetune-0"
    assert isinstance(last, ev.Progress) and (last.run, last.stage) == (run, "training")
    device = ev.Device("cpu", "Xeon 8480+", 1)
    later = [
        ev.ExperimentResumed(host="here", pid=1, device=device, versions={}),
        ev.StageChanged(run=run, stage="training", detail="epoch 3"),
    ]
    return [*killed, *(replace(event, time=last.time, elapsed=last.elapsed + 1) for event in later)]


def test_progress_that_is_passed_over_changes_nothing(running: None, tmp_path: Path) -> None:
    """Whatever the last event is, and whatever follows the last progress."""
    for number, events in enumerate([*(EVERYTHING[:end] for end in range(1, len(EVERYTHING) + 1)), resumed()]):
        assert read_state(logs.write(tmp_path / str(number), events)) == replay(events), events[-1]


def test_of_much_progress_only_the_last_is_decoded(
    running: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode = LineReader.decode

    def noted(reader: LineReader[AnyEvent], line: bytes) -> AnyEvent | None:
        decoded.append(line)
        return decode(reader, line)

    begun = logs.until("Progress", 8, EVERYTHING)
    monkeypatch.setattr(LineReader, "decode", noted)
    read_state(logs.write(tmp_path, [*begun, *[begun[-1]] * 1000]))
    assert len(decoded) < len(begun)


def test_of_a_running_experiment_only_what_is_new_is_read(running: None, tmp_path: Path) -> None:
    begun = logs.until("EpochFinished", 2, EVERYTHING)
    before = summary(logs.write(tmp_path, begun))
    logs.spoil_the_first_line(tmp_path)
    more = logs.until("EpochFinished", 3, EVERYTHING)
    logs.write(tmp_path, more[len(begun) :])
    after = summary(tmp_path)
    assert (before.status, after.status, after.strategies) == ("running", "running", before.strategies)
    assert after.seconds == more[-1].elapsed > before.seconds
    logs.write(tmp_path, EVERYTHING[len(more) :])
    assert summary(tmp_path).status == "finished"
    assert summary(tmp_path).status == "damaged", "what is over is no longer kept in memory"


def test_what_an_interrupted_experiment_came_to_is_not_kept(tmp_path: Path) -> None:
    assert summary(logs.write(tmp_path, logs.until("EpochFinished", 2, EVERYTHING))).status == "interrupted"
    assert experiment_state._going_on == {}


@pytest.mark.parametrize("events", [logs.until("EpochFinished", 1, EVERYTHING), EVERYTHING[:3], []], ids=len)
def test_another_log_in_its_place_is_read_from_its_beginning(
    running: None, tmp_path: Path, events: list[AnyEvent]
) -> None:
    """Whether it is as long as the one before or not, and whether it is the same file or not."""
    read_quickly(logs.write(tmp_path, logs.until("EpochFinished", 2, EVERYTHING)))
    (tmp_path / EVENTS).write_bytes(b"")
    logs.write(tmp_path, [replace(event, elapsed=event.elapsed + 7) for event in events])
    state, unread = read_quickly(tmp_path)
    assert unread == 0
    assert [len(run.epochs) for run in state.runs] == ([1, 0] if len(events) > 3 else [0, 0] if events else [])
    other = [replace(event, elapsed=event.elapsed + 9) for event in EVERYTHING]
    (tmp_path / EVENTS).unlink()
    logs.write(tmp_path, other)
    assert [len(run.epochs) for run in read_quickly(tmp_path)[0].runs] == [12, 12]


def test_lines_that_cannot_be_read_are_counted_once(running: None, tmp_path: Path) -> None:
    logs.write(tmp_path, logs.until("EpochFinished", 2, EVERYTHING))
    with (tmp_path / EVENTS).open("ab") as log:
        log.write(b'nonsense\n{"event":"Progress"\n')
    assert [read_quickly(tmp_path)[1] for _ in range(3)] == [1, 1, 1]


def test_two_threads_that_read_the_same_log_take_nothing_from_each_other(
    running: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, more = logs.until("EpochFinished", 1, EVERYTHING), logs.until("EpochFinished", 2, EVERYTHING)
    read_quickly(logs.write(tmp_path, begun))
    logs.write(tmp_path, more[len(begun) :])
    is_at_it, may_go_on = threading.Event(), threading.Event()
    found: list[ExperimentState] = []

    def slow(events: Iterable[AnyEvent], state: ExperimentState) -> ExperimentState:
        if threading.current_thread() is other:
            is_at_it.set()
            assert may_go_on.wait(30)
        return replay(events, state)

    monkeypatch.setattr(experiment_state, "replay", slow)
    other = threading.Thread(target=lambda: found.append(read_quickly(tmp_path)[0]))
    other.start()
    assert is_at_it.wait(30)
    found.append(read_quickly(tmp_path)[0])
    may_go_on.set()
    other.join(30)
    assert [len(state.runs[0].epochs) for state in (*found, read_quickly(tmp_path)[0])] == [2, 2, 2]


def test_of_an_older_log_only_what_trained_after_the_warning_ran_beside_another() -> None:
    finished = logs.until("RunFinished", 1, EVERYTHING)
    warned = ev.Warned(message=f"x is also running on this machine: {INFLATED}", elapsed=finished[-1].elapsed)
    state = replay([*EVERYTHING, warned])
    runs = {run.run: ran_beside_another(run.run, state) for run in state.runs}
    assert runs == {"resnet18-finetune-0": False, "mobilenetv3-extract-0": True}


def test_experiments_that_cannot_be_listed_now_are_not_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Path) -> list[Path]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(experiment_state, "experiments", fails)
    assert warning_of_others(tmp_path) == ""
