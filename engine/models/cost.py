"""What a forward pass costs, counted and not measured."""

from __future__ import annotations

import logging

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engine.models.dry_run import dry_run

logger = logging.getLogger("engine")
_counted: dict[tuple[str, int, int], int] = {}


def multiply_adds(module: nn.Module, backbone: str, classes: int, size: int) -> int:
    """Multiply-adds of the forward pass of one image of ``size`` pixels, 0 where they cannot be counted.

    Of matrix products, convolutions and attention, as is usual; counted once for each backbone, number of classes and
    size. Nothing is computed, and the module stays as it is.
    """
    key = backbone, classes, size
    if key not in _counted:
        try:
            _counted[key] = _count(module, size)
        except Exception:  # a figure beside others: no run fails for the want of it
            logger.warning("the multiply-adds of %s could not be counted", backbone, exc_info=True)
            _counted[key] = 0
    return _counted[key]


def _count(module: nn.Module, size: int) -> int:
    with FlopCounterMode(display=False) as counter:
        dry_run(module, size)
    return int(counter.get_total_flops()) // 2
