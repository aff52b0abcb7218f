"""Fused networks: the same results but for rounding, in fewer passes; where that cannot be, the network as it is."""

import operator
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, fx, nn
from torchvision.models import ResNet

from engine.models.backbones import Network, build, features
from engine.models.fused import ACTIVATIONS, TOLERANCE, fused, fused_whole

CPU, SIDE = torch.device("cpu"), 64


def noise(count: int = 4) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def network(backbone: str = "mobilenet_v3_small") -> Network:
    """Random weights whose batch norms have seen noise and differ by channel, which is what there is to fuse.

    Not by much: a deep one would be chaotic, and multiply what is rounded.
    """
    net, random = build(backbone, 2, "head", None, 0), torch.Generator().manual_seed(2)
    seen = torch.randn(4, 3, SIDE, SIDE, generator=random)
    norms = [one for one in net.module.modules() if isinstance(one, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.train()
            norm.momentum = None
        net.module(seen)
        for norm in norms:
            norm.eval()
            norm.weight.uniform_(0.8, 1.2, generator=random)
            norm.bias.uniform_(-0.2, 0.2, generator=random)
    return net


BACKBONES = ["mobilenet_v3_small", "mobilenet_v2", "resnet18", "efficientnet_b0", "densenet121", "googlenet"]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_fusing_changes_nothing_but_rounding(backbone: str) -> None:
    net = network(backbone)
    run = fused(net, SIDE)
    with torch.inference_mode():
        wanted, found = features(net, noise()), run(noise())
        with torch.autocast("cpu", torch.bfloat16):
            rounded, fused_and_rounded = features(net, noise()).float(), run(noise()).float()
    assert isinstance(run, fx.GraphModule)
    assert (wanted - found).abs().max() <= TOLERANCE * wanted.abs().max()
    # each way of computing rounds otherwise; the fused one is not further from what is exact
    assert (fused_and_rounded - wanted).norm() <= 1.5 * (rounded - wanted).norm()


@pytest.mark.parametrize(("backbone", "left"), [("mobilenet_v3_small", 1), ("mobilenet_v2", 0), ("resnet18", 0)])
def test_convolutions_take_over_norms_additions_and_activations(backbone: str, left: int) -> None:
    """That in a MobileNetV3's classifier is after a linear layer."""
    run = fused(network(backbone), SIDE)
    assert isinstance(run, fx.GraphModule)
    modules = dict(run.named_modules())
    called = [type(modules[str(node.target)]) if node.op == "call_module" else node.target for node in run.graph.nodes]
    assert not {nn.BatchNorm2d, operator.add, operator.iadd} & set(called)
    assert len([one for one in called if one in ACTIVATIONS]) == left


def test_a_network_that_trains_is_fused_with_its_weights_as_they_are() -> None:
    module = network("resnet18").module.eval()
    before = fused_whole(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.1)
    with torch.inference_mode():
        wanted, found, stale = module(noise()), fused_whole(module)(noise()), before(noise())
    assert torch.allclose(wanted, found, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(wanted, stale, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_not_hidden_by_an_activation(bad: float) -> None:
    """oneDNN's ReLU makes 0 of it."""
    module = network("resnet18").module.eval()
    with torch.no_grad():
        module.get_parameter("layer4.0.conv1.weight")[0, 0, 0, 0] = bad
    with torch.inference_mode():
        assert not fused_whole(module)(noise()).isfinite().any()


def test_without_onednn_convolutions_compute_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    run = fused(network(), SIDE)
    assert isinstance(run, fx.GraphModule)
    assert nn.Hardswish in [type(one) for one in run.modules()]


class Undecided(ResNet):
    """What it does depends on the values it gets, which fx cannot trace."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() > -1e9 else x


def test_what_cannot_be_fused_is_run_as_it_is() -> None:
    squeeze = build("squeezenet1_1", 2, "head", None, 0)
    assert not isinstance(fused(squeeze, SIDE), nn.Module)
    assert fused_whole(squeeze.module) is squeeze.module
    odd = build("resnet18", 2, "head", None, 0)
    odd.module.__class__ = Undecided
    with torch.inference_mode():
        assert torch.equal(fused(odd, SIDE)(noise()), features(odd, noise()))


def test_fusing_is_judged_by_full_products(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    @contextmanager
    def noted(device: torch.device) -> Iterator[None]:
        asked.append(device)
        with torch.autocast("cpu", torch.bfloat16, enabled=False):
            yield

    monkeypatch.setattr("engine.models.fused.full_precision", noted)
    with torch.autocast("cpu", torch.bfloat16):  # as short products as TF32's would be taken for a difference
        assert isinstance(fused(network(), SIDE), fx.GraphModule)
    assert asked == [CPU]


def test_what_would_differ_is_not_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    net, made = network(), []

    def wrong(backbone: nn.Module, inplace: bool) -> nn.Module:
        made.append(nn.Sequential(backbone, nn.Threshold(0, 1)))
        return made[-1]

    monkeypatch.setattr("engine.models.fused.fuse", wrong)
    assert not isinstance(fused(net, SIDE), nn.Module)
    assert made
