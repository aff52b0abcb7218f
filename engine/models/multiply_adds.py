"""The multiply-adds of a forward pass, counted by torch."""

from __future__ import annotations

import logging

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engine.devices.precision import any_kernels
from engine.models.dry_run import in_eval_mode

logger = logging.getLogger("engine")
_counted: dict[tuple[str, int, int], int] = {}


def multiply_adds(module: nn.Module, backbone: str, classes: int, size: int) -> int:
    """Multiply-adds of the forward pass of one image of ``size`` pixels, 0 where they cannot be counted.

    Of matrix products, convolutions and attention, as is usual; counted once for each backbone, number of classes and
    size. The module stays as it is.
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
    # Of a real pass: that of shapes alone takes four times as long for a small network, since much of it is Python.
    image = torch.zeros(1, 3, size, size, device=next(module.parameters()).device)
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it hides its products
    try:
        with in_eval_mode(module), torch.no_grad(), any_kernels(), FlopCounterMode(display=False) as counter:
            module(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)
    return int(counter.get_total_flops()) // 2
