import msgspec
import pytest

from engine.eta import fraction_done, remaining_seconds
from engine.state import ExperimentState, RunState, StageProgress, fold
from tests.tui import logs

EVENTS = logs.events()


def run_at(kind: str, number: int, index: int = 0) -> RunState:
    return fold(logs.until(kind, number, EVENTS)).runs[index]


def test_before_the_first_epoch_the_steps_tell() -> None:
    run = run_at("Progress", 3)  # step 3 of 8 at 91.3 images/s; the first two are of decoding
    assert run.progress is not None and (run.progress.step, run.progress.steps) == (3, 8)
    epoch = (logs.TRAIN + logs.VAL / 3) / 91.3
    assert remaining_seconds(run, logs.TRAIN, logs.VAL) == pytest.approx(12 * epoch - 3 / 8 * logs.TRAIN / 91.3)


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
    assert run.progress is not None and run.progress.stage == "validating"  # left over from epoch 7
    assert fraction_done(run) == pytest.approx(7 / 12)


def test_one_slow_epoch_does_not_spoil_the_estimate() -> None:
    run = run_at("EpochFinished", 7)
    slow = msgspec.structs.replace(run.epochs[-1], seconds=60.0)
    run = msgspec.structs.replace(run, epochs=(*run.epochs[:-1], slow))
    assert remaining_seconds(run, logs.TRAIN, logs.VAL) == pytest.approx(5 * 3.2)


def test_unknown_while_nothing_was_measured_and_when_over() -> None:
    waiting = fold(logs.until("DataDecoded", 1, EVENTS)).runs[0]
    assert remaining_seconds(waiting, logs.TRAIN, logs.VAL) is None
    done: ExperimentState = fold(EVENTS)
    assert [remaining_seconds(run, logs.TRAIN, logs.VAL) for run in done.runs] == [None, None]
