"""Data sets with a test part, and experiments that are interrupted at a wanted event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch
from msgspec.structs import replace
from safetensors.torch import load_file

from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.history.experiment_state import read_state
from engine.logs import events as ev
from engine.logs.events import Action
from engine.logs.log import EventLog, event_reader
from engine.running.experiment import run
from engine.specs.spec import DataSource, Experiment
from engine.states.state import ExperimentState

Condition = Callable[[ev.Event], bool]
FINE_TUNING, EXTRACTION = "resnet18-finetune", "mobilenetv3-extract"


def data_set(folder: Path, other: Path | None = None) -> DataSet:
    """The images of a folder; those of the other one's validation part are the test part."""
    found = discover(DataSource(path=str(folder)))
    return found if other is None else replace(found, test=discover(DataSource(path=str(other))).val)


def run_in(
    folder: Path, asked: Experiment, dataset: DataSet, *actions: Action, when: Condition | None = None
) -> ExperimentState:
    """Runs what is left of the experiment; at the first such event, and at that many after it, asks for something."""
    orders: deque[Action] = deque()
    waiting = list(actions)

    class Noting(EventLog):
        def append(self, event: ev.Event) -> ev.Event:
            if waiting and when is not None and when(event):
                orders.append(waiting.pop(0))
            return super().append(event)

    folder.mkdir(exist_ok=True)
    with Noting(folder) as log:
        run(asked, dataset, log, orders)
    return read_state(folder)


def at(stage: str) -> Condition:
    return lambda event: isinstance(event, ev.StageChanged) and event.stage == stage


def ended(number: int) -> Condition:
    return lambda event: isinstance(event, ev.EpochFinished) and event.epoch == number


def count(folder: Path, condition: Condition) -> int:
    return sum(condition(event) for event in event_reader(folder).read())


def numbers(state: ExperimentState) -> list[object]:
    """All that a run measures but for times and memory."""
    return [
        (run.run, run.status, run.test, [(one.epoch, one.train, one.val, one.is_best) for one in run.epochs])
        for run in state.runs
    ]


def assert_same_files(folder: Path, whole: Path) -> None:
    """The same weights and predictions, bit for bit."""
    names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*.safetensors"))
    assert names == sorted(str(path.relative_to(folder)) for path in folder.rglob("*.safetensors"))
    assert names
    for name in names:
        one, other = load_file(folder / name), load_file(whole / name)
        assert one.keys() == other.keys(), name
        assert all(torch.equal(tensor, other[key]) for key, tensor in one.items()), name
