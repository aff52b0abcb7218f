"""An experiment in a background thread of this process. Imports torch only in that thread."""

from __future__ import annotations

import sys
import threading
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from engine import folder as folders
from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.export import write_text
from engine.hosts.tuning import step_back, tune_process, uncollected
from engine.log import send_command
from engine.spec import Experiment, to_toml, with_absolute_paths


class ThreadHost:
    """Runs one experiment; ``failure`` is the exception that ended it, if one did.

    ``nice``: how far its threads step back behind those of a screen, 0 not at all.
    """

    def __init__(self, experiment: Experiment, dataset: DataSet, folder: Path, nice: int = 0) -> None:
        self.folder = folder
        self.failure: Exception | None = None
        self._experiment = experiment
        self._dataset = dataset
        self._nice = nice
        tune_process()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def error(self) -> str:
        """Why the experiment could not go on, in one line; empty where it could."""
        return " ".join(str(self.failure).split()) if self.failure else ""

    def is_alive(self) -> bool:
        """Whether the experiment is still going on."""
        return self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the end, at most so many seconds; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Asks the experiment to save what it has and to end; returns at once."""
        send_command(self.folder, "stop")

    def _run(self) -> None:
        step_back(self._nice)
        try:
            first = "engine.experiment" not in sys.modules  # later there is nothing to import, and runs to collect
            with uncollected() if first else nullcontext():
                from engine.experiment import run  # noqa: PLC0415 - imports torch: seconds that no screen may wait for

            run(self._experiment, self._dataset, self.folder)
        except Exception as error:
            self.failure = error


def start(experiment: Experiment, out: Path, nice: int = 0) -> ThreadHost:
    """Finds the data, makes the experiment's folder below ``out`` with its ``experiment.toml``, and starts it.

    Raises ``DataError`` at once where there is no usable data, and ``OSError`` where the folder cannot be made.
    """
    experiment = with_absolute_paths(experiment)
    dataset = discover(experiment.data)
    folder = folders.create(out, dataset.name, datetime.now())
    write_text(folder / folders.SPEC, to_toml(experiment))
    return ThreadHost(experiment, dataset, folder, nice)
