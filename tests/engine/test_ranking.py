"""LogME against scikit-learn's evidence, and backbones put in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import BayesianRidge

from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.data.prepare import prepare
from engine.errors import UserError
from engine.models.backbones import default_weights, preprocessing
from engine.progress import WorkDone
from engine.ranking import Ranked, log_evidence, rank
from engine.specs.spec import DataSource
from engine.specs.strategy import Strategy
from engine.training import feature_store, features
from engine.training.batches import InputImages
from engine.training.feature_store import FeatureStore
from tests.engine.training.runs import warmed_up
from tests.engine.work import result


@pytest.mark.parametrize(("images", "size"), [(80, 12), (40, 90)], ids=["more images", "more features"])
@pytest.mark.parametrize("signal", [0.0, 1.0], ids=["noise", "signal"])
def test_log_evidence_is_that_of_bayesian_ridge_regression(images: int, size: int, signal: float) -> None:
    random = torch.Generator().manual_seed(3)
    labels = torch.arange(images) % 3
    centres = torch.randn(3, size, generator=random)
    features = torch.randn(images, size, generator=random) + signal * centres[labels]
    found = log_evidence(features, labels, 3)
    wanted = []
    for label in range(3):
        ridge = BayesianRidge(
            max_iter=1000, tol=1e-12, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, compute_score=True,
            fit_intercept=False,
        )  # fmt: skip
        ridge.fit(features.double().numpy(), (labels == label).double().numpy())
        wanted.append(ridge.scores_[-1] / images)
    assert found == pytest.approx(float(np.mean(wanted)), abs=2e-3)


def test_features_that_tell_classes_apart_have_more_evidence() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    noise = torch.randn(60, 20, generator=random)
    separate = noise + 2 * labels[:, None] * torch.eye(20)[0]
    assert log_evidence(separate, labels, 2) > log_evidence(noise, labels, 2) + 0.1


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with a file of a small network's name, as far as that can be without its contents."""
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file(warmed_up("mobilenet_v3_small"), folder / "mine.safetensors")
    return folder


def test_backbones_are_ranked_by_training_images_alone(image_folder: Callable[..., Path], weights: Path) -> None:
    dataset = discover(DataSource(path=str(image_folder())))
    found, said = result(rank(dataset, ["mobilenet_v3_small"], str(weights / "mine.safetensors"), "cpu"))
    (one,) = found
    assert one.skipped == ""
    assert one.logme is not None
    assert one.features == 1024
    assert one.parameters > 1_000_000
    done = [now for now in said if isinstance(now, WorkDone)]
    assert any(now.detail.startswith("mobilenet_v3_small: ") and now.total for now in done)
    (seen,) = {now.total for now in done if now.detail == "mobilenet_v3_small: every image once"}
    assert seen == len(dataset.train), "features of others are left to the experiment that asks for them"


def test_each_backbone_is_told_once_it_is_done_and_the_best_comes_first_at_the_end(
    image_folder: Callable[..., Path], weights: Path
) -> None:
    dataset = discover(DataSource(path=str(image_folder())))
    asked = ["resnet18", "mobilenet_v3_small"]
    found, said = result(rank(dataset, asked, str(weights / "mine.safetensors"), "cpu"))
    ranked = [now for now in said if isinstance(now, Ranked)]
    assert [one.backbone for one in ranked] == asked
    assert "give a file of resnet18" in ranked[0].skipped
    assert found == tuple(reversed(ranked))
    later = said[said.index(ranked[0]) :]
    assert any(isinstance(now, WorkDone) and now.detail.startswith("mobilenet_v3_small: ") for now in later)


def test_features_that_are_found_cost_what_they_took(
    image_folder: Callable[..., Path], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*arguments: Any) -> Any:
        return (yield from features.extracted(*arguments))._replace(elsewhere=1e6)

    monkeypatch.setattr("engine.ranking.extracted", found)
    dataset = discover(DataSource(path=str(image_folder())))
    ((one,), _) = result(rank(dataset, ["mobilenet_v3_small"], str(weights / "mine.safetensors"), "cpu"))
    assert one.seconds > 1e6


def test_what_has_no_weights_is_skipped_with_a_line(image_folder: Callable[..., Path], weights: Path) -> None:
    dataset = discover(DataSource(path=str(image_folder())))
    found, _ = result(rank(dataset, ["mobilenet_v3_small", "resnet18"], str(weights), "cpu"))
    assert [one.backbone for one in found] == ["mobilenet_v3_small", "resnet18"]
    file = default_weights("resnet18").url.rpartition("/")[2]
    assert f"no {file} in this folder" in found[1].skipped
    assert "\n" not in found[1].skipped
    assert found[1].logme is None


def test_no_image_is_decoded_for_what_has_no_weights_or_those_of_another(
    image_folder: Callable[..., Path], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[int] = []

    def prepared(dataset: DataSet, side: int, *rest: Any) -> Any:
        sides.append(side)
        return prepare(dataset, side, *rest)

    monkeypatch.setattr("engine.ranking.prepare", prepared)
    dataset = discover(DataSource(path=str(image_folder())))
    asked = ["convnext_tiny", "mobilenet_v3_small", "resnet50"]
    found, _ = result(rank(dataset, asked, str(weights / "mine.safetensors"), "cpu"))
    assert sides == [preprocessing("mobilenet_v3_small", None).resize]
    assert [one.backbone for one in found if not one.skipped] == ["mobilenet_v3_small"]
    sides.clear()
    found, said = result(rank(dataset, ["resnet18", "resnet50"], str(weights), "cpu"))
    assert not sides and all(one.skipped for one in found)
    assert not any("decoding" in now.detail for now in said if isinstance(now, WorkDone))


def test_what_has_no_room_is_skipped_with_a_line(
    image_folder: Callable[..., Path], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "free_memory", lambda: 0)
    dataset = discover(DataSource(path=str(image_folder())))
    ((one,), _) = result(rank(dataset, ["mobilenet_v3_small"], str(weights / "mine.safetensors"), "cpu"))
    assert "use a backbone with fewer features" in one.skipped


def test_what_memory_runs_out_for_is_skipped_and_the_next_is_ranked(
    image_folder: Callable[..., Path], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(store: FeatureStore, images: InputImages, strategy: Strategy, *rest: Any) -> Any:
        if strategy.backbone == "resnet18":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return features.extracted(store, images, strategy, *rest)

    monkeypatch.setattr("engine.ranking.extracted", short)
    dataset = discover(DataSource(path=str(image_folder())))
    found, _ = result(rank(dataset, ["resnet18", "mobilenet_v3_small"], "none", "cpu"))
    assert [(one.backbone, one.skipped) for one in found] == [
        ("mobilenet_v3_small", ""),
        ("resnet18", "it does not fit into memory"),
    ]


def test_features_that_tell_nothing_apart_are_skipped_with_a_line(
    image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*arguments: Any) -> Any:
        found = yield from features.extracted(*arguments)
        return found._replace(table=torch.zeros_like(found.table))

    monkeypatch.setattr("engine.ranking.extracted", nothing)
    dataset = discover(DataSource(path=str(image_folder())))
    ((one,), _) = result(rank(dataset, ["mobilenet_v3_small"], "none", "cpu"))
    assert (one.logme, one.skipped) == (None, "every image has the same features")


def test_an_unknown_backbone_is_refused_before_any_work(image_folder: Callable[..., Path]) -> None:
    dataset = discover(DataSource(path=str(image_folder())))
    with pytest.raises(UserError, match=r"resnet17.*did you mean"):
        next(rank(dataset, ["resnet18", "resnet17"], "none", "cpu"))
