"""Weights of classes in the loss, for classes of unequal size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.specs.strategy import Strategy


def class_weights(strategy: Strategy, labels: Tensor, classes: int) -> Tensor | None:
    """Float64 (classes,) on the CPU from the labels (N,) of the training images, with mean 1 over these; None where
    every image counts as much as any other.

    ``balanced``: N / (classes with images * images of the class), as ``sklearn.utils.compute_class_weight`` has it;
    0 for a class without an image.
    """
    if strategy.class_weights == "none":
        return None
    counts = torch.bincount(labels.cpu(), minlength=classes)
    shares = counts * int(counts.count_nonzero()) / len(labels)
    return torch.where(counts > 0, 1 / shares.double(), 0.0)


def weighted_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The mean over a batch's images of cross-entropy times the weight of the image's class.

    Not over the sum of these weights, as torch's own mean is: that differs from batch to batch, so an image would count
    for the less the more of its class are beside it, and the parts of a batch would not add up to it.
    """
    return functional.cross_entropy(logits, labels, weights, reduction="sum") / len(labels)
