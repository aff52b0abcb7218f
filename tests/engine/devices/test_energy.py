"""The energy of a card, by a library that is made up, and how much of it is a run's."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from engine.clock import Stopwatch
from engine.data.dataset import DataSet
from engine.devices.energy import energy_meter
from engine.devices.meters import Cost, Meters
from engine.logs import events as ev
from engine.progress import WorkDone
from engine.training import checkpoint
from engine.training.best import BestEpoch
from engine.training.course import Course
from engine.training.feature_store import Features
from engine.training.fit import fit
from engine.training.run import at_the_start
from tests.engine.parted import EXTRACTION, data_set, run_in
from tests.engine.running import small_experiment
from tests.engine.training.runs import CLASSES, extraction, fine_tuning, make_run, never_best
from tests.engine.work import result

CARD = torch.device("cuda", 0)


class NVMLError(Exception):
    pass


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``pynvml`` with one card, whose millijoules are ``drawn``."""
    module = ModuleType("pynvml")
    module.drawn = 5000
    module.NVMLError = NVMLError

    def handle(uuid: str) -> str:
        if uuid != "GPU-1234-abcd":
            raise NVMLError
        return uuid

    def total(card: str) -> int:
        assert card == "GPU-1234-abcd"
        if module.drawn is None:
            raise NVMLError
        return module.drawn

    module.nvmlInit = lambda: None
    module.nvmlDeviceGetHandleByUUID = handle
    module.nvmlDeviceGetTotalEnergyConsumption = total
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234-abcd"))
    return module


def test_it_tells_joules(library: ModuleType) -> None:
    meter = energy_meter(CARD)
    assert meter() == 5.0
    library.drawn = 7500
    assert meter() == 7.5
    library.drawn = None
    assert math.isnan(meter()), "the card is gone"


def test_where_nothing_tells_it(library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert math.isnan(energy_meter(torch.device("cpu"))())
    library.drawn = None
    assert math.isnan(energy_meter(CARD)()), "an old card"
    library.drawn = 1
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="a-part"))
    assert math.isnan(energy_meter(CARD)()), "a part of a card"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert math.isnan(energy_meter(CARD)()), "not installed"


def course(folder: Path, meters: Meters | None = None) -> Course:
    run = replace(make_run(fine_tuning()), meters=meters or Meters())
    return Course(run, at_the_start(run), BestEpoch(run, folder, CLASSES), "data")


def of_energy(joules: Callable[[], float]) -> Meters:
    return Meters(energy=Stopwatch(joules))


def test_it_is_the_run_s_without_pauses_and_goes_on_in_another_process(tmp_path: Path) -> None:
    joules = [100.0]
    meters = Meters(*(Stopwatch(lambda share=share: joules[0] / share) for share in (1, 2, 1)))
    first = course(tmp_path, meters)
    joules[0] += 30
    meters.pause()
    joules[0] += 1000
    meters.resume()
    joules[0] += 5
    assert first.taken().cost == Cost(35, 17.5, 35)
    checkpoint.save(first)
    joules[0] = 7.0
    second = course(tmp_path, of_energy(lambda: joules[0]))
    last = checkpoint.read(tmp_path, first.run.name)
    assert last is not None
    checkpoint.restore(last, second)
    joules[0] += 2
    assert second.taken().cost.joules == 37
    second.stop_counting()
    joules[0] += 50
    assert second.taken().cost.joules == 37, "the test is not counted"


@pytest.mark.parametrize(("owed", "taken"), [(12.0, 42.0), (None, None)])
def test_features_count_once_what_extracting_them_took(owed: float | None, taken: float | None, tmp_path: Path) -> None:
    """Of a run that needs them twice: for the head that it begins with, and to train on."""
    joules, asked = [100.0], []
    run = make_run(extraction(epochs=1, head="probe"))
    features, _ = result(run.features(None))

    def found(at_once: int | None) -> Generator[WorkDone, None, Features]:
        joules[0] += 1000
        asked.append(at_once)
        yield WorkDone("loading")
        return features._replace(cost=Cost(3.0, 4.0, owed), elsewhere=3.0)

    run = replace(run, features=found, meters=of_energy(lambda: joules[0]))
    one = Course(run, at_the_start(run), BestEpoch(run, tmp_path, CLASSES), "data")
    list(fit(run, one.training, never_best))
    joules[0] += 30
    assert one.taken().cost.joules == taken
    assert (one.training.reused_feature_seconds, len(asked)) == (3.0, 2)


@pytest.mark.parametrize("which", ["before", "now"])
def test_what_was_told_only_in_part_is_not_told(which: str, tmp_path: Path) -> None:
    first = course(tmp_path, None if which == "before" else of_energy(lambda: 1.0))
    checkpoint.save(first)
    second = course(tmp_path, None if which == "now" else of_energy(lambda: 1.0))
    last = checkpoint.read(tmp_path, first.run.name)
    assert last is not None
    checkpoint.restore(last, second)
    assert second.taken().cost.joules is None


@pytest.fixture
def dataset(image_folder: Callable[..., Path]) -> DataSet:
    return data_set(image_folder())


def test_it_is_in_the_log(dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rising() -> Iterator[float]:
        yield from map(float, range(10_000))

    counter = rising()
    monkeypatch.setattr("engine.running.experiment.energy_meter", lambda _: lambda: next(counter))
    asked = small_experiment(EXTRACTION, epochs=2)
    (one,) = run_in(tmp_path / "run", asked, dataset).runs
    assert one.joules is not None
    assert one.joules > 0
    monkeypatch.undo()
    (other,) = run_in(tmp_path / "other", asked, dataset).runs
    assert other.joules is None
    assert [(epoch.train, epoch.val) for epoch in one.epochs] == [(epoch.train, epoch.val) for epoch in other.epochs]


def test_the_peak_of_a_card_goes_on_in_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier process reached is kept in the checkpoint and is the least that the next one reports."""
    first, second = course(tmp_path), course(tmp_path)
    memory = ev.Memory(10, 20, allocated=1, reserved=2, peak_allocated=3_000)
    monkeypatch.setattr(type(first.run.memory), "sample", lambda _: memory)
    checkpoint.save(first)
    floors: list[tuple[int, int]] = []
    monkeypatch.setattr(type(first.run.memory), "reset_peak", lambda _, *peaks: floors.append(peaks))
    last = checkpoint.read(tmp_path, first.run.name)
    assert last is not None
    checkpoint.restore(last, second)
    assert floors == [(20, 3_000)]
