"""What is said of the time that is left, against experiments whose end is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import msgspec
import pytest

from engine.clock import PROGRESS_SECONDS
from engine.logs import events as ev
from engine.specs import spec
from engine.states.eta import Remaining, fraction_done, remaining_of_all, remaining_of_stage, remaining_seconds
from engine.states.replay import replay
from engine.states.state import ExperimentState, RunState, StageProgress
from tests.engine.timelines import Moment, Timeline, moments
from tests.tui import logs

EVENTS = logs.events()
SEEDS = range(8)
FEW = 5
"""Progress events of a run's training after which what is said may no longer be absurd."""

Estimate = Callable[[RunState, ExperimentState], float | None]

TIMELINES = {
    "steady": Timeline(noise=0.0),
    "epochs vary": Timeline(),
    "validation is 5 %": Timeline(val_share=0.05, val_images=38),
    "validation is 30 %": Timeline(val_share=0.3),
    "validation is 60 %": Timeline(val_share=0.6, val_images=500, val_steps=8),
    "validation costs an image what training does": Timeline(val_share=0.385),
    "slow first steps": Timeline(first_steps=(3.0, 1.5)),
    "first epoch slower by half": Timeline(first_epoch=1.5),
    "all of it at once": Timeline(epochs=15, val_share=0.3, first_epoch=1.3, first_steps=(3.0, 1.5), pause=60.0),
    "long epochs of many steps": Timeline(
        step=0.05, steps=200, first_steps=(8.0, 3.0, 2.0), val_share=0.1, val_images=80
    ),
    "steps as long as a minute": Timeline(step=60.0, steps=40, val_share=0.25, val_steps=10),
    "a pause in the middle": Timeline(pause=300.0),
    "long decoding and warming up": Timeline(decoding=200.0, before=60.0),
    "features, then epochs of milliseconds": Timeline(
        trains="head", epochs=25, step=0.0005, features=60.0, val_steps=1, val_share=0.1
    ),
    "epochs of milliseconds that vary a lot": Timeline(
        trains="head", epochs=300, step=0.001, noise=0.6, val_steps=1, val_share=0.1
    ),
    "features, then epochs of seconds": Timeline(trains="head", epochs=25, step=0.01, steps=300, features=600.0),
    "many runs": Timeline(runs=6, epochs=10),
    "a hundred epochs": Timeline(epochs=100, first_epoch=1.7),
    "five epochs": Timeline(epochs=5, noise=0.05, first_epoch=1.05),
    "three epochs": Timeline(epochs=3, noise=0.0),
}


def ours(run: RunState, state: ExperimentState) -> float | None:
    assert state.decoded is not None
    return remaining_seconds(run, state.decoded.train, state.decoded.val)


def told(timeline: Timeline, estimate: Estimate) -> Iterator[tuple[Moment, float | None, int]]:
    """At each event and just before the next one: the moment, the estimate, and the run's training progress so far."""
    state, seen, before = ExperimentState(), 0, None
    for moment in moments(timeline):
        if before is not None and before[0] == moment.run and moment.share >= 0:
            yield moment, before[1], before[2]
        state = replay([moment.event], state)
        if isinstance(moment.event, ev.RunFinished):
            seen = 0
        seen += isinstance(moment.event, ev.Progress) and moment.event.stage == "training"
        before = None
        if moment.run and moment.share < 1:
            before = (moment.run, estimate(state.run(moment.run), state), seen)
            yield moment, before[1], before[2]


def worst(said: Iterable[tuple[Moment, float | None, int]]) -> float:
    """The largest error from a third of a run's epochs on, as a share of the time of all its epochs."""
    return max(
        abs(left - moment.left) / moment.whole if left is not None else float("inf")
        for moment, left, _ in said
        if moment.share >= 1 / 3
    )


@pytest.mark.parametrize("timeline", TIMELINES.values(), ids=TIMELINES)
def test_it_is_never_absurd_and_from_a_third_on_within_a_tenth_of_the_whole(timeline: Timeline) -> None:
    # Of the whole, not of what is left: how much the last few epochs vary nobody can know before they are over.
    errors: dict[int, float] = {}
    for seed in SEEDS:
        all_told = list(told(replace(timeline, seed=seed), ours))
        errors[seed] = worst(all_told)
        for moment, said, progress in all_told:
            if moment.share < 1 / 3 and progress >= FEW:
                assert said is not None or timeline.trains == "head", moment
            if said is not None and progress >= FEW and moment.share < 1 / 3:
                assert moment.left / 2 <= said <= 2 * moment.left, (seed, moment, said)
    assert max(errors.values()) <= 0.1, errors


@pytest.mark.parametrize("name", ["steady", "three epochs"])
def test_where_epochs_are_alike_it_is_within_a_tenth_of_what_is_left(name: str) -> None:
    timeline = TIMELINES[name]
    validation = timeline.steps * timeline.step * timeline.val_share / (1 - timeline.val_share)
    longest_silence = PROGRESS_SECONDS + max(timeline.step, validation / timeline.val_steps)
    for moment, said, _ in told(timeline, ours):
        if moment.share >= 1 / 3:
            assert said is not None
            assert abs(said - moment.left) <= 0.1 * moment.left + longest_silence, moment


