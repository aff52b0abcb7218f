"""Obeying a person while an experiment runs: pause, resume, stop, skip. Imports without torch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from engine.devices.meters import Meters
from engine.logs.events import Action, Command, CommandApplied
from engine.logs.log import EventLog, command_reader
from engine.states.state import ExperimentState

POLL_SECONDS = 0.05


class Interrupted(Exception):  # noqa: N818 - a person's wish, not an error
    """A person stopped or suspended the experiment, or skipped the run; thrown into the run's generator."""

    def __init__(self, action: Action) -> None:
        super().__init__(action)
        self.action = action


class Controls:
    """Reads the commands sent to an experiment and records each in its log when it takes effect.

    ``meters`` stand still while it is paused; stop and suspend also end a pause. A skip does not: the run saves what it
    has learnt, and the next one waits. ``asked``: commands of this process itself, which need no file. ``state`` is
    where the log stands: an experiment that was handed over while it was paused stays so, and obeys what was sent to it
    since it was suspended. ``leave_out`` is called with the run that is to be skipped where that is another than the
    one that goes on.
    """

    def __init__(
        self,
        folder: Path,
        log: EventLog,
        meters: Meters,
        asked: deque[Action],
        state: ExperimentState,
        leave_out: Callable[[str], None],
    ) -> None:
        self._reader = command_reader(folder)
        self._since: datetime | None = state.suspended_at or log.opened  # earlier ones were for a process that was lost
        self._waiting = deque(self._sent())
        self._asked = asked
        self._log = log
        self._meters = meters
        self._leave_out = leave_out
        self._paused = state.paused
        self._skipped = ""
        self._ending: Action | None = None

    def obey(self, run: str) -> Action | None:
        """``stop``, ``suspend`` or a ``skip`` of this run if asked for since the last call; while paused, does not
        return, except to a run that was skipped meanwhile.
        """
        if self._paused and run != self._skipped:
            self._meters.pause()
        while True:
            self._waiting.extend(self._sent())
            while self._asked:
                self._waiting.append(Command(self._asked.popleft()))
            while self._waiting:
                command = self._waiting.popleft()
                action = command.action
                if action == "skip" and command.run not in ("", run):
                    self._leave_out(command.run)
                    continue
                if action == "pause" and not self._paused and self._ending is None:
                    self._paused, self._skipped = True, ""
                    self._meters.pause()
                elif action == "resume" and self._paused:
                    self._paused = False
                    self._meters.resume()
                elif action in ("pause", "resume") or (self._ending == "suspend" and action != "suspend"):
                    continue
                self._log.append(CommandApplied(action=action, run=run))
                if action in ("pause", "resume"):
                    continue
                if action == "skip":
                    self._skipped = run
                else:
                    self._paused, self._ending = False, self._ending or action
                self._meters.resume()
                return action
            if not self._paused or run == self._skipped:
                return None
            time.sleep(POLL_SECONDS)

    def _sent(self) -> list[Command]:
        """What was sent since the last call; where it cannot be read now (a network's disk), it waits."""
        try:
            commands = self._reader.read()
        except OSError:
            return []
        since, self._since = self._since, None
        return [command for command in commands if since is None or (command.time and command.time > since)]
