"""The runs of an experiment whose turn is still to come, and skipping one before its turn."""

from __future__ import annotations

from engine.devices.memory_probe import MemoryProbe
from engine.logs import events as ev
from engine.logs.log import EventLog
from engine.states.state import ExperimentState, is_left
from engine.training import checkpoint


class PendingRuns:
    """The runs of an experiment whose turn is still to come, after ``state``.

    ``skipped``: those among them that are to be skipped when it comes, since there is something of them to be saved.
    """

    def __init__(self, log: EventLog, memory: MemoryProbe, state: ExperimentState) -> None:
        self.skipped: set[str] = set()
        self._left = {run.run for run in state.runs if is_left(run)}
        self._saved = {(file.run, file.epoch) for file in state.files if file.kind == "best"}
        self._log, self._memory = log, memory

    def take(self, name: str) -> bool:
        """Whether the run is still to come; it no longer is then."""
        if name not in self._left:
            return False
        self._left.remove(name)
        return True

    def skip(self, name: str) -> None:
        """Leaves the run out where it is still to come: at once, unless it has something to save."""
        if name not in self._left:
            return
        if self.has_more(name):
            self.skipped.add(name)  # to be saved it needs its images
            return
        self._left.remove(name)
        self._log.append(ev.RunFinished(run=name, end="skipped", memory=self._memory.sample()))
        if self._log.is_on_disk():
            checkpoint.remove(self._log.folder, name)

    def has_more(self, name: str) -> bool:
        """Whether a run's checkpoint holds a best epoch that no other file does: its process was killed before."""
        best = checkpoint.best_epoch(self._log.folder, name)
        return best > 0 and (name, best) not in self._saved
