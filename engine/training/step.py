"""One step of the optimizer, on a whole batch or on the parts of one that does not fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.nn import functional
from torch.optim import Optimizer

from engine.devices.precision import autocast
from engine.specs.spec import Arithmetic
from engine.training.batches import Batch, Feed
from engine.training.class_weights import weighted_loss
from engine.training.memory import Shortage, shortage
from engine.training.run import Run, Training, trainable_module

Measured = tuple[Tensor, Tensor, Tensor]
"""A part of a batch as it was computed: logits (images, classes), labels (images,) and mean loss."""
logger = logging.getLogger("engine")


def gradients(
    model: Callable[[Tensor], Tensor],
    optimizer: Optimizer,
    scaler: GradScaler,
    precision: Arithmetic,
    parts: Iterator[Batch],
    size: int,
    class_weights: Tensor | None = None,
) -> list[Measured]:
    """Gradients of the mean loss over a batch of so many images, which comes in parts; nothing waits for the device.

    ``class_weights`` (classes,) are what an image counts for; the losses that are returned are without them.
    """
    measured: list[Measured] = []
    done = 0
    while done < size:
        inputs, labels = next(parts)
        with autocast(inputs.device, precision):
            logits = model(inputs)
        logits = logits.float()
        loss = functional.cross_entropy(logits, labels)
        if not done:
            optimizer.zero_grad(set_to_none=True)
        minimised = loss if class_weights is None else weighted_loss(logits, labels, class_weights)
        share = minimised if len(labels) == size else minimised * (len(labels) / size)
        torch.autograd.backward(scaler.scale(share))
        measured.append((logits, labels, loss))
        done += len(labels)
    return measured


def attempt(run: Run, training: Training, feed: Feed, parts: Iterator[Batch]) -> list[Measured] | Shortage:
    """Does the next step of the optimizer, on a batch that comes in parts.

    Returns what memory ran out for, if it did; then nothing has changed, because the optimizer's state was allocated in
    advance. But where a batch of that size did fit before, and memory ends since something else has taken it, the
    running statistics of batch norm may have seen a part of this batch once more than they should: keeping a copy of
    them before every step would cost all the others.
    """
    optimizer, scaler, size = training.optimizer, training.scaler, feed.train_sizes[training.step]
    kept: list[tuple[Tensor, Tensor]] = []
    try:
        if size > training.largest_batch_done:
            kept = [(buffer, buffer.clone()) for buffer in trainable_module(run).buffers()]
        measured = gradients(feed.model, optimizer, scaler, run.precision, parts, size, training.class_weights)
        scaler.step(optimizer)
    except Exception as error:
        short = shortage(error)
        if short is None:
            raise
        logger.warning("no memory for a step: %s", str(error))  # a record that keeps the error keeps its memory
    else:
        scaler.update()
        training.largest_batch_done = max(training.largest_batch_done, size)
        return measured
    with torch.no_grad():
        for buffer, before in kept:
            buffer.copy_(before)
    optimizer.zero_grad(set_to_none=True)
    for left in ("grad_scale", "found_inf"):  # of the scaler; the next step would multiply with it
        vars(optimizer).pop(left, None)
    return short
