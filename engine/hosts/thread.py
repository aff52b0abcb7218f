"""An experiment in a background thread of this process.

Imports torch in that thread, or before where only torch knows whether what is asked for can be had.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.data.splits import fold_seed, folds
from engine.errors import UserError
from engine.files import write_text
from engine.history.experiment_state import read_quickly
from engine.history.note import checked_note, write_note
from engine.hosts.tuning import step_back, tune_process, uncollected
from engine.logs import folder as folders
from engine.logs.events import Action
from engine.logs.log import EventLog
from engine.logs.writer_lock import held
from engine.specs.presets import presets
from engine.specs.spec import Experiment, check_weights, load_experiment, to_toml, with_absolute_paths
from engine.states.state import can_go_on
from engine.text import in_one_line


class ThreadHost:
    """Runs what is left of one ``experiment``; ``failure`` is the exception that ended it, if one did.

    ``nice``: how far its threads step back behind those of a screen, 0 not at all. ``force``: goes on although the
    data are no longer those it began with. ``earlier_events``: how many events of its log are those of other processes.
    """

    def __init__(
        self, experiment: Experiment, dataset: DataSet, log: EventLog, nice: int = 0, *, force: bool = False
    ) -> None:
        self.folder = log.folder
        self.failure: Exception | None = None
        self.experiment = experiment
        self._dataset = dataset
        self.earlier_events = log.earlier_count
        self._log = log
        self._nice = nice
        self._force = force
        self._asked: deque[Action] = deque()
        tune_process()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def error(self) -> str:
        """Why the experiment could not go on, in one line; empty where it could."""
        return in_one_line(self.failure) if self.failure else ""

    def is_alive(self) -> bool:
        """Whether the experiment is still going on."""
        return self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the end, at most so many seconds; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def problem(self) -> str:
        """Why the log cannot be written now, in one line; empty where it can."""
        problem = self._log.problem
        return f"{problem.filename}: {problem.strerror}" if problem is not None else ""

    def ask(self, action: Action) -> None:
        """Asks the experiment for something, without a file; returns at once."""
        self._asked.append(action)

    def _run(self) -> None:
        step_back(self._nice)
        try:
            first = (
                "engine.running.experiment" not in sys.modules
            )  # later there is nothing to import, and runs to collect
            with self._log:
                with uncollected() if first else nullcontext():
                    from engine.running.experiment import run  # noqa: PLC0415 - imports torch: seconds, for no screen to wait

                run(self.experiment, self._dataset, self._log, self._asked, force=self._force)
        except Exception as error:
            # the frames that these know hold decoded images and features
            error.__traceback__ = error.__context__ = error.__cause__ = None
            self.failure = error


def create(experiment: Experiment, out: Path, note: str = "") -> Path:
    """Finds the data and makes the experiment's folder below ``out`` with its ``experiment.toml`` and a ``note`` on it;
    returns the folder.

    Raises ``DataError`` where there is no usable data, ``UserError`` where something that does not ship is asked for
    and cannot be had or the note cannot be kept, and ``OSError`` where the folder cannot be made.
    """
    return _created(with_absolute_paths(experiment), out, note)[0]


def _created(experiment: Experiment, out: Path, note: str) -> tuple[Path, DataSet]:
    checked_note(note)
    check_weights(experiment.weights)
    dataset = discover(experiment.data)
    if experiment.folds is not None:
        for seed in experiment.seeds:  # now, not when its turn comes, hours later
            drawn_with = fold_seed(experiment.data.split_seed, seed)
            folds((*dataset.train, *dataset.val), experiment.folds, drawn_with, dataset.classes)
    if not _is_possible_anywhere(experiment):
        tune_process()
        with uncollected():
            from engine.running.experiment import resolve  # noqa: PLC0415 - imports torch: seconds, before a person sees Live

        resolve(experiment)
    folder = folders.create(out, dataset.name, datetime.now())
    write_text(folder / folders.SPEC, to_toml(experiment))
    write_note(folder, note)
    return folder, dataset


def _is_possible_anywhere(experiment: Experiment) -> bool:
    """Whether nothing needs a look at torch to know that it can be had."""
    shipped = {one.backbone for one in presets().values()}
    is_usual = (experiment.device, experiment.precision) in (("auto", "auto"), ("cpu", "auto"), ("cpu", "fp32"))
    needs_no_file = experiment.weights in ("default", "none")
    ships = all(one.backbone in shipped and one.image_size is None for one in experiment.strategies)
    return is_usual and needs_no_file and ships


def start(experiment: Experiment, out: Path, nice: int = 0, note: str = "") -> ThreadHost:
    """Makes the experiment's folder (see :func:`create`) and starts it."""
    experiment = with_absolute_paths(experiment)
    folder, dataset = _created(experiment, out, note)
    return ThreadHost(experiment, dataset, EventLog(folder), nice)


def resume(folder: Path, nice: int = 0, *, force: bool = False) -> ThreadHost:
    """Goes on with what is left of the experiment in a folder, also where it never began.

    Raises ``LogBusyError`` where another process is at it, ``DataError`` where its data are gone, ``UserError`` where
    nothing is left to do or the folder holds no experiment that can be read, and ``OSError``.
    """
    state, _ = read_quickly(folder)
    if state.end is not None and not can_go_on(state):
        raise UserError(f"{folder.name} is {state.end}: nothing is left to do")
    experiment = state.spec or load_experiment(folder / folders.SPEC, presets())
    with held(folder, force=force):  # the look at the data may take long: nobody deletes the experiment meanwhile
        dataset = discover(experiment.data)
    return ThreadHost(experiment, dataset, EventLog(folder, force=force), nice, force=force)
