"""What a forward pass costs, counted and not measured."""

from __future__ import annotations

import logging

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

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
    shapes = {name: tensor.to("meta") for name, tensor in [*module.named_parameters(), *module.named_buffers()]}
    was_training = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            torch.func.functional_call(module, shapes, torch.empty(1, 3, size, size, device="meta"))
    finally:
        for part, training in was_training:
            part.training = training
    return int(counter.get_total_flops()) // 2
