"""Backbones: any torchvision classification model, given a new head and frozen or not."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import torch
import torchvision
from msgspec import Struct
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from engine.errors import UserError
from engine.models.trainable import freeze_all_but, parts_that_train
from engine.specs.strategy import Trains
from engine.text import did_you_mean

IMAGENET_CLASSES = 1000
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
"""Classifiers that Inception and GoogLeNet trained beside the last one; their weights are in torchvision's files."""
DENSENET_NAME = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""How torchvision's DenseNet files spell names like ``denselayer1.norm1``."""


class Preprocessing(Struct, frozen=True):
    """How images become a backbone's input: the shorter side resized to ``resize`` pixels, a central square of
    ``crop`` pixels, values in 0..1 minus ``mean``, divided by ``std``, for each of red, green and blue.
    """

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Network(NamedTuple):
    """A backbone with a head of its own: images (N, 3, H, W) to logits (N, classes).

    ``head`` is the last layer of ``module``, under the name ``head_name``; ``head(features(...))`` gives the logits.
    ``dropout`` is the probability of a Dropout directly before the head, 0 where there is none. ``trained``: the names
    of the parts that train, see :mod:`engine.models.trainable`. ``arguments``: what ``torchvision.models.get_model``
    gets beside the number of classes to build one that takes its state and computes the same.
    """

    module: nn.Module
    head: nn.Module
    head_name: str
    dropout: float
    trained: frozenset[str]
    arguments: Mapping[str, object]


class Parameters(NamedTuple):
    """Numbers of parameters."""

    total: int
    trainable: int


class MisfitError(ValueError):
    """A state dict is not that of the backbone; the text says why in a few words."""


class ConvHead(nn.Conv2d):
    """SqueezeNet's last layer: a 1×1 convolution, ReLU and the mean over positions, (N, C, H, W) to (N, classes)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Logits of feature maps."""
        return super().forward(input).relu().mean((2, 3))


@cache
def backbone_names() -> tuple[str, ...]:
    """The names of torchvision's classification models, sorted."""
    return tuple(sorted(torchvision.models.list_models(module=torchvision.models)))


def default_weights(backbone: str) -> WeightsEnum:
    """The member of torchvision's weights enumeration that it takes by default for this backbone.

    :class:`engine.errors.UserError` where torchvision has no such classification model.
    """
    if backbone not in backbone_names():
        advice = did_you_mean(backbone, backbone_names()) or ", such as resnet18 or mobilenet_v3_small"
        raise UserError(f"backbone: torchvision has no classification model {backbone!r}{advice}")
    return torchvision.models.get_model_weights(backbone).DEFAULT


@cache
def check_trains(backbone: str, trains: Trains) -> None:
    """:class:`engine.errors.UserError` where the backbone has nothing such as is to train."""
    if trains == "batch-norm":  # all else is there in every backbone
        module = _bare(backbone, pretrained=True)
        parts_that_train(module, _last_layer(module)[0], "", trains, 0)


def preprocessing(backbone: str, image_size: int | None) -> Preprocessing:
    """What the backbone's default weights were trained with; another ``image_size`` (pixels) keeps the proportion.

    :class:`engine.errors.UserError` where the backbone is unknown or cannot take images of that size.
    """
    weights = default_weights(backbone)
    transforms = weights.transforms()
    resize, crop = transforms.resize_size[0], transforms.crop_size[0]
    size = crop if image_size is None else image_size
    smallest = weights.meta["min_size"][0]
    if _family(backbone) in ("vision_transformer", "maxvit") and size != crop:
        raise UserError(f"image_size: {backbone} takes images of {crop} pixels only, not {size}")
    if size < smallest:
        raise UserError(f"image_size: {backbone} needs images of at least {smallest} pixels, not {size}")
    return Preprocessing(max(size, round(size * resize / crop)), size, tuple(transforms.mean), tuple(transforms.std))


def build(backbone: str, classes: int, trains: Trains, pretrained: Mapping[str, Tensor] | None, seed: int) -> Network:
    """The backbone on the CPU in fp32, its last layer replaced by a new one of ``classes`` outputs.

    ``pretrained`` is a state dict of torchvision's model (its last layer may have any number of outputs), None for
    random initialisation. What is initialised at random depends on ``seed`` alone, and the process's own random
    state is left as it was. What does not train is in eval mode and stays so through every ``module.train()``.
    :class:`MisfitError` where ``pretrained`` does not fit, ``UserError`` where the backbone has nothing such as is to
    train.
    """
    default_weights(backbone)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = _bare(backbone, pretrained is not None)
        if pretrained is not None:
            _load(module, backbone, pretrained)
        torch.default_generator.manual_seed(seed)
        head, head_name, before_head = _with_head(module, classes)
    size = preprocessing(backbone, None).crop
    trained = parts_that_train(module, head_name, before_head, trains, size)
    freeze_all_but(module, trained)
    dropout = module.get_submodule(before_head) if before_head else None
    arguments = _arguments(backbone, pretrained is not None)
    rate = dropout.p if isinstance(dropout, nn.Dropout) else 0.0
    return Network(module, head, head_name, rate, trained, arguments)


