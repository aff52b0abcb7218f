"""Networks for evaluation alone: batch norm, additions and activations fused with the convolutions before them."""

from __future__ import annotations

import copy
import logging
import operator
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

from engine.devices.precision import any_kernels, full_precision
from engine.models.backbones import Network, features

TOLERANCE = 1e-3
"""The largest difference that fusing may make, as a share of the largest feature."""
SMALL = 96
"""Pixels of the images on which a whole network is compared with the fused one, since that is done in every epoch."""
ADDITIONS = (operator.add, operator.iadd, torch.add)
RELU: tuple[str, list[float]] = ("relu", [])
ACTIVATIONS: dict[object, tuple[str, list[float]]] = {
    nn.ReLU: RELU,
    functional.relu: RELU,
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Hardswish: ("hardswish", []),
    nn.SiLU: ("swish", []),
}
"""What oneDNN computes in the same pass over memory as the convolution before it: its name for it, and its bounds."""
logger = logging.getLogger("engine")


class _Convolution(nn.Module):
    """A convolution on a CPU with what follows it, forward only, in the type that autocast asks for."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution, self.activation = convolution, ("none", list[float]())

    def forward(self, images: Tensor, added: Tensor | None = None) -> Tensor:
        """The activation of the convolution of ``images`` and, where there is one, of the sum with ``added``."""
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
        one, (activation, bounds) = self.convolution, self.activation
        bias = None if one.bias is None else one.bias.to(dtype)
        shape = (one.weight.to(dtype), bias, one.padding, one.stride, one.dilation, one.groups)
        compute, images = torch.ops.mkldnn._convolution_pointwise, images.to(dtype)
        found: Tensor
        if added is None:
            found = compute(images, *shape, activation, bounds, "")
        else:
            then = None if activation == "none" else activation
            found = compute.binary(images, added.to(dtype), *shape, "add", 1.0, then, bounds, "")
        return found


def fused(network: Network, size: int) -> Callable[[Tensor], Tensor]:
    """What gives the features of images of ``size`` pixels faster: :func:`features` of a network in eval mode.

    In eval mode a batch norm is one multiplication and addition a channel, which the weights of the convolution before
    it can take over; on a CPU the convolution adds and activates as well. Where that cannot be done, or the features
    would differ by more than rounding, it is :func:`features` itself.
    """
    plain = partial(features, network)
    return _faster(network.module, plain, size, network.head_name) if isinstance(network.head, nn.Linear) else plain


def fused_whole(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Like :func:`fused` what gives the logits of a network in eval mode, with its weights as they are now."""
    return _faster(module, module, SMALL)


def _faster(
    module: nn.Module, plain: Callable[[Tensor], Tensor], size: int, without: str = ""
) -> Callable[[Tensor], Tensor]:
    """A fused copy of ``module``, less the part that is called ``without``, if it gives the same as ``plain``; else
    that.
    """
    if not any(isinstance(one, nn.BatchNorm2d) for one in module.modules()):
        return plain
    try:
        copied = copy.deepcopy(module).eval()
        if without:
            copied.set_submodule(without, nn.Identity())
        faster = fuse(copied, inplace=True).to(memory_format=torch.channels_last)
        device = next(faster.parameters()).device
        if device.type == "cpu" and torch.backends.mkldnn.enabled and isinstance(faster, fx.GraphModule):
            _fuse_convolutions(faster)
        return faster if _agree(plain, faster, device, size) else plain
    except Exception:  # what fx cannot trace raises anything; the plain network gives the same
        logger.info("batch norm of %s is not fused", type(module).__name__, exc_info=True)
        return plain


def _fuse_convolutions(network: fx.GraphModule) -> None:
    """Lets convolutions compute the additions and activations that alone follow them."""
    graph = network.graph
    modules: dict[object, nn.Module] = dict(network.named_modules())

    def convolution(node: object) -> _Convolution | None:
        """The convolution that gives what only one node takes, ready to compute more than that."""
        if not isinstance(node, fx.Node) or node.op != "call_module" or len(node.users) != 1:
            return None
        found = modules[node.target]
        if isinstance(found, nn.Conv2d):
            modules[node.target] = found = _Convolution(found)
            network.set_submodule(str(node.target), found)
        return found if isinstance(found, _Convolution) and found.activation[0] == "none" else None

    for node in list(graph.nodes):
        kind = type(modules[node.target]) if node.op == "call_module" else node.target
        if kind in ADDITIONS and len(node.args) == 2 and all(isinstance(one, fx.Node) for one in node.args):
            for before, added in (node.args, reversed(node.args)):
                if convolution(before) is not None and len(before.args) == 1:
                    with graph.inserting_before(node):
                        node.replace_all_uses_with(graph.call_module(str(before.target), (before.args[0], added)))
                    graph.erase_node(node)
                    graph.erase_node(before)
                    break
        elif kind in ACTIVATIONS and (one := convolution(node.args[0])) is not None:
            one.activation = ACTIVATIONS[kind]
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    network.recompile()


def _agree(
    plain: Callable[[Tensor], Tensor], faster: Callable[[Tensor], Tensor], device: torch.device, size: int
) -> bool:
    """Whether both give the same of noise; never where one gives what is not a number, as activations may hide it."""
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    # in full precision, since the 10 bits of TF32 cannot tell a wrong fusion from a right one
    with torch.inference_mode(), any_kernels(), full_precision(device):
        wanted, found = plain(noise), faster(noise)
    agree = wanted.shape == found.shape and bool((wanted - found).abs().max() <= TOLERANCE * wanted.abs().max())
    if not agree:
        logger.info("batch norm is not fused: the results would differ")
    return agree