@pytest.mark.parametrize("timeline", TIMELINES.values(), ids=TIMELINES)
def test_nothing_is_foretold_from_what_is_no_training(timeline: Timeline) -> None:
    for moment, said, _ in told(timeline, ours):
        if moment.share < 0:
            assert said is None, moment


def test_careless_estimates_do_not_pass() -> None:
    """The timelines have teeth: time that is no training, validation and pauses each spoil a naive estimate."""

    def by_the_clock(run: RunState, state: ExperimentState) -> float | None:
        done = fraction_done(run)
        return state.elapsed * (1 - done) / done if done else None

    def training_alone(run: RunState, state: ExperimentState) -> float | None:
        del state
        train = [epoch.train_seconds for epoch in run.epochs]
        return sum(train) / len(train) * run.strategy.epochs * (1 - fraction_done(run)) if train else None

    def first_epoch_alone(run: RunState, state: ExperimentState) -> float | None:
        del state
        return run.epochs[0].seconds * run.strategy.epochs * (1 - fraction_done(run)) if run.epochs else None

    for name in ("long decoding and warming up", "a pause in the middle", "features, then epochs of milliseconds"):
        assert worst(told(TIMELINES[name], by_the_clock)) > 0.1, name
    for name in ("validation is 30 %", "validation is 60 %"):
        assert worst(told(TIMELINES[name], training_alone)) > 0.1, name
    assert worst(told(TIMELINES["first epoch slower by half"], first_epoch_alone)) > 0.1


def run_at(kind: str, number: int, index: int = 0) -> RunState:
    return replay(logs.until(kind, number, EVENTS)).runs[index]


def test_before_the_first_epoch_the_steps_tell() -> None:
    run = run_at("Progress", 3)  # step 3 of 8 at 91.3 images/s; the first two are of decoding
    assert run.progress is not None and (run.progress.step, run.progress.steps) == (3, 8)
    epoch = (logs.TRAIN + logs.VAL / 3) / 91.3
    assert remaining_seconds(run, logs.TRAIN, logs.VAL) == pytest.approx(12 * epoch - 3 / 8 * logs.TRAIN / 91.3)


def test_the_very_first_steps_tell_nothing() -> None:
    run = run_at("Progress", 3)
    assert run.progress is not None
    first = msgspec.structs.replace(run, progress=msgspec.structs.replace(run.progress, step=2))
    assert remaining_seconds(first, logs.TRAIN, logs.VAL) is None


def test_later_the_epochs_tell_validation_included() -> None:
    run = run_at("EpochFinished", 7)
    assert fraction_done(run) == pytest.approx(7 / 12)
    assert remaining_seconds(run, logs.TRAIN, logs.VAL) == pytest.approx(5 * 3.2)


def test_steps_of_the_present_epoch_count() -> None:
    run = msgspec.structs.replace(
        run_at("EpochFinished", 7), progress=StageProgress("training", 999.0, step=4, steps=8, epoch=8)
    )
    assert fraction_done(run) == pytest.approx((7 + 0.5 * 0.8) / 12)  # four fifths of an epoch are training
    run = msgspec.structs.replace(run, progress=StageProgress("validating", 999.0, step=1, steps=2, epoch=8))
    assert fraction_done(run) == pytest.approx((7 + 0.9) / 12)


def test_an_epoch_is_not_counted_twice() -> None:
    run = run_at("EpochFinished", 7)
    assert run.progress is not None and run.progress.detail == "epoch 8"
    assert fraction_done(run) == pytest.approx(7 / 12)


def test_one_epoch_that_was_held_up_does_not_spoil_the_estimate() -> None:
    run = run_at("EpochFinished", 7)
    slow = msgspec.structs.replace(run.epochs[-1], seconds=600.0)
    run = msgspec.structs.replace(run, epochs=(*run.epochs[:-1], slow))
    left = remaining_seconds(run, logs.TRAIN, logs.VAL)
    assert left is not None and 5 * 3.2 <= left <= 1.1 * 5 * 3.2


def test_unknown_while_nothing_was_measured_and_when_over() -> None:
    waiting = replay(logs.until("DataDecoded", 1, EVENTS)).runs[0]
    assert remaining_seconds(waiting, logs.TRAIN, logs.VAL) is None
    done: ExperimentState = replay(EVENTS)
    assert [remaining_seconds(run, logs.TRAIN, logs.VAL) for run in done.runs] == [None, None]


def test_a_stage_that_counts_images_has_its_own_end() -> None:
    features = StageProgress("features", 0.0, step=100, steps=400, images_per_second=50.0)
    assert remaining_of_stage(features) == 6
    for other in (
        StageProgress("features", 0.0),
        StageProgress("weights", 0.0, step=1, steps=2),
        StageProgress("training", 0.0, step=1, steps=8, images_per_second=50.0),
    ):
        assert remaining_of_stage(other) is None


