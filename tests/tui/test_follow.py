"""Following a log that grows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.history import experiment_state
from engine.history.experiment_state import read_state
from engine.history.summaries import summary
from engine.logs import events as ev
from engine.logs.folder import EVENTS
from engine.logs.log import CHUNK, LineReader
from engine.states.replay import replay
from engine.states.state import ExperimentState
from tests.tui import logs
from tui.messages import StateRead
from tui.work import follow
from tui.work.previewing import accuracy_curves

EVENTS_OF_TWO = logs.events()


def test_states_come_when_something_changed(tmp_path: Path) -> None:
    begun = logs.until("EpochFinished", 2, EVENTS_OF_TWO)
    logs.write(tmp_path, begun)
    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 20, lambda: True, poll=0)
    first = next(states)
    assert len(first.state.runs[0].epochs) == 2 and not first.state.interrupted
    logs.write(tmp_path, EVENTS_OF_TWO[len(begun) :])
    assert [message.state.end for message in states] == ["finished"]  # nothing more though it looked again


def validating(run: str, step: int) -> ev.Progress:
    return ev.Progress(run=run, stage="validating", step=step, steps=9, elapsed=3600)


def test_what_only_moves_a_number_waits_for_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "WATCHED", follow.WATCHED._replace(numbers=3600))
    begun = logs.until("EpochFinished", 2, EVENTS_OF_TWO)
    run = next(event.run for event in begun if isinstance(event, ev.RunStarted))
    logs.write(tmp_path, [*begun, ev.StageChanged(run=run, stage="validating", elapsed=3599)])
    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 20, lambda: True, poll=0)
    next(states)
    loss = ev.LossMeasured(run=run, epoch=3, after=0, step=1, steps=9, loss=0.5, elapsed=3600)
    logs.write(tmp_path, [validating(run, 1), loss, validating(run, 2)])
    assert list(states) == []

    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 20, lambda: True, poll=0)
    next(states)
    logs.write(tmp_path, [validating(run, 3), ev.Warned(message="news")])
    (message,) = states
    assert message.state.warnings[-1].message == "news"
    progress = message.state.run(run).progress
    assert progress is not None and progress.step == 3


def moments(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: dict[float, list[ev.AnyEvent]],
    pace: Callable[[float], follow.Pace],
) -> list[float]:
    """The seconds at which a state is shown in the five after the first, which is at 0; ``written``: events by the
    second in which they are.
    """
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(follow, "time", clock)
    logs.write(folder, logs.until("EpochFinished", 2, EVENTS_OF_TWO))

    def over() -> bool:
        logs.write(folder, written.pop(now[0] - 1000, []))
        return now[0] > 1005

    states = follow.follow(folder, over, lambda: True, poll=0.125, pace=lambda: pace(now[0] - 1000))
    return [now[0] - 1000 for _ in states]


def test_stages_of_an_epoch_and_files_wait_like_numbers_and_quick_epochs_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = next(event for event in EVENTS_OF_TWO if isinstance(event, ev.FileSaved))
    epoch = next(event for event in EVENTS_OF_TWO if isinstance(event, ev.EpochFinished))
    written: dict[float, list[ev.AnyEvent]] = {
        0.25: [ev.StageChanged(run=epoch.run, stage="validating")],
        1.5: [epoch],
        1.625: [epoch],
        1.75: [epoch],
        2.25: [saved],
        3.125: [ev.StageChanged(run=epoch.run, stage="testing")],
    }
    shown = moments(tmp_path, monkeypatch, written, lambda _: follow.WATCHED)
    assert shown == [0, 1, 1.5, 2, 3, 3.125]


def test_numbers_wait_longer_where_nobody_looks_and_no_longer_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = next(event.run for event in EVENTS_OF_TWO if isinstance(event, ev.RunStarted))
    written: dict[float, list[ev.AnyEvent]] = {
        at / 8: [ev.Progress(run=run, stage="training", step=at, steps=40)] for at in range(1, 40)
    }
    shown = moments(tmp_path, monkeypatch, written, lambda now: follow.UNWATCHED if now < 4 else follow.WATCHED)
    assert shown == [0, 3, 4, 5]


def test_where_nobody_looks_epochs_wait_too_and_what_is_news_only_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = next(event for event in EVENTS_OF_TWO if isinstance(event, ev.EpochFinished))
    written: dict[float, list[ev.AnyEvent]] = {1.0: [epoch], 2.125: [ev.Warned(message="news")], 3.0: [epoch]}
    shown = moments(tmp_path, monkeypatch, written, lambda now: follow.UNWATCHED if now < 4 else follow.WATCHED)
    assert shown == [0, 2.5, 4]


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    logs.write(tmp_path, EVENTS_OF_TWO)
    whole = (tmp_path / EVENTS).read_bytes()
    (tmp_path / EVENTS).write_bytes(whole[:-20])
    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 20, lambda: True, poll=0)
    assert next(states).state.end is None
    (tmp_path / EVENTS).write_bytes(whole)
    assert next(states).state.end == "finished"


def test_a_log_that_cannot_be_read_now_is_read_later(tmp_path: Path) -> None:
    (tmp_path / EVENTS).mkdir()
    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 20, lambda: True, poll=0)
    assert not next(states).state.runs
    (tmp_path / EVENTS).rmdir()
    logs.write(tmp_path, EVENTS_OF_TWO)
    assert next(states).state.end == "finished"


def test_an_unfinished_log_without_a_writer_is_interrupted_until_it_goes_on(tmp_path: Path) -> None:
    begun = logs.until("EpochFinished", 2, EVENTS_OF_TWO)
    logs.write(tmp_path, begun)
    writers = iter([False, True])
    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 20, lambda: next(writers), poll=0)
    assert next(states).state.interrupted
    logs.write(tmp_path, EVENTS_OF_TWO[len(begun) : len(begun) + 3])
    assert not next(states).state.interrupted


def test_a_finished_log_is_read_once_a_second_and_one_that_grows_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, stream = list[int](), LineReader.stream
    monkeypatch.setattr(LineReader, "stream", lambda self: reads.append(0) or stream(self))
    for events, expected in ((EVENTS_OF_TWO, 1), (logs.until("EpochFinished", 2, EVENTS_OF_TWO), 20)):
        logs.write(folder := tmp_path / str(expected), events)
        reads.clear()
        looks = iter(range(100))
        assert len(list(follow.follow(folder, lambda looks=looks: next(looks) >= 20, lambda: True, poll=0))) == 1
        assert len(reads) == expected


def test_a_finished_log_is_not_asked_for_its_writer(tmp_path: Path) -> None:
    logs.write(tmp_path, EVENTS_OF_TWO)

    def ask() -> bool:
        raise AssertionError

    looks = iter(range(100))
    (message,) = follow.follow(tmp_path, lambda: next(looks) > 5, ask, poll=0)
    assert not message.state.interrupted


def test_a_newer_state_replaces_an_unread_one(tmp_path: Path) -> None:
    logs.write(tmp_path, EVENTS_OF_TWO)
    state = read_state(tmp_path)
    assert StateRead(tmp_path, state).can_replace(StateRead(tmp_path, state))
    assert not StateRead(tmp_path, state).can_replace(StateRead(tmp_path / "other", state))


def test_of_much_progress_only_the_last_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed: list[ev.AnyEvent] = []

    def noted(events: Iterable[ev.AnyEvent], state: ExperimentState) -> ExperimentState:
        replayed.extend(some := list(events))
        return replay(some, state)

    monkeypatch.setattr(follow, "replay", noted)
    begun = logs.until("Progress", 8, EVENTS_OF_TWO)
    logs.write(tmp_path, [*begun, *[begun[-1]] * 1000])
    looks = iter(range(100))
    (message,) = follow.follow(tmp_path, lambda: next(looks) > 5, lambda: True, poll=0)
    assert message.state == replay(begun)
    assert len(replayed) < len(begun)


def test_a_preview_reads_of_a_running_experiment_what_the_list_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment_state, "is_being_written", lambda _: True)
    begun, more = (logs.until("EpochFinished", number, EVENTS_OF_TWO) for number in (2, 3))
    summary(logs.write(tmp_path, begun))
    logs.spoil_the_first_line(tmp_path)
    logs.write(tmp_path, more[len(begun) :])
    curves = accuracy_curves(tmp_path)
    assert curves is not None and len(curves.series[0].points) == 3


@pytest.mark.parametrize("read_before", [0, 5, len(EVENTS_OF_TWO)])
def test_what_was_read_before_the_disk_failed_counts_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_before: int
) -> None:
    begun = logs.until("Progress", 8, EVENTS_OF_TWO)
    logs.write(tmp_path, begun[:read_before])
    stream, fails = LineReader.stream, iter([True])

    def fails_once(reader: LineReader[ev.AnyEvent]) -> Iterator[ev.AnyEvent]:
        yield from stream(reader)
        if next(fails, False):
            logs.write(tmp_path, begun[read_before:])  # what the disk has, but does not give yet
            raise OSError

    monkeypatch.setattr(LineReader, "stream", fails_once)
    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 5, lambda: True, poll=0)
    first, *later = [message.state for message in states]
    assert first == replay(begun[:read_before])
    assert later == ([] if read_before >= len(begun) else [replay(begun)])


def test_a_long_log_is_not_held_in_memory(tmp_path: Path) -> None:
    """Of a day it has 86,400 samples of memory."""
    begun = logs.until("EpochFinished", 2, EVENTS_OF_TWO)
    (sample, *_) = [event for event in begun if isinstance(event, ev.MemorySampled)]
    logs.write(tmp_path, [*begun, *[sample] * 30_000])
    looks = iter(range(100))
    states = follow.follow(tmp_path, lambda: next(looks) > 5, lambda: True, poll=0)
    tracemalloc.start()
    try:
        next(states)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 7 * CHUNK, f"{peak / 2**20:.1f} MiB"
