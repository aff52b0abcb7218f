"""What a run cost, and when it began to overfit."""

from __future__ import annotations

import pytest

from engine import events as ev
from engine.comparison import costs
from engine.comparison.costs import Turn
from engine.events import EpochFinished, Memory, Metrics
from engine.state import RunState
from engine.strategy import Strategy


def epochs(*measured: tuple[float, float], seconds: float = 10.0) -> tuple[EpochFinished, ...]:
    """Epochs of these validation accuracies and losses."""
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
        )
        for number, (accuracy, loss) in enumerate(measured, 1)
    )


def run(*measured: tuple[float, float], **values: object) -> RunState:
    return RunState("a-0", Strategy("a"), 0, epochs=epochs(*measured), **values)


def test_time_to_an_accuracy_is_that_of_the_first_epoch_which_reached_it() -> None:
    going_on = run((0.5, 1.0), (0.8, 0.9), (0.7, 0.9), (0.9, 0.8))
    assert costs.seconds_to(going_on, 0.8) == 20
    assert costs.seconds_to(going_on, 0.81) == 40
    assert costs.seconds_to(going_on, 0.95) is None
    assert costs.seconds_to(run(), 0.1) is None


def test_extracting_features_counts_towards_it() -> None:
    over = run((0.5, 1.0), (0.8, 0.9), seconds=50.0)
    assert costs.seconds_in_all(over) == 50
    assert costs.seconds_to(over, 0.5) == 40, "30 seconds before the first epoch"


def test_validation_loss_turned_where_it_was_lowest_unless_that_is_the_end() -> None:
    assert costs.turn(epochs((0.5, 1.0), (0.6, 0.7), (0.7, 0.8), (0.7, 0.75))) == Turn(2, pytest.approx(0.05))
    assert costs.turn(epochs((0.5, 1.0), (0.6, 0.7))) is None
    assert costs.turn(epochs((0.5, 1.0), (0.6, 1.0))) is None
    assert costs.turn(()) is None
    assert costs.turn(epochs((0.5, 1.0), (0.5, float("nan")))) is None


def test_speed_is_training_images_by_training_time() -> None:
    assert costs.images_per_second(epochs((0.5, 1.0), (0.5, 1.0))) == pytest.approx(25.0)
    assert costs.images_per_second(()) is None
