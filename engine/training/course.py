"""A run from its first step to its end, in however many processes, and what it has taken so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from engine.events import EpochFinished, Memory
from engine.models.trained import frozen_hash
from engine.training.best import Best
from engine.training.run import Run, Training


class Spent(NamedTuple):
    """What a run took: seconds and joules, without pauses, processor seconds, and its memory with the peaks.

    ``joules`` is None where they were not told all the time.
    """

    seconds: float
    cpu_seconds: float
    memory: Memory
    joules: float | None = None


@dataclass
class Course:
    """A run from its first step on, in however many processes; ``data`` is the fingerprint of its images.

    ``epochs`` are those that ended. ``unsaved``: what could not be saved the last time, in words. ``spent``: what it
    took, once it is over but for the test. ``found``: seconds that its features had taken elsewhere; ``paid``: whether
    what its features took, there or here, is counted. ``processor`` and ``energy``: processor seconds and joules by
    meters that stand still while the run is paused.
    """

    run: Run
    training: Training
    best: Best
    data: str
    epochs: list[EpochFinished] = field(default_factory=list)
    unsaved: set[str] = field(default_factory=set)
    spent: Spent | None = None
    found: float = 0.0
    paid: bool = False
    processor: Callable[[], float] = time.process_time
    energy: Callable[[], float] | None = None
    began: float = field(init=False)
    cpu_began: float = field(init=False)
    joules_began: float = field(init=False)

    def __post_init__(self) -> None:
        self.count_from(0.0, 0.0, 0.0)

    @cached_property
    def frozen(self) -> str:
        """A digest of the layers that do not train, which are the same all along."""
        return frozen_hash(self.run.network.module, self.run.network.trained)

    def count_from(self, seconds: float, cpu_seconds: float, joules: float | None) -> None:
        """The run took so much before now; ``joules`` None where nobody knows."""
        self.began, self.cpu_began = self.run.clock() - seconds, self.processor() - cpu_seconds
        self.joules_began = math.nan if self.energy is None or joules is None else self.energy() - joules

    def charge(self, seconds: float, cpu_seconds: float, joules: float | None) -> None:
        """The run owes so much for the features that an earlier one had extracted; ``joules`` None as above."""
        self.found += seconds
        self.began, self.cpu_began = self.began - seconds, self.cpu_began - cpu_seconds
        self.joules_began -= math.nan if joules is None else joules

    def taken(self) -> Spent:
        """What the run took so far."""
        if self.spent is not None:
            return self.spent
        joules = math.nan if self.energy is None else self.energy() - self.joules_began
        return Spent(
            self.run.clock() - self.began,
            self.processor() - self.cpu_began,
            self.run.memory.sample(),
            None if math.isnan(joules) else joules,
        )

    def stop_counting(self) -> None:
        """What comes now is not counted: a test costs the same whatever was trained, and only where there is one."""
        self.spent = self.taken()