def features(network: Network, images: Tensor) -> Tensor:
    """What the head gets for images (N, 3, H, W), with the network as it is (eval mode for a frozen backbone).

    (N, D) for a linear head, (N, C, H, W) for SqueezeNet's convolution. No gradient; the head can train on it.
    """
    inputs: list[Tensor] = []
    hook = network.head.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    try:
        # not inference_mode: its tensors cannot be saved for the head's backward pass
        with torch.no_grad():
            network.module(images)
    finally:
        hook.remove()
    return inputs[0]


def count_parameters(module: nn.Module) -> Parameters:
    """How many parameters there are, and how many of them train."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    return Parameters(sum(size for size, _ in sizes), sum(size for size, trains in sizes if trains))


def _family(backbone: str) -> str:
    """The torchvision module that defines the backbone: ``resnet``, ``vision_transformer``."""
    module = inspect.getmodule(torchvision.models.get_model_builder(backbone))
    return module.__name__.rpartition(".")[2] if module else ""


def _bare(backbone: str, pretrained: bool) -> nn.Module:
    """torchvision's model as its default weights need it, randomly initialised, without auxiliary classifiers."""
    arguments = _arguments(backbone, pretrained)
    if "init_weights" in arguments:
        arguments["init_weights"] = not pretrained
    module: nn.Module = torchvision.models.get_model(backbone, weights=None, **arguments)
    return module


def _arguments(backbone: str, pretrained: bool) -> dict[str, object]:
    """What torchvision's constructor gets for a model whose weights are put into it afterwards."""
    match _family(backbone):
        case "inception" | "googlenet":
            # the pretrained ones normalise their input in another way, and convert from the usual one
            return {"aux_logits": False, "init_weights": False, "transform_input": pretrained}
        case "vision_transformer":
            return {"image_size": default_weights(backbone).meta["min_size"][0]}
    return {}


def _with_head(module: nn.Module, classes: int) -> tuple[nn.Module, str, str]:
    """Replaces the last layer: the new one, its name, and that of a Dropout directly before it, if there is one."""
    name, old = _last_layer(module)
    new: nn.Module
    if isinstance(old, nn.Conv2d):
        new = ConvHead(old.in_channels, classes, kernel_size=1)
    else:
        new = nn.Linear(old.in_features, classes)
    parent_name, _, key = name.rpartition(".")
    parent = module.get_submodule(parent_name)
    before_head = ""
    if isinstance(parent, nn.Sequential):
        keys = [other for other, _ in parent.named_children()]
        place = keys.index(key)
        if place and isinstance(parent[place - 1], nn.Dropout):
            before_head = f"{parent_name}.{keys[place - 1]}"
        if isinstance(new, ConvHead):
            del parent[place + 1 :]  # the ReLU and the mean that it has itself
    setattr(parent, key, new)
    return new, name, before_head


def _last_layer(module: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The layer that gives the logits: the last one with as many outputs as ImageNet has classes."""
    found: tuple[str, nn.Linear | nn.Conv2d] | None = None
    for name, layer in module.named_modules():
        linear = isinstance(layer, nn.Linear) and layer.out_features == IMAGENET_CLASSES
        convolution = isinstance(layer, nn.Conv2d) and layer.out_channels == IMAGENET_CLASSES
        if isinstance(layer, nn.Linear | nn.Conv2d) and (linear or convolution):
            found = name, layer
    if found is None:
        raise ValueError(f"{type(module).__name__} has no layer of {IMAGENET_CLASSES} outputs to replace")
    return found


def _load(module: nn.Module, backbone: str, state: Mapping[str, Tensor]) -> None:
    """Take the state's values for everything but the last layer."""
    if problem := _misfit(module, backbone, state):
        raise MisfitError(problem)
    own = module.state_dict()
    head = f"{_last_layer(module)[0]}."
    values = {name: tensor for name, tensor in _renamed(state).items() if name in own and not name.startswith(head)}
    own.update(values)  # keeps the format versions beside the values, without which MNASNet does not load
    module.load_state_dict(own)


def _misfit(module: nn.Module, backbone: str, state: Mapping[str, Tensor]) -> str:
    """Why a state dict does not fit the module (the last layer's number of outputs aside), empty where it does."""
    head = f"{_last_layer(module)[0]}."
    given = {name: tensor for name, tensor in _renamed(state).items() if not name.startswith((head, *AUXILIARY))}
    wanted = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(head)}
    # files from before batch norm counted its batches lack that count, which nothing needs
    missing = [name for name in wanted if name not in given and not name.endswith(".num_batches_tracked")]
    unknown = [name for name in given if name not in wanted]
    if missing or unknown:
        lacks = f"lacks {missing[0]} ({len(missing)} in all)" if missing else ""
        has = f"has {unknown[0]} ({len(unknown)} in all), which the model lacks" if unknown else ""
        return f"not the weights of {backbone}: it {' and '.join(filter(None, (lacks, has)))}"
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor) or tensor.shape != wanted[name].shape:
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            return f"not the weights of {backbone}: {name} is {shape}, not {tuple(wanted[name].shape)}"
    return ""


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {DENSENET_NAME.sub(r"\1\2", name): tensor for name, tensor in state.items()}
