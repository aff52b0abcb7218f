from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest

from engine.logs import events as ev
from engine.logs.events import AnyEvent, Memory, Metrics
from engine.specs.presets import presets
from engine.specs.spec import changed, default_experiment
from engine.states.peaks import PeakMemory
from engine.states.replay import LOSSES, MEMORY_POINTS, replay
from engine.states.state import ExperimentState, StageProgress, as_left, condition

FIRST, SECOND = "resnet18-finetune-0", "mobilenetv3-extract-0"
BEGAN = datetime(2026, 11, 23, 20, 31, tzinfo=UTC)


def started() -> ev.ExperimentStarted:
    return ev.ExperimentStarted(
        name="ants",
        spec=default_experiment(presets()),
        data=ev.DataSummary(
            "ants", "/ants", "folders", ("ant", "bee"), {"ant": 3, "bee": 4}, {"ant": 1, "bee": 1}, "given"
        ),
        device=ev.Device("cpu", "some CPU", 10),
        versions={},
    )


def run_started(run: str) -> ev.RunStarted:
    return ev.RunStarted(
        run=run,
        strategy=run.rpartition("-")[0],
        seed=0,
        weights="some",
        parameters_total=10,
        parameters_trainable=2,
        precision="fp32",
        learning_rates=(0.1, 0.01),
        memory=memory(5),
    )


def memory(rss: int) -> Memory:
    return Memory(rss=rss, peak_rss=rss)


def epoch(run: str, number: int, accuracy: float, *, is_best: bool) -> ev.EpochFinished:
    return ev.EpochFinished(
        run=run,
        epoch=number,
        train=Metrics(0.3, 0.9, 7),
        val=Metrics(0.4, accuracy, 2),
        learning_rate=0.1,
        seconds=2.0,
        train_seconds=1.0,
        images_per_second=7.0,
        memory=memory(6),
        is_best=is_best,
    )


