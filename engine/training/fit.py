"""The training loop of one run: a generator of events that knows nothing of logs, threads or screens.

Closing it stops the run; not asking for the next event pauses it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from engine import events as ev
from engine.controls import PROGRESS_SECONDS, every
from engine.devices import MemoryProbe, autocast
from engine.events import Event, Metrics
from engine.models.backbones import Network, features, set_training_mode
from engine.spec import Strategy
from engine.training.batches import Feed, Images, feature_feed, image_feed
from engine.training.metrics import Tally, evaluate
from engine.training.optim import make_optimizer, make_scheduler


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Run:
    """Everything that one run needs. ``clock`` gives seconds and stands still while the run is paused."""

    name: str
    strategy: Strategy
    seed: int
    network: Network
    images: Images
    precision: Literal["fp32", "bf16"]
    memory: MemoryProbe
    clock: Callable[[], float] = time.perf_counter


def fit(run: Run, offer: Callable[[int, Metrics, Tensor], bool]) -> Generator[Event, None, None]:
    """Trains and validates every epoch of the run.

    ``offer(epoch, validation metrics, validation logits)`` is called after each and says whether it is the best yet.

    Raises :class:`DivergedError` where the loss is not finite, and what torch raises.
    """
    set_training_mode(run.network)
    feed = yield from _feed(run)
    optimizer = make_optimizer(run.strategy, run.network.module.parameters())
    scheduler = make_scheduler(run.strategy, optimizer)
    for epoch in range(1, run.strategy.epochs + 1):
        began = run.clock()
        rate = float(scheduler.get_last_lr()[0])
        yield ev.StageChanged(run=run.name, stage="training", detail=f"epoch {epoch}")
        train = yield from _train(run, feed, optimizer, epoch)
        trained = run.clock()
        yield ev.StageChanged(run=run.name, stage="validating", detail=f"epoch {epoch}")
        val, logits = yield from _validate(run, feed, epoch)
        seconds = run.clock() - began
        scheduler.step()
        is_best = offer(epoch, val, logits)
        yield ev.EpochFinished(
            run=run.name,
            epoch=epoch,
            train=train,
            val=val,
            learning_rate=rate,
            seconds=seconds,
            train_seconds=trained - began,
            images_per_second=train.images / (trained - began),
            memory=run.memory.sample(),
            is_best=is_best,
        )


def warm_up(run: Run) -> None:
    """One step of a copy of the network, thrown away: what is paid only once (loading and choosing kernels) is then
    not counted as the time of the run that happens to come first.
    """
    network = copy.deepcopy(run.network)
    set_training_mode(network)
    index = torch.arange(min(run.strategy.batch_size, len(run.images.train.labels)))
    inputs, labels = run.images.central(run.images.train, index)
    with autocast(run.images.device, run.precision):
        logits = network.module(inputs)
    torch.autograd.backward(functional.cross_entropy(logits.float(), labels))
    make_optimizer(run.strategy, network.module.parameters()).step()


def _feed(run: Run) -> Generator[Event, None, Feed]:
    if run.strategy.trains == "all":
        return image_feed(run.images, run.strategy, run.seed, run.network)
    yield ev.StageChanged(run=run.name, stage="features", detail="every image once")
    due = every(PROGRESS_SECONDS, run.clock)
    began = run.clock()
    extraction = feature_feed(
        run.images, run.strategy, run.seed, run.network, partial(_frozen_features, run, run.network)
    )
    while True:
        try:
            done, total = next(extraction)
        except StopIteration as finished:
            feed: Feed = finished.value
            return feed
        if due():
            speed = done / (run.clock() - began)
            yield ev.Progress(run=run.name, stage="features", step=done, steps=total, images_per_second=speed)


def _frozen_features(run: Run, network: Network, inputs: Tensor) -> Tensor:
    with autocast(run.images.device, run.precision):
        return features(network, inputs).float()


def _train(run: Run, feed: Feed, optimizer: Optimizer, epoch: int) -> Generator[Event, None, Metrics]:
    set_training_mode(run.network)
    device = run.images.device
    tally, due, began = Tally(device), every(PROGRESS_SECONDS, run.clock), run.clock()
    for step, (inputs, labels) in enumerate(feed.train(epoch), start=1):
        with autocast(device, run.precision):
            logits = feed.model(inputs)
        logits = logits.float()
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        tally.add(logits, labels, loss)
        if due():
            yield ev.Progress(
                run=run.name,
                stage="training",
                step=step,
                steps=feed.train_steps,
                epoch=epoch,
                loss=_finite(tally.loss(), epoch),
                images_per_second=tally.images / (run.clock() - began),
            )
    metrics = tally.metrics()
    _finite(metrics.loss, epoch)
    return metrics


def _validate(run: Run, feed: Feed, epoch: int) -> Generator[Event, None, tuple[Metrics, Tensor]]:
    """Metrics over the validation images, and their logits (images, classes) in file order."""
    run.network.module.eval()
    due = every(PROGRESS_SECONDS, run.clock)
    parts: list[Tensor] = []
    labels: list[Tensor] = []
    for step, (inputs, targets) in enumerate(feed.val(), start=1):
        with torch.inference_mode(), autocast(run.images.device, run.precision):
            parts.append(feed.model(inputs).float())
        labels.append(targets)
        if due():
            yield ev.Progress(run=run.name, stage="validating", step=step, steps=feed.val_steps, epoch=epoch)
    logits = torch.cat(parts)
    metrics = evaluate(logits, torch.cat(labels))
    _finite(metrics.loss, epoch)
    return metrics, logits


def _finite(loss: float, epoch: int) -> float:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss} in epoch {epoch}")
    return loss
