"""The stages of a network: which of its layers work at the same resolution, from the images to the last layer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import torch
from torch import Tensor, nn

from engine.models.dry_run import dry_run

MOST = 0.9
"""A module that holds more than this share of the parameters is no block but what the blocks are in."""


def stages(module: nn.Module, head_name: str, size: int) -> tuple[tuple[str, ...], ...]:
    """The names of the modules of each stage, without the last layer, for images of ``size`` pixels.

    A stage begins with the block that lowers the resolution: ``layer1`` to ``layer4`` of a ResNet, and before them
    what comes first. Where nothing lowers it (a vision transformer), every block is a stage, with what follows it.
    What comes after the last block (a hidden layer of the classifier) belongs to the last stage.
    """
    blocks = _blocks(module, head_name)
    resolutions = _resolutions(module, blocks, size)
    lowest = [max(resolutions[place:]) for place in range(len(blocks))]  # an early layer may have fewer (a stem)
    at = dict(zip(blocks, lowest, strict=True))
    by_resolution = tuple(tuple(names) for _, names in groupby(blocks, lambda name: at[name]))
    return by_resolution if len(by_resolution) > 2 else _each_block(module, blocks)


def stage_of(name: str, found: tuple[tuple[str, ...], ...]) -> int:
    """The number of the stage (from 0) in which a parameter or module is; the first where no block holds it."""
    for number, blocks in enumerate(found):
        if any(name == block or name.startswith(f"{block}.") for block in blocks):
            return number
    return 0


def _each_block(module: nn.Module, blocks: list[str]) -> tuple[tuple[str, ...], ...]:
    found: list[list[str]] = [[]]
    for name in blocks:
        if any(True for _ in module.get_submodule(name).children()):
            found.append([])
        found[-1].append(name)
    return tuple(tuple(names) for names in found if names)


def _blocks(module: nn.Module, head_name: str) -> list[str]:
    """The names of the modules that follow one another from the images to the head: no part of a block."""
    total = sum(parameter.numel() for parameter in module.parameters())
    found: list[str] = []

    def walk(parent: nn.Module, prefix: str) -> None:
        for key, child in parent.named_children():
            name = f"{prefix}{key}"
            if name == head_name:
                continue
            children = list(child.children())
            nested = not prefix or any(True for one in children for _ in one.children())
            in_order = isinstance(child, nn.Sequential | nn.ModuleList) and nested
            holds_most = sum(parameter.numel() for parameter in child.parameters()) > MOST * total
            if children and (head_name.startswith(f"{name}.") or in_order or holds_most):
                walk(child, f"{name}.")
            else:
                found.append(name)

    walk(module, "")
    return found


def _resolutions(module: nn.Module, blocks: list[str], size: int) -> list[int]:
    """The number of positions at which the last layer of each block works; what has none is where the one before is."""
    seen: dict[str, int] = {}

    def note(block: str) -> Callable[[nn.Module, object, object], None]:
        def noted(layer: nn.Module, _arguments: object, output: object) -> None:
            if (channels := _channels(layer)) and isinstance(output, Tensor):
                seen[block] = output.numel() // channels

        return noted

    layers = [(block, layer) for block in blocks for layer in module.get_submodule(block).modules()]
    hooks = [layer.register_forward_hook(note(block)) for block, layer in layers if not list(layer.children())]
    try:
        dry_run(module, size)
    finally:
        for hook in hooks:
            hook.remove()
    found: list[int] = []
    for block in blocks:
        here = seen.get(block, 0)
        found.append(here if here > 1 or not found else found[-1])
    return found


def _channels(layer: nn.Module) -> int:
    match layer:
        case nn.Conv2d():
            return layer.out_channels
        case nn.Linear():
            return layer.out_features
        case nn.BatchNorm2d():
            return layer.num_features
        case nn.LayerNorm():
            return torch.Size(layer.normalized_shape).numel()
        case _:
            return 0
