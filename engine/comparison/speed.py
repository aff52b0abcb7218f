"""How fast a run was, when it was good enough, and when it began to overfit."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.logs.events import EpochFinished
from engine.states.state import RunState

GOOD_ENOUGH = 0.95
"""This share of another strategy's best accuracy is what time is taken to."""


class Turn(Struct, frozen=True):
    """The epoch of lowest validation loss, after which it rose, by so many nats until the last epoch."""

    epoch: int
    rise: float


def seconds_in_all(run: RunState) -> float | None:
    """The seconds of a run: of one that is over, its own; of one that goes on or failed, those until its last epoch's
    end, where the log tells them, else those of its epochs.
    """
    if run.seconds is not None or run.latest is None:
        return run.seconds
    return run.latest.run_seconds or sum(epoch.seconds for epoch in run.epochs)


def seconds_to(run: RunState, accuracy: float) -> float | None:
    """Seconds until the validation accuracy (0..1) was reached, at an epoch's end; None where it never was.

    What a run does before its first epoch (extracting features) is included; where an older log does not tell of it,
    it is known only of a run that finished, and None of another.
    """
    reached = next((epoch for epoch in run.epochs if epoch.val.accuracy >= accuracy), None)
    if reached is None or reached.run_seconds:
        return reached.run_seconds if reached else None
    if run.status != "finished" or run.seconds is None:
        return None
    return max(0.0, run.seconds - sum(epoch.seconds for epoch in run.epochs if epoch.epoch > reached.epoch))


def images_per_second(epochs: Sequence[EpochFinished]) -> float | None:
    """Training images by training time, validation left out."""
    seconds = sum(epoch.train_seconds for epoch in epochs)
    return sum(epoch.train.images for epoch in epochs) / seconds if seconds else None


def turn(epochs: Sequence[EpochFinished]) -> Turn | None:
    """Where the validation loss turned; None where it was lowest at the end."""
    if not epochs:
        return None
    lowest = min(epochs, key=lambda epoch: epoch.val.loss)
    rise = epochs[-1].val.loss - lowest.val.loss
    return Turn(lowest.epoch, rise) if rise > 0 else None
