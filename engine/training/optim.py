"""Optimizers and learning-rate schedulers of torch, made from a strategy."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from engine.models.backbones import Network, preprocessing
from engine.models.stages import stage_of, stages
from engine.strategy import LBFGS, SGD, AdamW, Constant, CosineAnnealingLR, ExponentialLR, StepLR, Strategy
from engine.training.schedule import planned_rates


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


def make_scheduler(strategy: Strategy, optimizer: Optimizer) -> lr_scheduler.LRScheduler:
    """The strategy's scheduler, to be stepped once after every epoch."""
    match strategy.schedule:
        case StepLR(step_size=size, gamma=gamma):
            return lr_scheduler.StepLR(optimizer, step_size=size, gamma=gamma)
        case ExponentialLR(gamma=gamma):
            return lr_scheduler.ExponentialLR(optimizer, gamma=gamma)
        case CosineAnnealingLR(eta_min=low) if low and len(optimizer.param_groups) > 1:
            # torch's would bring every group to the same lowest rate, and so some of them up
            highest = float(optimizer.param_groups[0]["lr"])
            rates = planned_rates(highest, strategy.schedule, strategy.epochs)
            return lr_scheduler.LambdaLR(optimizer, lambda epoch: rates[min(epoch, len(rates) - 1)] / highest)
        case CosineAnnealingLR(eta_min=low):
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=strategy.epochs, eta_min=low)
        case Constant():
            return lr_scheduler.LambdaLR(optimizer, lambda _epoch: 1.0)


def initial_rates(strategy: Strategy, optimizer: Optimizer) -> tuple[float, ...]:
    """The rates at which training begins, the head's first, then of each stage below it; empty where all are alike."""
    rates = tuple(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
    return rates if strategy.layer_decay < 1 and len(rates) > 1 else ()


def _groups(strategy: Strategy, rate: float, network: Network) -> list[dict[str, Any]]:
    """The parameters that train by their distance from the head, each stage of the network one further."""
    named = [(name, one) for name, one in network.module.named_parameters() if one.requires_grad]
    if strategy.layer_decay == 1:
        return [{"params": [parameter for _, parameter in named]}]
    found = stages(network.module, network.head_name, preprocessing(strategy.backbone, None).crop)
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in named:
        in_head = name.startswith(f"{network.head_name}.")
        groups.setdefault(0 if in_head else len(found) - stage_of(name, found), []).append(parameter)
    return [{"params": groups[depth], "lr": rate * strategy.layer_decay**depth} for depth in sorted(groups)]
