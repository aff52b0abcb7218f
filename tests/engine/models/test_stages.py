"""The stages of networks, and what trains of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import UserError
from engine.models.backbones import build, check_trains, preprocessing
from engine.models.stages import stage_of, stages
from engine.models.trainable import frozen_hash, moving_state
from engine.specs.strategy import Trains

LAST = {
    "resnet18": ("layer4.0", "layer4.1", "avgpool"),
    "mobilenet_v3_small": ("features.9", "features.10", "features.11", "features.12", "avgpool", "classifier.0"),
    "convnext_tiny": ("features.6", "features.7.0", "features.7.1", "features.7.2", "avgpool", "classifier.0"),
    "densenet121": ("features.denseblock4", "features.norm5"),
    "efficientnet_b0": ("features.6.0", "features.6.1", "features.6.2", "features.6.3", "features.7.0", "features.8"),
    "swin_t": ("features.6", "features.7.0", "features.7.1", "norm", "permute", "avgpool", "flatten"),
    "vit_b_16": ("encoder.layers.encoder_layer_11", "encoder.ln"),
    "vgg11_bn": ("features.22", "features.23"),
    "shufflenet_v2_x0_5": ("stage4.0", "stage4.1", "stage4.2", "stage4.3", "conv5.0"),
    "regnet_y_400mf": ("trunk_output.block4.block4-0", "trunk_output.block4.block4-1"),
    "googlenet": ("inception5a", "inception5b", "avgpool", "dropout"),
    "squeezenet1_1": ("features.9", "features.10"),
}
COUNTS = {"resnet18": 5, "mobilenet_v3_small": 5, "convnext_tiny": 4, "densenet121": 5, "swin_t": 4, "vit_b_16": 13}


@pytest.mark.parametrize("backbone", LAST)
def test_the_last_stage_is_what_works_at_the_last_resolution(backbone: str) -> None:
    network = build(backbone, 2, "all", None, 0)
    before = [(part.training, type(part)) for part in network.module.modules()]
    found = stages(network.module, network.head_name, preprocessing(backbone, None).crop)
    assert found[-1][: len(LAST[backbone])] == LAST[backbone]
    assert len(found) == COUNTS.get(backbone, len(found))
    assert len(found) >= 4
    names = [name for stage in found for name in stage]
    assert len(names) == len(set(names))
    assert network.head_name not in names
    assert [(part.training, type(part)) for part in network.module.modules()] == before
    assert not any(parameter.is_meta for parameter in network.module.parameters())


def test_every_parameter_has_a_stage_and_what_no_block_holds_is_in_the_first() -> None:
    network = build("vit_b_16", 2, "all", None, 0)
    found = stages(network.module, network.head_name, 224)
    at = {name: stage_of(name, found) for name, _ in network.module.named_parameters()}
    assert at["class_token"] == at["encoder.pos_embedding"] == at["conv_proj.weight"] == 0
    assert at["encoder.layers.encoder_layer_1.mlp.0.weight"] == 2, "not encoder_layer_11"
    assert at["encoder.layers.encoder_layer_10.mlp.0.weight"] == 11
    assert at["encoder.ln.weight"] == 12


def moved(backbone: str, trains: Trains) -> tuple[set[str], set[str], bool]:
    """What a step moves, what may move, and whether the rest kept its hash."""
    network = build(backbone, 3, trains, None, 0)
    module = network.module
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    frozen = frozen_hash(module, network.trained)
    module.train()
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for _ in range(2):  # the gamma of a norm behind another may have no gradient at first
        optimizer = torch.optim.SGD(trained, lr=0.1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
    now = module.state_dict()
    assert all(not parameter.requires_grad or parameter.grad is not None for parameter in module.parameters())
    changed = {name for name in now if not torch.equal(now[name], before[name])}
    return changed, set(moving_state(module, network.trained)), frozen_hash(module, network.trained) == frozen


def test_norm_layers_alone_move_with_their_statistics() -> None:
    changed, moving, kept = moved("resnet18", "batch-norm")
    assert kept
    assert changed == moving
    norms = {name for name, part in build("resnet18", 3, "all", None, 0).module.named_modules()
             if isinstance(part, nn.BatchNorm2d)}  # fmt: skip
    assert {name.rpartition(".")[0] for name in changed} == norms | {"fc"}
    assert "layer1.0.bn1.running_mean" in changed


@pytest.mark.parametrize(("backbone", "first"), [("resnet18", "layer4."), ("mobilenet_v3_small", "features.9.")])
def test_the_last_stage_alone_moves_with_its_statistics(backbone: str, first: str) -> None:
    changed, moving, kept = moved(backbone, "last-stage")
    assert kept
    assert changed == moving
    assert any(name.startswith(first) and name.endswith("running_var") for name in changed)
    network = build(backbone, 3, "last-stage", None, 0)
    size = preprocessing(backbone, None).crop
    last = len(stages(network.module, network.head_name, size)) - 1
    found = stages(network.module, network.head_name, size)
    assert {stage_of(name, found) for name in changed if not name.startswith(network.head_name)} == {last}


def test_layer_norms_count_as_norm_layers() -> None:
    network = build("swin_t", 3, "batch-norm", None, 0)
    trained = {name for name, parameter in network.module.named_parameters() if parameter.requires_grad}
    assert "features.1.0.norm1.weight" in trained
    assert "features.1.0.attn.qkv.weight" not in trained


def test_dropout_before_the_head_acts_wherever_more_than_the_head_trains() -> None:
    for trains in ("batch-norm", "last-stage"):
        network = build("mobilenet_v3_small", 2, trains, None, 0)
        assert network.module.get_submodule("classifier.2").training
        assert not network.module.get_submodule("features.3").training


def test_a_backbone_without_norm_layers_is_refused() -> None:
    with pytest.raises(UserError, match="AlexNet has no norm layers; train all, head or last-stage"):
        build("alexnet", 2, "batch-norm", None, 0)
    with pytest.raises(UserError, match="no norm layers"):
        check_trains("squeezenet1_1", "batch-norm")
    check_trains("alexnet", "last-stage")
