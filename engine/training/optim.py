"""Optimizers and learning-rate schedulers of torch, made from a strategy."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from engine.spec import SGD, AdamW, Constant, CosineAnnealingLR, ExponentialLR, StepLR, Strategy


def make_optimizer(strategy: Strategy, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The strategy's optimizer over those of the parameters that train; one fused kernel for all of them."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    match strategy.optimizer:
        case SGD(lr=lr, momentum=momentum, weight_decay=decay):
            return torch.optim.SGD(trained, lr=lr, momentum=momentum, weight_decay=decay, fused=True)
        case AdamW(lr=lr, weight_decay=decay):
            return torch.optim.AdamW(trained, lr=lr, weight_decay=decay, fused=True)


def make_scheduler(strategy: Strategy, optimizer: Optimizer) -> lr_scheduler.LRScheduler:
    """The strategy's scheduler, to be stepped once after every epoch."""
    match strategy.schedule:
        case StepLR(step_size=size, gamma=gamma):
            return lr_scheduler.StepLR(optimizer, step_size=size, gamma=gamma)
        case ExponentialLR(gamma=gamma):
            return lr_scheduler.ExponentialLR(optimizer, gamma=gamma)
        case CosineAnnealingLR(eta_min=low):
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=strategy.epochs, eta_min=low)
        case Constant():
            return lr_scheduler.LambdaLR(optimizer, lambda _epoch: 1.0)
