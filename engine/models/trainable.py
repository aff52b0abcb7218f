"""Which parts of a network train, decided here alone. All else is frozen and stays in eval mode."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.errors import UserError
from engine.models.stages import stages
from engine.specs.strategy import Trains

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


def parts_that_train(module: nn.Module, head_name: str, before_head: str, trains: Trains, size: int) -> frozenset[str]:
    """The names of the modules whose own parameters train, whose own buffers move, and that are put in training mode.

    ``before_head``: the dropout directly before the head, if there is one. ``size``: images in pixels that show the
    network's stages. ``UserError`` where the network has nothing of the kind.
    """
    head = _below(module, (head_name,))
    match trains:
        case "all":
            return frozenset(name for name, _ in module.named_modules())
        case "head":
            return head
        case "batch-norm":
            norms = {name for name, part in module.named_modules() if isinstance(part, NORMS)}
            if not norms:
                raise UserError(f"trains: {type(module).__name__} has no norm layers; train all, head or last-stage")
            return head | norms | ({before_head} if before_head else set())
        case "last-stage":
            return head | _below(module, stages(module, head_name, size)[-1])


def freeze_all_but(module: nn.Module, parts: frozenset[str]) -> None:
    """Lets these parts train and nothing else: they alone are in training mode, now and after ``module.train()``."""
    for name, part in module.named_modules():
        for parameter in part.parameters(recurse=False):
            parameter.requires_grad_(name in parts)
    if any(name not in parts for name, _ in module.named_modules()):
        module.train = MethodType(partial(_train_only, parts), module)  # type: ignore[method-assign]
    module.train()


def moving_state(module: nn.Module, parts: frozenset[str]) -> dict[str, Tensor]:
    """The parameters and buffers that training changes, the network's own tensors."""
    return {name: tensor for name, tensor in module.state_dict().items() if _owner(name) in parts}


def fill(state: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copies the values of the same names, wherever they are, into the tensors of a network's state."""
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(values[name])


def frozen_hash(module: nn.Module, parts: frozenset[str]) -> str:
    """SHA-256 (hex) of everything that training does not change, as :func:`state_hash`; empty where it changes all."""
    frozen = [(name, tensor) for name, tensor in _state(module) if _owner(name) not in parts]
    return _digest(frozen) if frozen else ""


def state_hash(module: nn.Module, exclude_prefix: str = "") -> str:
    """SHA-256 (hex) of every parameter and buffer: name, type, shape and values, on whatever device they are.

    Those of the submodule ``exclude_prefix`` (such as a network's ``head_name``) are left out.
    """
    excluded = f"{exclude_prefix}." if exclude_prefix else "\n"
    return _digest((name, tensor) for name, tensor in _state(module) if not name.startswith(excluded))


def trains_batch_norm(module: nn.Module, parts: frozenset[str]) -> bool:
    """Whether a norm's statistics are those of a batch, which therefore needs two images."""
    return any(isinstance(module.get_submodule(name), _BatchNorm) for name in parts)


def _state(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _digest(state: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in state:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _owner(name: str) -> str:
    """The module that a parameter or buffer belongs to."""
    return name.rpartition(".")[0]


def _below(module: nn.Module, names: tuple[str, ...]) -> frozenset[str]:
    """These modules and all within them."""
    return frozenset(f"{name}.{inner}" if inner else name
                     for name in names for inner, _ in module.get_submodule(name).named_modules())  # fmt: skip


def _train_only(parts: frozenset[str], module: nn.Module, mode: bool = True) -> nn.Module:
    """In place of ``module.train``."""
    for name, part in module.named_modules():
        part.training = mode and name in parts
    return module
