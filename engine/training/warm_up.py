"""One step before the time of a run counts, for what is paid only once: loading, choosing and compiling kernels."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable

import torch
from torch import Tensor

from engine.devices.device import wait_for
from engine.devices.precision import autocast, gradient_scaler
from engine.specs.batch_sizes import batch_sizes
from engine.specs.spec import Arithmetic
from engine.training.batches import evaluation_sizes
from engine.training.memory import shortage
from engine.training.optim import make_optimizer
from engine.training.probe import divided
from engine.training.run import Run
from engine.training.step import gradients

logger = logging.getLogger("engine")


def warm_up(run: Run) -> None:
    """One step on blank images, undone: what is paid only once (loading, choosing and compiling kernels) is then not
    counted as the time of the run that happens to come first. What does not fit into memory is left to the run.
    """
    if run.strategy.solves_head:
        divided(run.images.prepared.train.samples, 2, 0)  # loads scikit-learn
    train_sizes, val_sizes = _shapes(run)
    if not train_sizes and not val_sizes:
        return
    before = copy.deepcopy(run.network.module.state_dict())
    try:
        _compute_blanks(run, train_sizes, val_sizes)
    except Exception as error:
        if not shortage(error):
            raise
        logger.warning("no memory to warm up with: %s", str(error))
    run.network.module.zero_grad(set_to_none=True)
    run.network.module.load_state_dict(before)
    wait_for(run.images.device)


def _compute_blanks(run: Run, train_sizes: list[int], val_sizes: list[int]) -> None:
    network, device, crop = run.network, run.images.device, run.images.preprocessing.crop
    optimizer = make_optimizer(run.strategy, network)
    scaler = gradient_scaler(device, run.precision)
    for size in train_sizes:
        network.module.train()
        blank = _blanks(size, crop, device)
        labels = torch.zeros(size, dtype=torch.int64, device=device)
        gradients(run.model, optimizer, scaler, run.precision, iter([(blank, labels)]), size)
        scaler.step(optimizer)
        scaler.update()
    network.module.eval()
    for size in val_sizes:
        forward_blanks(run.model, size, crop, device, run.precision)


def forward_blanks(
    model: Callable[[Tensor], Tensor], count: int, crop: int, device: torch.device, precision: Arithmetic
) -> None:
    """A forward pass of so many blank images of ``crop`` pixels, for what is paid at the first one of its shape."""
    with torch.inference_mode(), autocast(device, precision):
        model(_blanks(count, crop, device))


def _blanks(count: int, crop: int, device: torch.device) -> Tensor:
    return torch.zeros(count, 3, crop, crop, device=device).to(memory_format=torch.channels_last)


def _shapes(run: Run) -> tuple[list[int], list[int]]:
    """The sizes of batches for which kernels are chosen or compiled; on a CPU two images load all there is."""
    if run.strategy.on_features:
        return [], []  # a frozen backbone is warmed up where its features are extracted
    if run.images.device.type == "cpu" and run.model is run.network.module:
        return [2], []
    count = len(run.images.prepared.train.labels)
    train = batch_sizes(count, run.strategy.batch_size)
    val = evaluation_sizes(len(run.images.prepared.val.labels), run.images.device)
    return sorted(set(train)), sorted(set(val))
