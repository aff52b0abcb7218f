"""Optimizers of torch, made from a strategy, and the rates at which they train."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from engine.models.backbones import Network, preprocessing
from engine.models.stages import stage_of, stages
from engine.specs.strategy import LBFGS, SGD, AdamW, Strategy
from engine.training.schedule import rate_of


def make_optimizer(strategy: Strategy, network: Network) -> Optimizer:
    """The strategy's optimizer over the parameters that train; one fused kernel for all of a learning rate.

    Its first group has the highest rate. That of L-BFGS only stands for it: :mod:`engine.training.probe` solves for
    many heads before one of them is taken.
    """
    match strategy.optimizer:
        case SGD(lr=lr, momentum=momentum, weight_decay=decay):
            groups = _groups(strategy, lr, network)
            optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=decay, fused=True)
            if momentum:
                _start_still(optimizer)
            return optimizer
        case AdamW(lr=lr, weight_decay=decay):
            adamw = torch.optim.AdamW(_groups(strategy, lr, network), lr=lr, weight_decay=decay, fused=True)
            _begin_moments(adamw)
            return adamw
        case LBFGS():
            return torch.optim.LBFGS(network.head.parameters())


def _start_still(optimizer: torch.optim.SGD) -> None:
    """Begins with a momentum of 0, which gives the same first step.

    Torch would make the buffers in that step, and where its gradients overflow (fp16), skip it and leave in them
    whatever was in memory before.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)


def _begin_moments(optimizer: torch.optim.AdamW) -> None:
    """Makes its moments, as torch would in the first step.

    There, groups would step one after the other as each has its own: where memory ends, some have moved already.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }


def set_rates(strategy: Strategy, optimizer: Optimizer, epoch: int) -> None:
    """Sets the rates of an epoch (from 1): the planned one for the head, that of each stage in proportion to it."""
    rate = rate_of(strategy, epoch)
    if rate is not None:
        highest = optimizer.param_groups[0]["initial_lr"]
        for group in optimizer.param_groups:
            group["lr"] = rate * (group["initial_lr"] / highest)


def initial_rates(optimizer: Optimizer) -> tuple[float, ...]:
    """The rates at which training begins, the head's first, then of each stage below it; empty where all are alike."""
    groups = optimizer.param_groups
    return tuple(group["initial_lr"] for group in groups) if len(groups) > 1 else ()


def _groups(strategy: Strategy, rate: float, network: Network) -> list[dict[str, Any]]:
    """The parameters that train by their distance from the head, each stage of the network one further."""
    named = [(name, one) for name, one in network.module.named_parameters() if one.requires_grad]
    if strategy.layer_decay == 1:
        return [{"params": [parameter for _, parameter in named], "initial_lr": rate}]
    found = stages(network.module, network.head_name, preprocessing(strategy.backbone, None).crop)
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in named:
        in_head = name.startswith(f"{network.head_name}.")
        groups.setdefault(0 if in_head else len(found) - stage_of(name, found), []).append(parameter)
    rates = {depth: rate * strategy.layer_decay**depth for depth in sorted(groups)}
    return [{"params": groups[depth], "lr": initial, "initial_lr": initial} for depth, initial in rates.items()]
