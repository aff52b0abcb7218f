"""Obeying a person while an experiment runs: pause, resume, stop, skip. Imports without torch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from engine.events import Action, Command, CommandApplied
from engine.log import EventLog, command_reader

POLL_SECONDS = 0.05
PROGRESS_SECONDS = 0.2


class Interrupted(Exception):  # noqa: N818 - a person's wish, not an error
    """A person stopped the experiment or skipped the run; thrown into the run's generator."""

    def __init__(self, action: Action) -> None:
        super().__init__(action)
        self.action = action


class Stopwatch:
    """Seconds since it was made, without those between :meth:`pause` and :meth:`resume`."""

    def __init__(self) -> None:
        self._offset = -time.perf_counter()
        self._paused_at: float | None = None

    def __call__(self) -> float:
        """Seconds that counted so far."""
        now = self._paused_at if self._paused_at is not None else time.perf_counter()
        return now + self._offset

    def pause(self) -> None:
        """Stands still from now on."""
        self._paused_at = time.perf_counter()

    def resume(self) -> None:
        """Goes on from where it stood."""
        if self._paused_at is not None:
            self._offset -= time.perf_counter() - self._paused_at
            self._paused_at = None


class Controls:
    """Reads the commands sent to an experiment and records each in its log when it takes effect."""

    def __init__(self, folder: Path, log: EventLog, clock: Stopwatch) -> None:
        self._reader = command_reader(folder)
        self._reader.read()  # commands to an earlier process are not for this one
        self._waiting: deque[Command] = deque()
        self._log = log
        self._clock = clock

    def obey(self, run: str) -> Action | None:
        """``stop`` or ``skip`` if a person asked for it since the last call; while paused, does not return."""
        paused = False
        while True:
            self._waiting.extend(self._reader.read())
            while self._waiting:
                command = self._waiting.popleft()
                if command.action == "pause" and not paused:
                    paused = True
                    self._clock.pause()
                elif command.action == "resume" and paused:
                    paused = False
                    self._clock.resume()
                elif command.action in ("pause", "resume"):
                    continue
                self._log.append(CommandApplied(action=command.action, run=run))
                if command.action in ("stop", "skip"):
                    self._clock.resume()
                    return command.action
            if not paused:
                return None
            time.sleep(POLL_SECONDS)


def every(seconds: float, clock: Callable[[], float]) -> Callable[[], bool]:
    """A question that is answered with yes at most once in so many seconds of the clock."""
    last = clock()

    def due() -> bool:
        nonlocal last
        if clock() - last < seconds:
            return False
        last = clock()
        return True

    return due
