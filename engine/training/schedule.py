"""The learning rate of every epoch, as torch's schedulers give it. Imports without torch."""

from __future__ import annotations

import math

from engine.strategy import Constant, CosineAnnealingLR, ExponentialLR, Schedule, StepLR, Strategy

STILL = 1e-3


def rates_of(strategy: Strategy) -> tuple[float, ...]:
    """The rate of every epoch, the highest where stages have rates of their own; empty for L-BFGS, which has none."""
    rate = strategy.learning_rate
    return () if rate is None else planned_rates(rate, strategy.schedule, strategy.epochs)


def planned_rates(lr: float, schedule: Schedule, epochs: int) -> tuple[float, ...]:
    """The rate at which each epoch trains, from the initial ``lr``.

    The closed forms of ``torch.optim.lr_scheduler``, stepped once after every epoch.
    """
    return tuple(_rate(lr, schedule, epoch, epochs) for epoch in range(epochs))


def stands_still_from(strategy: Strategy) -> int | None:
    """The epoch (from 1) from which on, for a third of all epochs or more, the rate is so small that nothing changes:
    :data:`STILL` of the highest, or less. None where there is no such.
    """
    rates = rates_of(strategy)
    still = next((epoch for epoch, rate in enumerate(rates, 1) if rate < 1.001 * STILL * max(rates)), None)
    return still if still is not None and len(rates) - still + 1 >= len(rates) / 3 else None


def _rate(lr: float, schedule: Schedule, epoch: int, epochs: int) -> float:
    match schedule:
        case StepLR(step_size=size, gamma=gamma):
            return lr * gamma ** (epoch // size)
        case ExponentialLR(gamma=gamma):
            return lr * gamma**epoch
        case CosineAnnealingLR(eta_min=low):
            return low + (lr - low) * (1 + math.cos(math.pi * epoch / epochs)) / 2
        case Constant():
            return lr
