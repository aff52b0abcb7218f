"""How long a stage, a run and an experiment will still take. Pure; imports without torch."""

from __future__ import annotations

from statistics import mean, median
from typing import NamedTuple

from engine.logs.events import EpochFinished
from engine.states.state import ExperimentState, RunState, StageProgress

RECENT_EPOCHS, RECENT_SECONDS = 8, 10.0
"""So many epochs, and more if they took less than so long, tell what the next ones will take: short ones vary a lot."""
LONGEST = 1.5
"""An epoch counts as at most this many times the median one: what held it up once is not to be expected again."""
SLOW_FIRST = 1.2
"""The first epoch counts where it took at most this many times the median of the others: it may have to warm up."""
FIRST_STEPS, FIRST_SHARE = 3, 1 / 50
"""Steps of the first epoch, and share of it, before which nothing is foretold: its first steps may take longer."""
VALIDATION_COST = 1 / 3
"""Seconds to validate an image per second to train on one, before any epoch was measured: there is no backward pass."""


def remaining_seconds(run: RunState, train_images: int, val_images: int) -> float | None:
    """Seconds until the run's last epoch ends, validation included; None where nothing was measured yet or it is over.

    ``train_images`` and ``val_images`` are what one epoch trains on and validates; they count only while the first
    epoch is under way. Later the run's own epochs are the measure: the mean of the recent ones, since what is to come
    is a sum. Weights, warming up and features do not count. Pauses do not count either, except that a pause during the
    first epoch's training counts until that epoch was validated.
    """
    if run.is_over:
        return None
    if run.epochs:
        seconds = mean(_typical(run.epochs))
        return seconds * run.strategy.epochs * (1 - fraction_done(run))
    return _estimated(run, train_images, val_images)


def fraction_done(run: RunState) -> float:
    """How much of the run's epochs is done, 0..1; the steps of the present epoch count."""
    within, progress = 0.0, run.progress
    if progress is not None and progress.stage == "training" and progress.steps:
        within = progress.step / progress.steps * _train_share(run)
    elif progress is not None and progress.stage == "validating":
        share = _train_share(run)
        within = share + (1 - share) * (progress.step / progress.steps if progress.steps else 0.0)
    return min(1.0, (len(run.epochs) + within) / run.strategy.epochs)


def remaining_of_stage(progress: StageProgress) -> float | None:
    """Seconds until a stage that counts images is done, at the speed that it had so far; None where it has none."""
    if not progress.images_per_second or not progress.steps or progress.stage in ("training", "validating"):
        return None
    return max(0, progress.steps - progress.step) / progress.images_per_second


class Remaining(NamedTuple):
    """``seconds`` until the last run ends; ``is_least``: runs of which nothing is known come on top."""

    seconds: float
    is_least: bool


def remaining_of_all(state: ExperimentState, train_images: int, val_images: int) -> Remaining | None:
    """What is left of an experiment; None where nothing is known of any run that is left, or none is left, or what is
    known comes to less than a second and more is to come: ``at least 0:00`` would say nothing.

    A run that waits, or has done too few steps to tell, is taken to need what its own epochs took, if it is resumed, or
    those of another one of its strategy: it will find the images and features prepared. Before there is one, what was
    foretold when the experiment began counts.
    """
    left = [_remaining(run, state, train_images, val_images) for run in state.runs if not run.is_over]
    known = [seconds for seconds in left if seconds is not None]
    is_least = len(known) < len(left)
    return Remaining(sum(known), is_least) if known and (sum(known) >= 1 or not is_least) else None


def _remaining(run: RunState, state: ExperimentState, train_images: int, val_images: int) -> float | None:
    by_itself = remaining_seconds(run, train_images, val_images)
    return _of_the_same(run, state) if by_itself is None else by_itself


def _of_the_same(run: RunState, state: ExperimentState) -> float | None:
    """What the epochs of the last finished run of this strategy took, or else those of the last one that did any, as
    far as the run does not have them yet; else what was foretold of it.
    """
    alike = [other for other in state.runs if other.strategy == run.strategy]
    finished = [other for other in alike if other.status == "finished"]
    if finished:
        return sum(epoch.seconds for epoch in finished[-1].epochs) * (1 - fraction_done(run))
    begun = [other for other in alike if other.epochs]
    if begun:
        return mean(_typical(begun[-1].epochs)) * run.strategy.epochs * (1 - fraction_done(run))
    foretold = state.forecast.seconds.get(run.strategy.name)
    return None if foretold is None else foretold / len(alike)


def _typical(epochs: tuple[EpochFinished, ...]) -> list[float]:
    """Seconds of the recent epochs, without what is not to be expected again."""
    recent: list[float] = []
    left = RECENT_SECONDS
    for epoch in reversed(epochs):
        if left <= 0 and len(recent) >= RECENT_EPOCHS:
            break
        recent.append(epoch.seconds)
        left -= epoch.seconds
    if 1 < len(recent) == len(epochs) and recent[-1] > SLOW_FIRST * median(recent[:-1]):
        recent.pop()
    longest = LONGEST * median(recent)
    return [min(seconds, longest) for seconds in recent]


def _estimated(run: RunState, train_images: int, val_images: int) -> float | None:
    """What the steps of the first epoch tell, with a guess of what validation will take."""
    progress = run.progress
    if progress is None or not train_images:
        return None
    if progress.stage == "training":
        if not progress.images_per_second or progress.step < max(FIRST_STEPS, FIRST_SHARE * progress.steps):
            return None
        training = train_images / progress.images_per_second
        done = progress.step / progress.steps * training
        validation = VALIDATION_COST * val_images / train_images * training
    elif progress.stage == "validating" and run.started is not None and not run.strategy.needs_features:
        training = progress.since - run.started  # nothing else comes between
        validation = VALIDATION_COST * val_images / train_images * training
        done = training + validation * (progress.step / progress.steps if progress.steps else 0.0)
    else:
        return None
    return max(0.0, (training + validation) * run.strategy.epochs - done)


def _train_share(run: RunState) -> float:
    """The part of an epoch's time that is training, from the epochs that were measured."""
    seconds = sum(epoch.seconds for epoch in run.epochs)
    return sum(epoch.train_seconds for epoch in run.epochs) / seconds if seconds else 0.9
