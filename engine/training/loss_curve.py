"""The training loss within epochs, as points of a curve: few enough to be kept of every run, and read again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from engine.clock import every
from engine.logs.events import LossMeasured
from engine.training.run import Run, Training

EPOCH_POINTS = 32
"""The most of an epoch."""
RUN_POINTS = 100
"""The most of all epochs after the first, which has nothing else to show while it trains."""
POINT_SECONDS = 2.0
"""The least between two points: shorter epochs have none, their means tell as much."""


def loss_points(run: Run, training: Training, steps: int) -> Callable[[float], Iterator[LossMeasured]]:
    """A function to be told the epoch's mean loss so far, at any of its ``steps``; gives the point of the curve that is
    due then, if one is: once enough of the epoch has gone by, and at the epoch's end if it has points.

    Begins where the training stands, which may be within the epoch.
    """
    clock, tally, epoch = run.meters.clock, training.tally, training.epoch
    points = EPOCH_POINTS if epoch == 1 else min(EPOCH_POINTS, RUN_POINTS // run.strategy.epochs)
    least = math.ceil(steps / points) if points > 1 else math.inf
    is_time = every(POINT_SECONDS, clock)
    after, images = training.step, tally.images
    total = tally.loss() * images if images else 0.0  # at an epoch's beginning nothing waits for the device
    has_points = False

    def point(mean: float) -> Iterator[LossMeasured]:
        nonlocal after, images, total, has_points
        step, before, sum_before = training.step, images, total
        is_end = has_points and step == steps > after
        if tally.images - images < run.strategy.batch_size:  # the few that are left at the end say little
            return
        if not is_end and (step - after < least or not is_time()):
            return
        first, after, images, total, has_points = after, step, tally.images, mean * tally.images, True
        loss = max(0.0, (total - sum_before) / (images - before))
        yield LossMeasured(run=run.name, epoch=epoch, after=first, step=step, steps=steps, loss=loss)

    return point
