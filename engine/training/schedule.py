"""The learning rate of every epoch, as torch's schedulers give it. Imports without torch."""

from __future__ import annotations

import math

from engine.specs.strategy import Constant, CosineAnnealingLR, ExponentialLR, StepLR, Strategy

STILL = 1e-3


def rates_of(strategy: Strategy) -> tuple[float, ...]:
    """The rate of every epoch, the highest where stages have rates of their own; empty for L-BFGS, which has none."""
    return tuple(rate for epoch in range(1, strategy.epochs + 1) if (rate := rate_of(strategy, epoch)) is not None)


def rate_of(strategy: Strategy, epoch: int) -> float | None:
    """The rate of an epoch (from 1), the highest where stages have rates of their own; None for L-BFGS.

    The closed forms of ``torch.optim.lr_scheduler``, stepped once after every epoch.
    """
    lr, steps = strategy.learning_rate, epoch - 1
    if lr is None:
        return None
    match strategy.schedule:
        case StepLR(step_size=size, gamma=gamma):
            return lr * gamma ** (steps // size)
        case ExponentialLR(gamma=gamma):
            return lr * gamma**steps
        case CosineAnnealingLR(eta_min=low):
            return low + (lr - low) * (1 + math.cos(math.pi * steps / strategy.epochs)) / 2
        case Constant():
            return lr


def stands_still_from(strategy: Strategy) -> int | None:
    """The epoch (from 1) from which on, for a third of all epochs or more, the rate is so small that nothing changes:
    :data:`STILL` of the highest, or less. None where there is no such.
    """
    rates = rates_of(strategy)
    still = next((epoch for epoch, rate in enumerate(rates, 1) if rate < 1.001 * STILL * max(rates)), None)
    return still if still is not None and len(rates) - still + 1 >= len(rates) / 3 else None
