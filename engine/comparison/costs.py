"""What a run cost: memory of each kind, speed, time until it was good enough; and when it began to overfit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from msgspec import Struct

from engine.events import EpochFinished
from engine.state import RunState

GOOD_ENOUGH = 0.95
"""This share of another strategy's best accuracy is what time is taken to."""


class PeakMemory(Struct, frozen=True):
    """The most that was seen of each kind of memory during a run, in bytes; None for kinds that there are not.

    ``device`` is the whole card's, other programs' included; the others are this process's.
    """

    rss: int | None
    allocated: int | None
    reserved: int | None
    device: int | None


class Turn(Struct, frozen=True):
    """The epoch of lowest validation loss, after which it rose, by so many nats until the last epoch."""

    epoch: int
    rise: float


def peak_memory(run: RunState) -> PeakMemory:
    """The largest that was seen of a run's memory."""
    seen = [epoch.memory for epoch in run.epochs] + [point.memory for point in run.memory]
    seen += [memory for memory in (run.memory_at_start, run.memory_at_end) if memory is not None]

    def most(values: Iterable[int | None]) -> int | None:
        return max((value for value in values if value is not None), default=None)

    return PeakMemory(
        rss=most(memory.peak_rss for memory in seen),
        allocated=most(memory.peak_allocated for memory in seen),
        reserved=most(memory.reserved for memory in seen),
        device=most(memory.device_used for memory in seen),
    )


def seconds_in_all(run: RunState) -> float | None:
    """Of a run that is over, its own seconds; of one that goes on, those of its epochs so far."""
    if run.seconds is not None:
        return run.seconds
    return sum(epoch.seconds for epoch in run.epochs) if run.epochs else None


def seconds_to(run: RunState, accuracy: float) -> float | None:
    """Seconds until the validation accuracy (0..1) was reached, at an epoch's end; None where it never was.

    What a run does before its first epoch (extracting features) is included once the run is over.
    """
    in_all = seconds_in_all(run)
    if in_all is None:
        return None
    ends = list(accumulate(epoch.seconds for epoch in run.epochs))
    before = max(0.0, in_all - ends[-1]) if ends else 0.0
    reached = (end for end, epoch in zip(ends, run.epochs, strict=True) if epoch.val.accuracy >= accuracy)
    return next((before + end for end in reached), None)


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
