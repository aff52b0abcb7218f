"""A stopwatch that can stand still, and a limit on how often progress is told. Imports without torch."""

from __future__ import annotations

import time
from collections.abc import Callable

PROGRESS_SECONDS = 0.2
"""How often progress is told."""


class Stopwatch:
    """What ``read`` counts (seconds, if nothing else is said) since it was made, without what it counts between
    :meth:`pause` and :meth:`resume`.
    """

    def __init__(self, read: Callable[[], float] = time.perf_counter) -> None:
        self._read = read
        self._offset = -read()
        self._paused_at: float | None = None

    def __call__(self) -> float:
        """What counted so far."""
        now = self._paused_at if self._paused_at is not None else self._read()
        return now + self._offset

    def pause(self) -> None:
        """Stands still from now on."""
        self._paused_at = self._read()

    def resume(self) -> None:
        """Goes on from where it stood."""
        if self._paused_at is not None:
            self._offset -= self._read() - self._paused_at
            self._paused_at = None


def every(seconds: float, clock: Callable[[], float]) -> Callable[[], bool]:
    """A function that says yes at most once in so many seconds of the clock."""
    last = clock()

    def due() -> bool:
        nonlocal last
        if clock() - last < seconds:
            return False
        last = clock()
        return True

    return due
