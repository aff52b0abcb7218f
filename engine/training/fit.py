"""The training loop of one run: a generator of events that knows nothing of logs, threads or screens.

Closing it stops the run; not asking for the next event pauses it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional
from torch.optim import Optimizer

from engine import events as ev
from engine.controls import PROGRESS_SECONDS, every
from engine.devices import MemoryProbe, autocast, gradient_scaler, wait_for
from engine.events import Event, Metrics
from engine.models.backbones import Network, set_training_mode
from engine.progress import WorkDone, told
from engine.spec import Arithmetic, Strategy
from engine.training.batches import Batch, Feed, Images, batch_sizes, evaluation_sizes, feature_feed, image_feed
from engine.training.metrics import Tally, evaluate
from engine.training.optim import make_optimizer, make_scheduler


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Run:
    """Everything that one run needs. ``clock`` gives seconds and stands still while the run is paused.

    ``model`` maps the backbone's input to logits: the network's module, or what ``torch.compile`` made of it.
    ``features``: the work of getting a frozen backbone's, see :mod:`engine.training.features`; None where all trains.
    """

    name: str
    strategy: Strategy
    seed: int
    network: Network
    model: Callable[[Tensor], Tensor]
    images: Images
    precision: Arithmetic
    memory: MemoryProbe
    clock: Callable[[], float] = time.perf_counter
    features: Callable[[], Generator[WorkDone, None, Tensor]] | None = None


def fit(run: Run, offer: Callable[[int, Metrics, Tensor], bool]) -> Generator[Event, None, None]:
    """Trains and validates every epoch of the run.

    ``offer(epoch, validation metrics, validation logits)`` is called after each and says whether it is the best yet.

    Raises :class:`DivergedError` where the loss is not finite, and what torch raises.
    """
    set_training_mode(run.network)
    feed = yield from _feed(run)
    optimizer = make_optimizer(run.strategy, run.network.module.parameters())
    scheduler = make_scheduler(run.strategy, optimizer)
    scaler = gradient_scaler(run.images.device, run.precision)
    for epoch in range(1, run.strategy.epochs + 1):
        began = run.clock()
        rate = float(scheduler.get_last_lr()[0])
        yield ev.StageChanged(run=run.name, stage="training", detail=f"epoch {epoch}")
        train = yield from _train(run, feed, optimizer, scaler, epoch)
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
    """One step on blank images, undone: what is paid only once (loading, choosing and compiling kernels) is then not
    counted as the time of the run that happens to come first.
    """
    train_sizes, val_sizes = _shapes(run)
    if not train_sizes and not val_sizes:
        return
    network, device, crop = run.network, run.images.device, run.images.preprocessing.crop
    before = copy.deepcopy(network.module.state_dict())
    optimizer = make_optimizer(run.strategy, network.module.parameters())
    scaler = gradient_scaler(device, run.precision)
    for size in train_sizes:
        set_training_mode(network)
        blank = torch.zeros(size, 3, crop, crop, device=device).to(memory_format=torch.channels_last)
        labels = torch.zeros(size, dtype=torch.int64, device=device)
        _step(run, run.model, optimizer, scaler, (blank, labels))
    network.module.eval()
    for size in val_sizes:
        blank = torch.zeros(size, 3, crop, crop, device=device).to(memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(device, run.precision):
            run.model(blank)
    optimizer.zero_grad(set_to_none=True)
    network.module.load_state_dict(before)
    wait_for(device)


def _shapes(run: Run) -> tuple[list[int], list[int]]:
    """The sizes of batches for which kernels are chosen or compiled; on a CPU two images load all there is."""
    if run.images.device.type == "cpu" and run.model is run.network.module:
        return ([2] if run.features is None else []), []  # a frozen backbone is tried out where it is folded
    train = batch_sizes(len(run.images.prepared.train.labels), run.strategy.batch_size)
    val = evaluation_sizes(len(run.images.prepared.val.labels), run.images.device)
    return sorted(set(train)), sorted(set(val))


def _feed(run: Run) -> Generator[Event, None, Feed]:
    if run.features is None:
        return image_feed(run.images, run.strategy, run.seed, run.model)
    features = yield from told(run.features(), "features", run.clock, run.name)
    return feature_feed(run.images, run.strategy, run.seed, run.network, features)


def _train(
    run: Run, feed: Feed, optimizer: Optimizer, scaler: GradScaler, epoch: int
) -> Generator[Event, None, Metrics]:
    _what_trains(run).train()
    tally, due, began = Tally(run.images.device), every(PROGRESS_SECONDS, run.clock), run.clock()
    for step, batch in enumerate(feed.train(epoch), start=1):
        tally.add(*_step(run, feed.model, optimizer, scaler, batch))
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


def _what_trains(run: Run) -> nn.Module:
    """The part of the network that changes between training and evaluation; a frozen backbone does not."""
    return run.network.module if run.features is None else run.network.head


def _step(
    run: Run, model: Callable[[Tensor], Tensor], optimizer: Optimizer, scaler: GradScaler, batch: Batch
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the optimizer on a batch; its logits, labels and mean loss, for which nothing waits."""
    inputs, labels = batch
    with autocast(run.images.device, run.precision):
        logits = model(inputs)
    logits = logits.float()
    loss = functional.cross_entropy(logits, labels)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(scaler.scale(loss))
    scaler.step(optimizer)
    scaler.update()
    return logits, labels, loss


def _validate(run: Run, feed: Feed, epoch: int) -> Generator[Event, None, tuple[Metrics, Tensor]]:
    """Metrics over the validation images, and their logits (images, classes) in file order."""
    _what_trains(run).eval()
    due, began, done = every(PROGRESS_SECONDS, run.clock), run.clock(), 0
    parts: list[Tensor] = []
    labels: list[Tensor] = []
    for step, (inputs, targets) in enumerate(feed.val(), start=1):
        with torch.inference_mode(), autocast(run.images.device, run.precision):
            parts.append(feed.model(inputs).float())
        labels.append(targets)
        done += len(targets)
        if due():
            wait_for(run.images.device)
            speed = done / (run.clock() - began)
            yield ev.Progress(
                run=run.name,
                stage="validating",
                step=step,
                steps=feed.val_steps,
                epoch=epoch,
                images_per_second=speed,
            )
    logits = torch.cat(parts)
    metrics = evaluate(logits, torch.cat(labels))
    _finite(metrics.loss, epoch)
    return metrics, logits


def _finite(loss: float, epoch: int) -> float:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss} in epoch {epoch}")
    return loss
