"""The training loss within epochs."""

from dataclasses import replace

import pytest

from engine.clock import Stopwatch
from engine.devices.meters import Meters
from engine.logs import events as ev
from engine.training import fit, loss_curve
from engine.training.batches import Feed
from engine.training.loss_curve import EPOCH_POINTS, RUN_POINTS, loss_points
from engine.training.metrics import Tally
from engine.training.run import Run, at_the_start
from tests.engine.training.runs import fine_tuning, fitted, make_run, never_best


class Clock:
    """Stands still but for what steps take."""

    now = 0.0


def slow_run(monkeypatch: pytest.MonkeyPatch, seconds: float, images: int = 40) -> tuple[Run, list[float]]:
    """A run of two epochs of steps of four images, which take so long each, and the losses of its steps in order."""
    clock, losses, really = Clock(), list[float](), fit.attempt

    def attempt(run: Run, training: object, feed: Feed, parts: object) -> object:
        clock.now += seconds
        done = really(run, training, feed, parts)  # type: ignore[arg-type]
        assert not isinstance(done, str)
        losses.extend(float(loss.detach()) for _, _, loss in done)
        return done

    monkeypatch.setattr(fit, "attempt", attempt)
    run = make_run(fine_tuning(batch_size=4), train=images)
    return replace(run, meters=Meters(clock=Stopwatch(lambda: clock.now))), losses


def test_points_are_the_mean_losses_of_the_steps_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    run, losses = slow_run(monkeypatch, seconds=0.75)
    points = [event for event in fitted(run, never_best) if isinstance(event, ev.LossMeasured)]
    assert [(point.epoch, point.after, point.step) for point in points] == [
        (epoch, *steps) for epoch in (1, 2) for steps in ((0, 3), (3, 6), (6, 9), (9, 10))
    ]
    for point in points:
        of_them = losses[10 * (point.epoch - 1) :][point.after : point.step]
        assert point.loss == pytest.approx(sum(of_them) / len(of_them), rel=1e-6)
        assert point.steps == 10


def test_less_than_a_batch_at_the_end_of_an_epoch_is_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    run, losses = slow_run(monkeypatch, seconds=3.0, images=42)
    points = [event for event in fitted(run, never_best) if isinstance(event, ev.LossMeasured)]
    assert [(point.step, point.steps) for point in points] == 2 * [(step, 11) for step in range(1, 11)]
    assert len(losses) == 22


def test_short_epochs_have_no_points(monkeypatch: pytest.MonkeyPatch) -> None:
    run, losses = slow_run(monkeypatch, seconds=0.19)
    assert not [event for event in fitted(run, never_best) if isinstance(event, ev.LossMeasured)]
    assert len(losses) == 20


def test_nothing_more_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is read from it as often as without points."""
    read, really = [0], Tally.loss

    def loss(self: Tally) -> float:
        read[0] += 1
        return really(self)

    monkeypatch.setattr(Tally, "loss", loss)
    counts, points = [], []
    for seconds in (loss_curve.POINT_SECONDS, 1e9):
        monkeypatch.setattr(loss_curve, "POINT_SECONDS", seconds)
        run, _ = slow_run(monkeypatch, seconds=0.75)
        before = read[0]
        points.append(sum(isinstance(event, ev.LossMeasured) for event in fitted(run, never_best)))
        counts.append(read[0] - before)
    assert points == [8, 0]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("epochs", "later"), [(1, 0), (2, EPOCH_POINTS), (25, RUN_POINTS // 25), (50, 2), (51, 0), (10_000, 0)]
)
def test_a_run_has_few_points_however_long_it_takes(epochs: int, later: int) -> None:
    clock, run = Clock(), make_run(fine_tuning(epochs=epochs))
    run = replace(run, meters=Meters(clock=Stopwatch(lambda: clock.now)))
    training, found = at_the_start(run), []
    for epoch in range(1, min(epochs, 60) + 1):
        training.begin_epoch(epoch)
        point, many = loss_points(run, training, 1000), 0
        for training.step in range(1, 1001):
            clock.now += 60.0
            training.tally.images += 8
            many += len(list(point(0.5)))
        found.append(many)
    assert found[0] == EPOCH_POINTS
    assert set(found[1:]) == ({later} if epochs > 1 else set())
    assert sum(found[1:]) <= RUN_POINTS
