"""Multiply-adds are those that torchvision states, and counting them leaves no trace."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from engine.models.backbones import build, default_weights
from engine.models.multiply_adds import multiply_adds
from engine.models.trainable import state_hash


@pytest.fixture(autouse=True)
def _nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.multiply_adds._counted", {})


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "mobilenet_v3_small",
        pytest.param("vit_b_16", marks=pytest.mark.slow),
        pytest.param("swin_v2_t", marks=pytest.mark.slow),
        pytest.param("convnext_tiny", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
    ],
)
def test_they_are_what_torchvision_states(name: str) -> None:
    module = torchvision.models.get_model(name, weights=None)
    weights = default_weights(name)
    found = multiply_adds(module, name, 1000, weights.transforms().crop_size[0])
    assert found / 1e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)


@pytest.mark.parametrize("trains", ["all", "head"])
def test_counting_leaves_no_trace(trains: str) -> None:
    network = build("mobilenet_v3_small", 3, trains, None, 0)
    before, modes = state_hash(network.module), [part.training for part in network.module.modules()]
    hooks = dict(nn.modules.module._global_forward_pre_hooks), dict(nn.modules.module._global_forward_hooks)
    random = torch.get_rng_state()
    assert multiply_adds(network.module, "mobilenet_v3_small", 3, 64) > 0
    assert state_hash(network.module) == before
    assert [part.training for part in network.module.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in network.module.parameters())
    assert hooks == (dict(nn.modules.module._global_forward_pre_hooks), dict(nn.modules.module._global_forward_hooks))


def test_a_larger_image_costs_more_and_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("resnet18", 2, "all", None, 0)
    small, large = (multiply_adds(network.module, "resnet18", 2, size) for size in (64, 128))
    assert large == pytest.approx(4 * small, rel=0.01)
    monkeypatch.setattr("engine.models.multiply_adds._count", None)
    assert multiply_adds(network.module, "resnet18", 2, 64) == small


def test_what_cannot_be_counted_is_nought() -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images * float(images.sum())

    assert multiply_adds(Odd(), "odd", 2, 8) == 0
