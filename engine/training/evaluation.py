"""Evaluating a network on a part of the images, and measuring the best epoch on the test part."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Literal

import torch
from torch import Tensor

from engine.clock import PROGRESS_SECONDS, every
from engine.data.prepared import PreparedPart
from engine.devices.device import wait_for
from engine.devices.precision import autocast
from engine.logs import events as ev
from engine.logs.events import Event, Metrics
from engine.models.fused import fused_whole
from engine.training.batches import Feed
from engine.training.best import BestEpoch
from engine.training.metrics import evaluate
from engine.training.retrying import retry_with_fewer_images
from engine.training.run import Run, Training, trainable_module

WORTH_FUSING = 64
"""Images from which on a CPU gains more by a fused network than it takes to fuse it."""


def evaluated(
    run: Run, feed: Feed, part: PreparedPart, stage: Literal["validating", "testing"], epoch: int, at_once: int | None
) -> Generator[Event, None, tuple[Metrics, Tensor]]:
    """Metrics over the images of a part, and their logits (images, classes) in file order, with the network as it is.

    Tells its progress in images.
    """
    due, began, done = every(PROGRESS_SECONDS, run.meters.clock), run.meters.clock(), 0
    logits, model = torch.empty(0), _forward_only(run, feed, len(part.labels))
    for inputs, targets in feed.still(part, at_once):
        with torch.inference_mode(), autocast(run.images.device, run.precision):
            found = model(inputs)
        if not done:
            logits = torch.empty(len(part.labels), found.shape[1], device=found.device)
        logits[done : done + len(targets)] = found
        done += len(targets)
        if due():
            wait_for(run.images.device)
            speed = done / (run.meters.clock() - began)
            yield ev.Progress(
                run=run.name,
                stage=stage,
                step=done,
                steps=len(part.labels),
                epoch=epoch,
                images_per_second=speed,
            )
    return evaluate(logits, part.labels.to(logits.device)), logits


def _forward_only(run: Run, feed: Feed, images: int) -> Callable[[Tensor], Tensor]:
    """What maps the inputs of so many images to logits where nothing is learnt, with the network as it is now."""
    on_cpu, compiled = run.images.device.type == "cpu", run.model is not run.network.module
    if run.strategy.on_features or compiled or not on_cpu or images < WORTH_FUSING:
        return feed.model
    return fused_whole(run.network.module)


def measure_test(run: Run, training: Training, best: BestEpoch) -> Generator[Event, None, None]:
    """Measures the best epoch on the test part and keeps in ``best`` what it said; the network stays as it is.

    Does nothing where there is no such part, no epoch has ended, or training has not begun in this process.
    """
    part, feed = run.images.prepared.test, training.feed
    if feed is None or best.val is None or not len(part.labels):
        return
    yield ev.StageChanged(run=run.name, stage="testing", detail=f"the best epoch, {best.epoch}")

    def work(at_once: int | None) -> Generator[Event, None, tuple[Metrics, Tensor]]:
        with best.in_place():
            trainable_module(run).eval()
            return (yield from evaluated(run, feed, part, "testing", best.epoch, at_once))

    metrics, logits = yield from retry_with_fewer_images(run, training, "testing", len(part.labels), work)
    if math.isfinite(metrics.loss):
        best.test, best.test_logits = metrics, logits
    else:
        message = f"test failed: the loss on the test images is {metrics.loss} at epoch {best.epoch}"
        yield ev.Warned(run=run.name, message=message)
