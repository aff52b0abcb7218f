"""Watching an experiment that goes on, and what it comes to where nothing disturbs it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.data.dataset import DataSet
from engine.experiment import run
from engine.log import EventLog, event_reader
from engine.spec import DataSource, Experiment
from engine.state import ExperimentState, fold

SECONDS = 90.0
SMALLEST = {"backbone": "squeezenet1_1", "optimizer": {"lr": 3e-4}}
"""Of a strategy: what is built, trained and saved in the least time, and learns at that rate."""
_undisturbed: dict[bytes, Path] = {}


def state_of(folder: Path) -> ExperimentState:
    """What the log tells."""
    return fold(event_reader(folder).read())


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until it holds; fails where it does not in :data:`SECONDS`."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def undisturbed(asked: Experiment, dataset: DataSet, folder: Path) -> Path:
    """The folder of the experiment run to its end: a new one, or that in which an earlier test of this process ran the
    same on images of the same names, which show the same.
    """
    images = [
        [(Path(sample.path).parts[-3:], sample.label, sample.group) for sample in part]
        for part in (dataset.train, dataset.val, dataset.test)
    ]
    key = msgspec.json.encode((msgspec.structs.replace(asked, data=DataSource()), images))
    if key not in _undisturbed:
        folder.mkdir()
        with EventLog(folder) as log:
            run(asked, dataset, log, deque())
        _undisturbed[key] = folder
    return _undisturbed[key]