def at_seconds(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    """The events stamped one second apart."""
    return [
        msgspec.structs.replace(event, time=BEGAN + timedelta(seconds=number), elapsed=float(number))
        for number, event in enumerate(events)
    ]


def test_nothing_yet() -> None:
    state = replay([])
    assert state == ExperimentState()
    assert state.current is None


def test_every_strategy_waits_with_every_seed() -> None:
    event = started()
    spec = changed(event.spec, seeds=(0, 4))
    state = replay([ev.ExperimentStarted(name="x", spec=spec, data=event.data, device=event.device, versions={})])
    assert [run.run for run in state.runs] == [FIRST, SECOND, "resnet18-finetune-4", "mobilenetv3-extract-4"]
    assert {run.status for run in state.runs} == {"waiting"}


def test_a_run_from_its_start_to_its_end() -> None:
    events = at_seconds(
        [
            started(),
            ev.StageChanged(stage="decoding"),
            ev.Progress(stage="decoding", step=3, steps=9),
            ev.DataDecoded(train=6, val=2, left_out=1),
            ev.StageChanged(run=FIRST, stage="weights", detail="resnet18"),
            run_started(FIRST),
            ev.StageChanged(run=FIRST, stage="training", detail="epoch 1"),
            ev.Progress(run=FIRST, stage="training", step=1, steps=3, epoch=1, loss=0.7, images_per_second=9.0),
            epoch(FIRST, 1, 0.5, is_best=True),
            epoch(FIRST, 2, 1.0, is_best=True),
            epoch(FIRST, 3, 0.5, is_best=False),
            ev.FileSaved(run=FIRST, kind="best", path="x", epoch=2),
            ev.RunFinished(run=FIRST, end="finished", seconds=6.5, cpu_seconds=9.0, memory=memory(7)),
        ]
    )
    decoding = replay(events[:3])
    assert decoding.stage
    assert (decoding.stage.stage, decoding.stage.step, decoding.stage.steps, decoding.stage.since) == (
        "decoding",
        3,
        9,
        1.0,
    )

    training = replay(events[:8])
    run = training.run(FIRST)
    assert training.stage is None
    assert training.current == run
    assert run.progress
    assert (run.progress.stage, run.progress.step, run.progress.loss, run.progress.since) == ("training", 1, 0.7, 6.0)
    assert run.progress.detail == "epoch 1"
    assert (run.started, run.learning_rates, run.parameters_trainable) == (5.0, (0.1, 0.01), 2)

    assert replay(events[:9]).run(FIRST).progress == StageProgress("training", 8.0, "epoch 2")
    assert replay(events[:11]).run(FIRST).progress == StageProgress("training", 10.0, "epoch 4")

    done = replay(events)
    run = done.run(FIRST)
    assert run.status == "finished"
    assert run.is_over
    assert run.best
    assert run.latest
    assert (run.best.epoch, run.latest.epoch) == (2, 3)
    assert (run.seconds, run.cpu_seconds, run.progress) == (6.5, 9.0, None)
    assert done.files[0].path == "x"
    assert done.decoded
    assert done.decoded.left_out == 1
    assert done.run(SECOND).status == "waiting"
    assert (done.began, done.heard, done.elapsed) == (BEGAN, BEGAN + timedelta(seconds=12), 12.0)


def test_folding_in_pieces_is_folding_at_once() -> None:
    events = at_seconds([started(), run_started(FIRST), epoch(FIRST, 1, 0.5, is_best=True), ev.Warned(message="w")])
    state = None
    for event in events:
        state = replay([event], state)
    assert state == replay(events)


def test_a_warning_that_is_told_again_counts_once() -> None:
    told = [
        ev.Warned(message="few images"),
        ev.Warned(run=FIRST, message="slow"),
        ev.Warned(run=SECOND, message="slow"),
    ]
    goes_on = ev.ExperimentResumed(host="here", pid=1, device=ev.Device("cpu", "some CPU", 10), versions={})
    events = at_seconds([started(), *told, goes_on, *told, ev.Warned(message="another machine")])
    assert [(warned.run, warned.message) for warned in replay(events).warnings] == [
        ("", "few images"),
        (FIRST, "slow"),
        (SECOND, "slow"),
        ("", "another machine"),
    ]


def test_many_warnings_are_read_in_proportion_to_their_number() -> None:
    compared = 0

    class Told(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    events = at_seconds([started(), *(ev.Warned(message=Told(f"left out {number}")) for number in range(2000))])
    assert len(replay(events).warnings) == 2000
    assert compared < 2000, "where each is compared with all before it, it is 2 million times"


def test_many_epochs_are_kept_in_order_however_they_arrive() -> None:
    many = [epoch(run, number, 0.5, is_best=False) for number in range(1, 3001) for run in (FIRST, SECOND)]
    events = at_seconds([started(), run_started(FIRST), *many, ev.Warned(message="w")])
    at_once = replay(events)
    assert [run.epochs for run in at_once.runs] == [tuple(many_of) for many_of in (events[2:-1:2], events[3:-1:2])]
    in_pieces = ExperimentState()
    for first in range(0, len(events), 700):
        in_pieces = replay(events[first : first + 700], in_pieces)
    assert in_pieces == at_once


def test_a_second_start_begins_without_epochs() -> None:
    events = at_seconds([started(), epoch(FIRST, 1, 0.5, is_best=True), started(), epoch(FIRST, 1, 0.6, is_best=True)])
    assert [run.val.accuracy for run in replay(events).run(FIRST).epochs] == [0.6]


def test_a_skip_that_ended_a_pause_in_an_older_log_is_known_by_the_training_that_followed() -> None:
    def stage(name: str, stage: ev.Stage) -> ev.StageChanged:
        return ev.StageChanged(run=name, stage=stage)

    over = ev.RunFinished(run=FIRST, end="skipped", memory=memory(1))
    skip = [ev.CommandApplied(action="pause", run=FIRST), ev.CommandApplied(action="skip", run=FIRST)]
    # a run that is to be skipped while it gets ready begins first, if there is something of it to be saved
    waits = replay([started(), stage(FIRST, "weights"), *skip, run_started(FIRST), over, stage(SECOND, "weights")])
    assert waits.paused
    assert not replay([run_started(SECOND), stage(SECOND, "training")], waits).paused


def test_failure_pause_and_end() -> None:
    failed = replay([started(), run_started(FIRST), ev.RunFailed(run=FIRST, kind="diverged", message="m", advice="a")])
    run = failed.run(FIRST)
    assert run.status == "failed"
    assert run.failure
    assert (run.failure.kind, run.failure.message, run.failure.advice) == ("diverged", "m", "a")
    paused = replay([ev.CommandApplied(action="pause")], failed)
    assert paused.paused
    assert not replay([ev.CommandApplied(action="resume")], paused).paused
    assert replay([ev.CommandApplied(action="skip")], paused).paused
    assert not replay([ev.CommandApplied(action="stop")], paused).paused
    over = replay([ev.ExperimentFinished(end="stopped")], paused)
    assert (over.end, over.paused) == ("stopped", False)
    assert [run.status for run in over.runs] == ["failed", "waiting"]
    assert replay([ev.ExperimentFinished(end="failed", error="why")]).error == "why"


@pytest.mark.parametrize("began", [True, False])
@pytest.mark.parametrize("resumed", [1, 2])
def test_a_run_that_failed_is_failed_still_where_it_was_not_tried_again(began: bool, resumed: int) -> None:
    failure = ev.RunFailed(run=SECOND, kind="weights", message="m", advice="a")
    failed = [started(), *([run_started(SECOND)] if began else []), failure]
    on = ev.ExperimentResumed(host="h", pid=1, device=started().device, versions={})
    waiting = replay([*failed, *[on] * resumed])
    run = waiting.run(SECOND)
    assert (run.status, run.failure) == ("waiting", None)
    assert condition(run, msgspec.structs.replace(waiting, interrupted=True)) == "interrupted"

    tries = ev.StageChanged(run=SECOND, stage="weights")
    none_of_it = ev.RunFinished(run=SECOND, end="stopped", memory=memory(7))
    over = ev.ExperimentFinished(end="stopped")
    for ends in ([over], [tries, over], [none_of_it, over], [tries, none_of_it, over]):
        run = replay(ends, waiting).run(SECOND)
        assert (run.status, run.failure) == ("failed", failure)
    skipped = replay([msgspec.structs.replace(none_of_it, end="skipped"), over], waiting).run(SECOND)
    assert (skipped.status, skipped.failure) == ("skipped", None)
    again = replay([tries, run_started(SECOND), over], waiting)
    assert (again.run(SECOND).status, again.run(SECOND).failure) == ("stopped", None)
    assert replay([on, over], again).run(SECOND).status == "stopped"


def test_condition_of_a_run_is_also_that_of_its_experiment() -> None:
    going = replay([started(), run_started(FIRST)])
    left = replay([ev.CommandApplied(action="suspend", time=datetime(2026, 11, 23, tzinfo=UTC))], going)
    of = {
        "going on": going,
        "paused": replay([ev.CommandApplied(action="pause")], going),
        "left, but not yet by its process": left,
        "left": as_left(left),
        "nobody there": msgspec.structs.replace(going, interrupted=True, paused=True),
        "over": replay([ev.ExperimentFinished(end="stopped")], going),
        "failed": replay([ev.ExperimentFinished(end="failed", error="why")], replay([started()])),
    }
    assert {name: [condition(run, state) for run in state.runs] for name, state in of.items()} == {
        "going on": ["running", "waiting"],
        "paused": ["paused", "waiting"],
        "left, but not yet by its process": ["running", "waiting"],
        "left": ["interrupted", "not begun"],
        "nobody there": ["interrupted", "not begun"],
        "over": ["stopped", "not begun"],
        "failed": ["not begun", "not begun"],
    }
    assert as_left(going) == going


def test_memory_samples_have_a_bound_and_span_the_run() -> None:
    samples = [ev.MemorySampled(run=FIRST, memory=memory(number)) for number in range(10 * MEMORY_POINTS)]
    points = replay(at_seconds([started(), run_started(FIRST), *samples])).run(FIRST).memory
    assert MEMORY_POINTS // 2 <= len(points) <= MEMORY_POINTS
    elapsed = [point.elapsed for point in points]
    assert elapsed == sorted(set(elapsed))
    assert elapsed[0] == 2.0
    assert elapsed[-1] > 0.95 * 10 * MEMORY_POINTS


def loss_at(epoch: int, step: int) -> ev.LossMeasured:
    return ev.LossMeasured(run=FIRST, epoch=epoch, after=step - 1, step=step, steps=4, loss=1 / (4 * epoch + step))


@pytest.mark.parametrize(("epoch", "step", "kept"), [(1, 0, 0), (1, 2, 2), (2, 0, 4), (2, 3, 7), (3, 0, 8)])
def test_losses_after_the_step_from_which_a_run_goes_on_are_forgotten(epoch: int, step: int, kept: int) -> None:
    """They were measured after the checkpoint, and those steps are done again."""
    losses = [loss_at(number, at) for number in (1, 2) for at in (1, 2, 3, 4)]
    goes_on = msgspec.structs.replace(run_started(FIRST), epoch=epoch, step=step)
    events = at_seconds([started(), run_started(FIRST), *losses, GOES_ON, goes_on])
    assert replay(events[:-1]).run(FIRST).losses == tuple(events[2:10])
    assert replay(events).run(FIRST).losses == tuple(events[2 : 2 + kept])


def test_losses_within_epochs_have_a_bound_whatever_a_log_says() -> None:
    many = [loss_at(number, 1) for number in range(1, 10 * LOSSES)]
    losses = replay(at_seconds([started(), run_started(FIRST), *many])).run(FIRST).losses
    assert LOSSES // 2 <= len(losses) <= LOSSES
    assert [loss.epoch for loss in losses] == sorted({loss.epoch for loss in losses})
    assert losses[0].epoch == 1
    assert losses[-1].epoch > 0.95 * 10 * LOSSES


@pytest.mark.parametrize("at", range(4))
def test_the_most_memory_is_known_however_many_samples_come_after_it(at: int) -> None:
    """A bound on the samples kept for a chart drops some, the peak among them or not."""
    usual = Memory(1, 2, allocated=3, reserved=4, peak_allocated=5, device_used=6, device_total=80)
    peak = Memory(1, 20, allocated=3, reserved=40, peak_allocated=50, device_used=60, device_total=80)
    memories = [usual] * at + [peak] + [usual] * 3 * MEMORY_POINTS
    samples = [ev.MemorySampled(run=FIRST, memory=memory) for memory in memories]
    trains = ev.StageChanged(run=FIRST, stage="training")
    run = replay(at_seconds([started(), run_started(FIRST), trains, *samples])).run(FIRST)
    assert run.most == PeakMemory(rss=20, allocated=50, reserved=40, device=60)


def test_every_event_that_knows_of_memory_raises_the_most() -> None:
    def most(*events: AnyEvent) -> int | None:
        return replay([started(), *events]).run(FIRST).most.rss

    begins, ended = run_started(FIRST), epoch(FIRST, 1, 0.5, is_best=True)
    finished = ev.RunFinished(run=FIRST, end="stopped", seconds=1.0, memory=memory(7))
    assert (most(), most(begins), most(begins, ended), most(begins, ended, finished)) == (None, 5, 6, 7)
    assert most(begins, ended, finished, begins) == 5, "it begins anew"
    assert most(begins, ended, finished, msgspec.structs.replace(begins, epoch=2)) == 7, "it goes on"


def test_what_was_in_use_when_a_run_began_is_not_known_of_one_that_went_on() -> None:
    """Its peak is that of whichever process had more: less what another one began with, it says nothing."""
    begins = run_started(FIRST)
    goes_on = msgspec.structs.replace(begins, epoch=1, step=3)
    assert replay([started(), begins]).run(FIRST).memory_at_start == memory(5)
    assert replay([started(), begins, GOES_ON, goes_on]).run(FIRST).memory_at_start is None
    assert replay([started(), begins, GOES_ON, begins]).run(FIRST).memory_at_start == memory(5), "it begins anew"


@pytest.mark.parametrize("stage", get_args(ev.Stage))
def test_memory_of_getting_ready_again_and_of_the_test_is_no_peak_of_the_run(stage: ev.Stage) -> None:
    """As a process that goes on with it loads and decodes, before it says so."""
    sampled = ev.MemorySampled(run=FIRST, memory=memory(50))
    goes_on = msgspec.structs.replace(run_started(FIRST), epoch=2)
    run = replay([started(), run_started(FIRST), ev.StageChanged(run=FIRST, stage=stage), sampled, goes_on]).run(FIRST)
    assert run.most.rss == (50 if stage in ("features", "probing", "training", "validating") else 5)
    assert run.memory[0].memory == memory(50), "the chart shows it"


@pytest.mark.parametrize(
    "event",
    [
        epoch("nobody-0", 1, 0.5, is_best=True),
        ev.Progress(run="nobody-0", stage="training", step=1, steps=2),
        ev.MemorySampled(run="nobody-0", memory=memory(1)),
        ev.LossMeasured(run="nobody-0", epoch=1, after=0, step=1, steps=2, loss=0.5),
        ev.RunFinished(run="nobody-0", end="finished", seconds=1, cpu_seconds=1, memory=memory(1)),
    ],
)
def test_an_event_of_an_unknown_run_changes_no_run(event: AnyEvent) -> None:
    before = replay([started()])
    assert replay([event], before).runs == before.runs


GOES_ON = ev.ExperimentResumed(host="here", pid=1, device=ev.Device("cpu", "some CPU", 10), versions={})
TESTED = ev.RunFinished(
    run=FIRST, end="stopped", seconds=6.5, cpu_seconds=9.0, memory=memory(7), test=Metrics(0.1, 1.0, 4), joules=3.0,
    seconds_of_found_features=2.0,
)  # fmt: skip
STOPPED = [
    *(started(), run_started(FIRST), epoch(FIRST, 1, 0.5, is_best=True), epoch(FIRST, 2, 0.4, is_best=False)),
    *(TESTED, ev.ExperimentFinished(end="stopped")),
]


def goes_on_at(number: int) -> ev.RunStarted:
    return msgspec.structs.replace(run_started(FIRST), epoch=number)


def test_a_run_that_goes_on_knows_nothing_of_how_it_ended() -> None:
    events = at_seconds([*STOPPED, GOES_ON, goes_on_at(3)])
    ended = replay(events[:6]).run(FIRST)
    assert (ended.test, ended.cpu_seconds, ended.joules) == (TESTED.test, 9.0, 3.0)
    going = replay(events).run(FIRST)
    before_its_end = replay(events[:4]).run(FIRST)
    assert going == msgspec.structs.replace(
        before_its_end, progress=None, most=ended.most, test=TESTED.test, times_tested=1, memory_at_start=None
    )


@pytest.mark.parametrize("end", ["skipped", "stopped"])
def test_what_was_measured_of_a_run_holds_where_it_ends_again_before_it_goes_on(end: ev.RunEnd) -> None:
    prepares = ev.StageChanged(run=FIRST, stage="weights")
    again = ev.RunFinished(run=FIRST, end=end, memory=memory(50))
    ended = replay(STOPPED).run(FIRST)
    for between in ([], [prepares]):
        assert replay([*STOPPED, GOES_ON, *between, again]).run(FIRST) == msgspec.structs.replace(ended, status=end)


def test_a_run_that_had_begun_is_not_said_not_to_have_where_its_turn_did_not_come_again() -> None:
    waits = replay([*STOPPED, GOES_ON, ev.StageChanged(run=SECOND, stage="training")])
    killed = msgspec.structs.replace(waits, interrupted=True)
    stopped = replay([ev.ExperimentFinished(end="stopped")], waits)
    said = [[condition(run, state) for run in state.runs] for state in (waits, killed, stopped)]
    assert said == [["waiting", "running"], ["interrupted", "interrupted"], ["stopped", "stopped"]]
    assert stopped.run(FIRST) == replay(STOPPED).run(FIRST)


def test_a_test_is_that_of_the_best_epoch() -> None:
    def tested(*events: AnyEvent) -> tuple[Metrics | None, int]:
        run = replay([*STOPPED, GOES_ON, *events]).run(FIRST)
        assert run == replay(events, replay([*STOPPED, GOES_ON])).run(FIRST)
        return run.test, run.times_tested

    better, worse = epoch(FIRST, 3, 0.9, is_best=True), epoch(FIRST, 3, 0.1, is_best=False)
    untested = ev.RunFinished(run=FIRST, end="stopped", seconds=8.0, memory=memory(7))
    again = msgspec.structs.replace(untested, test=Metrics(0.2, 0.9, 4))
    assert tested(goes_on_at(3), untested) == (TESTED.test, 1)
    assert tested(goes_on_at(3), worse, untested) == (TESTED.test, 1)
    assert tested(goes_on_at(3), better) == tested(goes_on_at(3), better, untested) == (None, 1)
    assert tested(goes_on_at(3), better, again) == (again.test, 2)
    assert tested(goes_on_at(2)) == (None, 1), "what was tested may be among what is done again"
    assert tested(run_started(FIRST)) == (None, 1), "it begins anew"
