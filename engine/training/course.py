"""A run from its first step to its end, in however many processes, and what it has taken so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from engine.devices.meters import Cost
from engine.logs.events import EpochFinished, Memory
from engine.models.trainable import frozen_hash
from engine.training.best import BestEpoch
from engine.training.run import Run, Training


class Spent(NamedTuple):
    """What a run took, without pauses, and its memory with the peaks."""

    cost: Cost
    memory: Memory


@dataclass
class Course:
    """A run from its first step on, in however many processes; ``data`` is the fingerprint of its images.

    ``epochs`` are those that ended. ``unsaved``: what could not be saved the last time, in words. ``spent``: what it
    took, once it is over but for the test.
    """

    run: Run
    training: Training
    best: BestEpoch
    data: str
    epochs: list[EpochFinished] = field(default_factory=list)
    unsaved: set[str] = field(default_factory=set)
    spent: Spent | None = None

    @cached_property
    def frozen(self) -> str:
        """A digest of the layers that do not train, which are the same all along."""
        return frozen_hash(self.run.network.module, self.run.network.trained)

    def taken(self) -> Spent:
        """What the run took so far."""
        if self.spent is not None:
            return self.spent
        return Spent(self.run.meters() - self.training.began, self.run.memory.sample())

    def stop_counting(self) -> None:
        """What comes now is not counted: a test costs the same whatever was trained, and only where there is one."""
        self.spent = self.taken()
