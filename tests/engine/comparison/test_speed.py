"""What a run cost, and when it began to overfit."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.comparison import speed
from engine.comparison.speed import Turn
from engine.logs import events as ev
from engine.logs.events import EpochFinished, Memory, Metrics
from engine.specs.strategy import Strategy
from engine.states.state import RunState


def epochs(*measured: tuple[float, float], seconds: float = 10.0, before: float = 0.0) -> tuple[EpochFinished, ...]:
    """Epochs of these validation accuracies and losses, after so many seconds ``before`` the first."""
    return tuple(
        ev.EpochFinished(
            run="a-0",
            epoch=number,
            train=Metrics(0.5, 0.9, 200),
            val=Metrics(loss, accuracy, 50),
            learning_rate=0.1,
            seconds=seconds,
            train_seconds=seconds * 0.8,
            images_per_second=25.0,
            memory=Memory(rss=10, peak_rss=20 + number),
            is_best=False,
            run_seconds=before + seconds * number,
        )
        for number, (accuracy, loss) in enumerate(measured, 1)
    )


def run(*measured: tuple[float, float], **values: object) -> RunState:
    return RunState("a-0", Strategy("a"), 0, **{"epochs": epochs(*measured), **values})


def of_an_older_version(run: RunState) -> RunState:
    """The run as it is known from a log that does not tell how long it took until an epoch's end."""
    return replace(run, epochs=tuple(replace(epoch, run_seconds=0.0) for epoch in run.epochs))


def test_time_to_an_accuracy_is_that_of_the_first_epoch_which_reached_it() -> None:
    going_on = run((0.5, 1.0), (0.8, 0.9), (0.7, 0.9), (0.9, 0.8))
    assert speed.seconds_to(going_on, 0.8) == 20
    assert speed.seconds_to(going_on, 0.81) == 40
    assert speed.seconds_to(going_on, 0.95) is None
    assert speed.seconds_to(run(), 0.1) is None


def test_what_comes_before_the_first_epoch_counts_towards_it_and_an_epoch_that_did_not_end_does_not() -> None:
    features = run(epochs=epochs((0.5, 1.0), (0.8, 0.9), before=30.0))
    assert (speed.seconds_to(features, 0.5), speed.seconds_in_all(features)) == (40, 50)
    stopped = run(epochs=epochs((0.8, 0.9), seconds=600.0), status="stopped", seconds=1190.0)
    assert (speed.seconds_to(stopped, 0.8), speed.seconds_in_all(stopped)) == (600, 1190)


def test_older_logs_tell_it_of_runs_that_finished() -> None:
    over = of_an_older_version(run((0.5, 1.0), (0.8, 0.9), seconds=50.0, status="finished"))
    assert speed.seconds_in_all(over) == 50
    assert speed.seconds_to(over, 0.5) == 40, "30 seconds before the first epoch"
    stopped = of_an_older_version(run((0.8, 0.9), status="stopped", seconds=19.0))
    going_on = of_an_older_version(run((0.8, 0.9), status="running"))
    assert speed.seconds_to(stopped, 0.8) is None and speed.seconds_to(going_on, 0.8) is None
    assert speed.seconds_in_all(going_on) == 10


def test_validation_loss_turned_where_it_was_lowest_unless_that_is_the_end() -> None:
    assert speed.turn(epochs((0.5, 1.0), (0.6, 0.7), (0.7, 0.8), (0.7, 0.75))) == Turn(2, pytest.approx(0.05))
    assert speed.turn(epochs((0.5, 1.0), (0.6, 0.7))) is None
    assert speed.turn(epochs((0.5, 1.0), (0.6, 1.0))) is None
    assert speed.turn(()) is None
    assert speed.turn(epochs((0.5, 1.0), (0.5, float("nan")))) is None


def test_speed_is_training_images_by_training_time() -> None:
    assert speed.images_per_second(epochs((0.5, 1.0), (0.5, 1.0))) == pytest.approx(25.0)
    assert speed.images_per_second(()) is None
