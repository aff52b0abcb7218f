"""torch.compile for networks, with a graph for each size of batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

MOST_GRAPHS = 1024
"""So many graphs of one kind of network a process may compile: for each size of batch, in training and in evaluation,
of each strategy. Past torch's own limit, 8, a network would run uncompiled without a word."""


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network, compiled when it is first called with images of a shape: (B, 3, size, size)."""
    config = torch._dynamo.config
    config.recompile_limit = config.accumulated_recompile_limit = MOST_GRAPHS
    faster: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False)
    return faster
