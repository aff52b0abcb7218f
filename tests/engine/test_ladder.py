"""Every rung of the ladder as a whole experiment: to its end, and ended half-way and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.data.discover import discover
from engine.errors import UserError
from engine.history.experiment_state import read_state
from engine.logs import events as ev
from engine.specs.presets import on_rung, rungs
from engine.specs.spec import Experiment
from engine.specs.strategy import LBFGS, changed_strategy
from engine.states.state import ExperimentState
from tests.engine.parted import Condition, at, ended, numbers
from tests.engine.running import small_experiment, undisturbed
from tests.engine.test_resume import go_on, run_until
from tests.engine.training.runs import warmed_up

BACKBONE = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network that tells its inputs apart."""
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(warmed_up(BACKBONE), path)
    return path


def experiment(data: Path, weights: Path, *names: str) -> Experiment:
    few = {"epochs": 2, "batch_size": 4, "image_size": 32}
    strategies = (changed_strategy(on_rung(BACKBONE, name), **few) for name in names)
    return small_experiment(*strategies, data=data, weights=str(weights))


def best_weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    files = sorted((folder / "checkpoints").glob("*/best.safetensors"))
    return {path.parent.name: load_file(path) for path in files}


def step(number: int) -> Condition:
    """Within the first epoch: after so many of its steps, each of which may be told."""
    return lambda event: isinstance(event, ev.Progress) and event.stage == "training" and event.step >= number


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rung", "when"),
    [
        ("probe", at("probing")),
        ("bn", step(2)),
        ("last-stage", ended(1)),
        ("lpft", at("probing")),
        ("lpft", step(1)),
        ("layerwise", step(2)),
    ],
)
def test_suspended_and_resumed_a_rung_is_the_same_run_bit_for_bit(
    image_folder: Callable[..., Path],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rung: str,
    when: Condition,
) -> None:
    monkeypatch.setattr("engine.training.fit.every", lambda *_: lambda: True)  # every step is told
    asked = experiment(image_folder(), weights, rung)
    halved = tmp_path / "halved"
    run_until(halved, asked, "suspend", when)
    assert read_state(halved).suspended
    whole = undisturbed(asked, discover(asked.data), tmp_path / "whole")
    resumed, other = go_on(halved, asked), read_state(whole)
    assert resumed.end == "finished"
    assert not resumed.warnings or [one.message for one in resumed.warnings] == [one.message for one in other.warnings]
    assert numbers(resumed) == numbers(other)
    one, two = best_weights(halved), best_weights(whole)
    assert one.keys() == two.keys() == {f"{BACKBONE}-{rung}-0"}
    for name in one:
        assert all(torch.equal(tensor, two[name][key]) for key, tensor in one[name].items())


@pytest.mark.slow
def test_every_rung_runs_and_tells_what_it_trains(
    image_folder: Callable[..., Path], weights: Path, tmp_path: Path
) -> None:
    state = finished(experiment(image_folder(), weights, *rungs()), tmp_path)
    trained = {one.strategy.name.partition("-")[2]: one.parameters_trainable for one in state.runs}
    assert trained["probe"] == trained["extract"] < trained["bn"] < trained["last-stage"] < trained["finetune"]
    assert trained["lpft"] == trained["layerwise"] == trained["finetune"] == state.runs[0].parameters_total
    for one in state.runs:
        assert len(one.epochs) == (1 if one.strategy.is_probe else 2)
        assert len(one.learning_rates) == (0 if one.strategy.is_probe else 2)
        has_probe = one.strategy.is_probe or one.strategy.head == "probe"
        assert (one.probe is not None and one.probe.l2 in LBFGS().l2) == has_probe
    rates = state.run(f"{BACKBONE}-layerwise-0").stage_rates
    assert rates == pytest.approx([1e-3 / 2**depth for depth in range(6)])
    assert not state.run(f"{BACKBONE}-finetune-0").stage_rates
    assert len(best_weights(tmp_path)) == len(rungs())


def finished(asked: Experiment, folder: Path) -> ExperimentState:
    state = go_on(folder, asked)
    assert state.end == "finished", state.error
    assert [one.status for one in state.runs] == ["finished"] * len(asked.strategies)
    return state


@pytest.mark.parametrize("action", ["skip", "stop"])
def test_a_probe_can_be_skipped_and_stopped_while_it_solves(
    image_folder: Callable[..., Path], weights: Path, tmp_path: Path, action: ev.Action
) -> None:
    asked = experiment(image_folder(), weights, "probe", "extract")
    run_until(tmp_path, asked, action, at("probing"))
    first, second = read_state(tmp_path).runs
    assert (first.status, second.status) == (("skipped", "finished") if action == "skip" else ("stopped", "waiting"))
    assert first.failure is None


def test_what_a_backbone_does_not_have_is_refused_before_anything_runs(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    strategies = (on_rung(BACKBONE, "extract"), on_rung("alexnet", "bn"))
    asked = small_experiment(*strategies, data=image_folder())
    with pytest.raises(UserError, match="AlexNet has no norm layers"):
        go_on(tmp_path, asked)
    assert not read_state(tmp_path).runs
