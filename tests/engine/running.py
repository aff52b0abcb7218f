"""Tiny experiments: what is asked for, watching one that goes on, and what it comes to where nothing disturbs it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import engine.running.one_run
from engine.data.dataset import DataSet
from engine.logs.log import EventLog
from engine.running.experiment import run
from engine.specs.presets import presets
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import Strategy, changed_strategy

SECONDS = 90.0
_undisturbed: dict[bytes, Path] = {}


def small(preset: str, **values: object) -> Strategy:
    """The preset on what is built, trained and saved in the least time, and learns at that rate."""
    given = {"epochs": 3, "batch_size": 4, "image_size": 32, "backbone": "squeezenet1_1", "optimizer": {"lr": 3e-4}}
    return changed_strategy(presets()[preset], **{**given, **values})


def small_experiment(
    *strategies: str | Strategy, data: Path | None = None, epochs: int = 3, **values: object
) -> Experiment:
    """Random networks on the CPU: the strategies, of a preset's name a small one; both presets where none is given."""
    chosen = [small(one, epochs=epochs) if isinstance(one, str) else one for one in strategies or presets()]
    source = DataSource() if data is None else DataSource(path=str(data))
    given = {"data": source, "weights": "none", "device": "cpu", "precision": "fp32", **values}
    return Experiment(strategies=tuple(chosen), **given)


def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a run stands is saved after each of its steps."""
    for name in ("EPOCH_SECONDS", "STEP_SECONDS", "SAVING_SHARE"):
        monkeypatch.setattr(engine.running.one_run, name, 0)


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
