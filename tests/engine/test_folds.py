"""Folds: the same prepared images, divided anew for every run, and each run what it would be on that division alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from safetensors import safe_open

from engine.data.dataset import DataSet, Sample
from engine.data.splits import folds
from engine.errors import DataError
from engine.history.experiment_state import read_state
from engine.hosts import thread
from engine.logs import events as ev
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
from engine.states.state import ExperimentState
from tests.engine.parted import (
    EXTRACTION,
    FINE_TUNING,
    assert_same_files,
    at,
    count,
    data_set,
    ended,
    numbers,
    run_in,
)
from tests.engine.running import small_experiment, undisturbed


@pytest.fixture
def dataset(image_folder: Callable[..., Path]) -> DataSet:
    return data_set(image_folder(), image_folder("other", val=3))


def paths(folder: Path, run: str, part: str = "") -> list[str]:
    with safe_open(folder / "predictions" / f"{run}.safetensors", "pt") as file:
        found: list[str] = json.loads(file.metadata()[f"{part}paths"])
    return found


def augmented(asked: Experiment) -> Experiment:
    views = {"augmentation": {"crop_area": 0.5, "flip": True, "views": 2}}
    return replace(asked, strategies=tuple(changed_strategy(one, **views) for one in asked.strategies))


@pytest.mark.slow
def test_every_image_is_validated_once_and_the_test_part_stays_apart(dataset: DataSet, tmp_path: Path) -> None:
    state = run_in(tmp_path / "run", small_experiment(epochs=1, folds=3), dataset)
    assert state.end == "finished"
    assert [one.run for one in state.runs[:3]] == [f"{FINE_TUNING}-0-fold-1", f"{EXTRACTION}-0-fold-1",
                                                   f"{FINE_TUNING}-0-fold-2"]  # fmt: skip
    assert [one.fold for one in state.runs] == [1, 1, 2, 2, 3, 3]
    everything = {sample.path for sample in (*dataset.train, *dataset.val)}
    for name in (FINE_TUNING, EXTRACTION):
        validated = [paths(tmp_path / "run", f"{name}-0-fold-{number}") for number in (1, 2, 3)]
        assert sum(map(len, validated)) == len(everything) == 20
        assert {path for part in validated for path in part} == everything
        for number, part in enumerate(validated, start=1):
            run_state = state.run(f"{name}-0-fold-{number}")
            assert run_state.epochs[0].val.images == len(part)
            assert run_state.epochs[0].train.images == 20 - len(part)
            assert paths(tmp_path / "run", run_state.run, "test_") == [sample.path for sample in dataset.test]
            assert run_state.test
    assert count(tmp_path / "run", lambda event: isinstance(event, ev.DataDecoded)) == 1


@pytest.mark.parametrize("change", [lambda asked: asked, augmented], ids=["one view", "random views"])
def test_features_are_extracted_once_for_all_folds(
    change: Callable[[Experiment], Experiment], dataset: DataSet, tmp_path: Path
) -> None:
    state = run_in(tmp_path / "run", change(small_experiment(EXTRACTION, epochs=1, folds=3)), dataset)
    assert [one.status for one in state.runs] == ["finished"] * 3
    assert count(tmp_path / "run", at("features")) == 1


@pytest.mark.slow
def test_a_fold_is_the_run_on_its_division(dataset: DataSet, tmp_path: Path) -> None:
    asked = small_experiment(epochs=2, seeds=(3,), folds=3)
    state = run_in(tmp_path / "folds", asked, dataset)
    samples: tuple[Sample, ...] = (*dataset.train, *dataset.val)
    train, val = folds(samples, 3, 3)[1]
    parts = {name: tuple(samples[place] for place in sorted(part)) for name, part in (("train", train), ("val", val))}
    alone = replace(dataset, **parts)
    whole = run_in(tmp_path / "alone", replace(asked, folds=None), alone)
    for name in (FINE_TUNING, EXTRACTION):
        one, other = state.run(f"{name}-3-fold-2"), whole.run(f"{name}-3")
        assert [(epoch.train, epoch.val) for epoch in one.epochs] == [
            (epoch.train, epoch.val) for epoch in other.epochs
        ]
        assert one.test == other.test


@pytest.mark.slow
def test_seeds_divide_anew_and_strategies_share_the_division(dataset: DataSet, tmp_path: Path) -> None:
    run_in(tmp_path / "run", small_experiment(epochs=1, seeds=(0, 1), folds=2), dataset)
    both = [(name, seed) for name in (FINE_TUNING, EXTRACTION) for seed in (0, 1)]
    found = {(name, seed): paths(tmp_path / "run", f"{name}-{seed}-fold-1") for name, seed in both}
    assert found[FINE_TUNING, 0] == found[EXTRACTION, 0]
    assert found[FINE_TUNING, 0] != found[FINE_TUNING, 1]


@pytest.mark.slow
@pytest.mark.parametrize("when", [at("training"), ended(1), at("testing")], ids=["training", "epoch 1", "testing"])
def test_suspended_in_a_later_fold_and_resumed_it_is_the_same(
    when: Callable[[ev.Event], bool], dataset: DataSet, tmp_path: Path
) -> None:
    asked = small_experiment(epochs=2, folds=2)

    def in_the_second(event: ev.Event) -> bool:
        return when(event) and "fold-2" in getattr(event, "run", "")

    left = run_in(tmp_path / "halved", asked, dataset, "suspend", when=in_the_second)
    assert left.suspended
    assert [one.status for one in left.runs[:2]] == ["finished", "finished"]
    state = run_in(tmp_path / "halved", asked, dataset)
    whole = undisturbed(asked, dataset, tmp_path / "whole")
    assert numbers(state) == numbers(read_state(whole))
    assert_same_files(tmp_path / "halved", whole)


def test_a_fold_can_be_skipped(dataset: DataSet, tmp_path: Path) -> None:
    state: ExperimentState = run_in(
        tmp_path / "run", small_experiment(FINE_TUNING, epochs=2, folds=3), dataset, "skip", when=ended(1)
    )
    assert [one.status for one in state.runs] == ["skipped", "finished", "finished"]


def test_folds_that_cannot_be_are_told(dataset: DataSet, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folds|parts"):
        run_in(tmp_path / "run", small_experiment(EXTRACTION, epochs=1, folds=50), dataset)


def test_folds_of_every_seed_are_tried_before_anything_begins(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def drawn(samples: object, count: int, seed: int, classes: object) -> None:
        tried.append(seed)
        if seed == 7:
            raise DataError("a group is too large")

    monkeypatch.setattr("engine.hosts.thread.folds", drawn)
    source = DataSource(path=str(image_folder()), split_seed=3)
    with pytest.raises(DataError, match="a group is too large"):
        thread.create(replace(small_experiment(seeds=(0, 2, 4), folds=2), data=source), tmp_path / "runs")
    assert tried == [3, 5, 7]
    assert not (tmp_path / "runs").exists()