def test_all_is_foretold_once_each_strategy_has_a_finished_run() -> None:
    three = logs.events(spec.changed(logs.two_strategies(), seeds=[0, 1, 2]))

    def left(kind: str, number: int) -> Remaining | None:
        return remaining_of_all(replay(logs.until(kind, number, three)), logs.TRAIN, logs.VAL)

    def whole(seconds: float) -> Remaining:
        return Remaining(pytest.approx(seconds), is_least=False)

    tuned, extracted = 12 * 3.2, 12 * 0.02
    assert left("RunStarted", 1) is None  # of no strategy anything is known
    # of the other strategy nothing is known yet, of the other seeds of this one what its epochs take
    assert left("EpochFinished", 7) == Remaining(pytest.approx(5 * 3.2 + 2 * tuned), is_least=True)
    assert left("RunFinished", 2) == whole(2 * (tuned + extracted))
    assert left("EpochFinished", 24 + 3) == whole(9 * 3.2 + extracted + tuned + extracted)
    assert left("RunFinished", 6) is left("ExperimentFinished", 1) is None  # nothing is left
    assert remaining_of_all(ExperimentState(), logs.TRAIN, logs.VAL) is None  # nor known, before the first event
    state = replay(logs.until("RunFinished", 4, three))
    slower = tuple(msgspec.structs.replace(one, seconds=2 * one.seconds) for one in state.runs[0].epochs[:9])
    begun = msgspec.structs.replace(state.runs[4], epochs=slower)  # it was stopped, and waits to go on
    state = msgspec.structs.replace(state, runs=(*state.runs[:4], begun, state.runs[5]))
    assert remaining_of_all(state, logs.TRAIN, logs.VAL) == whole(3 * 2 * 3.2 + extracted), "by its own epochs"


def test_of_waiting_runs_what_was_foretold_counts_until_one_of_their_strategy_has_ended() -> None:
    three = logs.events(spec.changed(logs.two_strategies(), seeds=[0, 1, 2]))
    started = three[0]
    assert isinstance(started, ev.ExperimentStarted)
    foretold = msgspec.structs.replace(started, forecast=ev.Forecast({"mobilenetv3-extract": 30.0}))

    def left(kind: str, number: int) -> Remaining | None:
        return remaining_of_all(replay([foretold, *logs.until(kind, number, three)[1:]]), logs.TRAIN, logs.VAL)

    tuned, extracted = 12 * 3.2, 12 * 0.02
    assert left("RunStarted", 1) == Remaining(pytest.approx(30), is_least=True)  # nothing is known of the other one
    assert left("EpochFinished", 7) == Remaining(pytest.approx(5 * 3.2 + 2 * tuned + 30), is_least=False)
    assert left("RunFinished", 2) == Remaining(pytest.approx(2 * (tuned + extracted)), is_least=False)


def test_what_is_resumed_takes_what_its_epochs_took_and_at_least_nothing_is_not_said() -> None:
    events = logs.events()
    started = events[0]
    assert isinstance(started, ev.ExperimentStarted)
    foretold = msgspec.structs.replace(started, forecast=ev.Forecast({"mobilenetv3-extract": 0.3}))
    on = ev.ExperimentResumed(host="h", pid=1, device=started.device, versions={})

    def left(kind: str, number: int, first: ev.ExperimentStarted = foretold) -> Remaining | None:
        return remaining_of_all(replay([first, *logs.until(kind, number, events)[1:], on]), logs.TRAIN, logs.VAL)

    assert left("RunStarted", 1) is None, "the run that trains first has its first epoch to do"
    assert left("EpochFinished", 7) == Remaining(pytest.approx(5 * 3.2 + 0.3), is_least=False)
    longer = msgspec.structs.replace(started, forecast=ev.Forecast({"mobilenetv3-extract": 30.0}))
    assert left("RunStarted", 1, longer) == Remaining(pytest.approx(30), is_least=True)


def test_a_run_that_a_person_ended_tells_what_the_others_of_its_strategy_take() -> None:
    three = logs.events(spec.changed(logs.two_strategies(), seeds=[0, 1, 2]))
    skipped = ev.RunFinished(
        run="resnet18-finetune-0", end="skipped", seconds=9.0, memory=logs._memory(0, False, False)
    )
    state = replay([*logs.until("EpochFinished", 2, three), skipped])
    whole = Remaining(pytest.approx(2 * 12 * 3.2, rel=0.01), is_least=True)
    assert remaining_of_all(state, logs.TRAIN, logs.VAL) == whole
    begins = ev.StageChanged(run="resnet18-finetune-1", stage="weights", elapsed=99.0)
    assert remaining_of_all(replay([begins], state), logs.TRAIN, logs.VAL) == whole, "nor is that lost as it begins"
