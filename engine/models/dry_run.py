"""Passes through a network that change nothing of it: in eval mode, and with shapes instead of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.func import functional_call


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """The module in eval mode; afterwards each of its parts is in the mode that it was in."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def dry_run(module: nn.Module, size: int) -> None:
    """The forward pass of an image of ``size`` pixels in eval mode, on the meta device: only hooks learn from it."""
    values = {name: tensor.to("meta") for name, tensor in (*module.named_parameters(), *module.named_buffers())}
    with in_eval_mode(module), torch.no_grad():
        functional_call(module, values, torch.empty(1, 3, size, size, device="meta"))
