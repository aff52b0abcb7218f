"""Batch norm fused with the convolutions before it, for backbones that no longer learn."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from engine.devices.precision import any_kernels, full_precision
from engine.models.backbones import Network, features

TOLERANCE = 1e-3
"""The largest difference that fusing may make, as a share of the largest feature."""
logger = logging.getLogger("engine")


def fused(network: Network, size: int) -> Callable[[Tensor], Tensor]:
    """What gives the features of images of ``size`` pixels faster: :func:`features` of a network in eval mode.

    In eval mode a batch norm is one multiplication and addition a channel, which the weights of the convolution before
    it can take over. Where that cannot be done, or the features would differ by more than rounding, it is
    :func:`features` itself.
    """
    plain = partial(features, network)
    norms = any(isinstance(module, nn.BatchNorm2d) for module in network.module.modules())
    if not norms or not isinstance(network.head, nn.Linear):
        return plain
    try:
        backbone = copy.deepcopy(network.module).eval()
        backbone.set_submodule(network.head_name, nn.Identity())
        faster = fuse(backbone, inplace=True).to(memory_format=torch.channels_last)
        return faster if _agree(plain, faster, network, size) else plain
    except Exception:  # what fx cannot trace raises anything; the plain network gives the same features
        logger.info("batch norm of %s is not fused", type(network.module).__name__, exc_info=True)
        return plain


def _agree(plain: Callable[[Tensor], Tensor], faster: Callable[[Tensor], Tensor], network: Network, size: int) -> bool:
    device = next(network.module.parameters()).device
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    # in full precision, since the 10 bits of TF32 cannot tell a wrong fusion from a right one
    with torch.inference_mode(), any_kernels(), full_precision(device):
        wanted, found = plain(noise), faster(noise)
    agree = wanted.shape == found.shape and bool((wanted - found).abs().max() <= TOLERANCE * wanted.abs().max())
    if not agree:
        logger.info("batch norm of %s is not fused: its features would differ", type(network.module).__name__)
    return agree
