"""How long a run will still take. Pure; imports without torch."""

from __future__ import annotations

from statistics import median

from engine.state import RunState

RECENT_EPOCHS = 5
VALIDATION_COST = 1 / 3
"""Seconds to validate an image per second to train on one, before any epoch was measured: there is no backward pass."""


def remaining_seconds(run: RunState, train_images: int, val_images: int) -> float | None:
    """Seconds until the run ends, validation included; None where nothing was measured yet or it is over.

    ``train_images`` and ``val_images`` are what one epoch trains on and validates; they count only while the first
    epoch is under way. Later the run's own epochs are the measure. Pauses do not count.
    """
    if run.is_over:
        return None
    if run.epochs:
        return _measured(run)
    return _estimated(run, train_images, val_images)


def fraction_done(run: RunState) -> float:
    """How much of the run's epochs is done, 0..1; the steps of the present epoch count."""
    within, progress = 0.0, run.progress
    if progress is not None and run.epochs and progress.since < run.epochs[-1].elapsed:
        progress = None  # left over from the epoch that has just ended
    if progress is not None and progress.stage == "training" and progress.steps:
        within = progress.step / progress.steps * _train_share(run)
    elif progress is not None and progress.stage == "validating":
        share = _train_share(run)
        within = share + (1 - share) * (progress.step / progress.steps if progress.steps else 0.0)
    return min(1.0, (len(run.epochs) + within) / run.strategy.epochs)


def _measured(run: RunState) -> float:
    epoch = median(finished.seconds for finished in run.epochs[-RECENT_EPOCHS:])
    return epoch * run.strategy.epochs * (1 - fraction_done(run))


def _estimated(run: RunState, train_images: int, val_images: int) -> float | None:
    progress = run.progress
    if progress is None or progress.stage != "training" or not progress.images_per_second or not progress.steps:
        return None
    epoch = (train_images + VALIDATION_COST * val_images) / progress.images_per_second
    trained = progress.step / progress.steps * train_images / progress.images_per_second
    return max(0.0, epoch * run.strategy.epochs - trained)


def _train_share(run: RunState) -> float:
    """The part of an epoch's time that is training, from the epochs that were measured."""
    seconds = sum(epoch.seconds for epoch in run.epochs)
    return sum(epoch.train_seconds for epoch in run.epochs) / seconds if seconds else 0.9
