"""Meters of what work takes: seconds, processor seconds and a card's joules. Imports without torch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from msgspec import Struct

from engine.clock import Stopwatch


class Cost(Struct, frozen=True):
    """Seconds, processor seconds and joules; these are None where they were not told all the time."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    joules: float | None = 0.0

    def __add__(self, other: Cost) -> Cost:
        """The sum of both."""
        joules = None if self.joules is None or other.joules is None else self.joules + other.joules
        return Cost(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, joules)

    def __mul__(self, share: float) -> Cost:
        """This cost times a share."""
        joules = None if self.joules is None else self.joules * share
        return Cost(self.seconds * share, self.cpu_seconds * share, joules)

    def __sub__(self, other: Cost) -> Cost:
        """What is left of this without the other."""
        joules = None if self.joules is None or other.joules is None else self.joules - other.joules
        return Cost(self.seconds - other.seconds, self.cpu_seconds - other.cpu_seconds, joules)


@dataclass(frozen=True)
class Meters:
    """Seconds, processor seconds and joules since they were made, without what was taken in pauses.

    ``energy`` is NaN where nothing tells it.
    """

    clock: Stopwatch = field(default_factory=Stopwatch)
    processor: Stopwatch = field(default_factory=lambda: Stopwatch(time.process_time))
    energy: Stopwatch = field(default_factory=lambda: Stopwatch(lambda: math.nan))

    def __call__(self) -> Cost:
        """What the meters show now."""
        joules = self.energy()
        return Cost(self.clock(), self.processor(), None if math.isnan(joules) else joules)

    def pause(self) -> None:
        """All meters stand still from now on."""
        for meter in (self.clock, self.processor, self.energy):
            meter.pause()

    def resume(self) -> None:
        """All meters go on from where they stood."""
        for meter in (self.clock, self.processor, self.energy):
            meter.resume()
