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
from torch.optim.lr_scheduler import LRScheduler

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


@dataclass
class Training:
    """What changes while a run trains, besides its network: whole and true whenever :func:`fit` yields.

    The position is ``step`` steps into ``epoch`` (from 1); ``tally`` and ``seconds`` are of that epoch's training.
    """

    optimizer: Optimizer
    scheduler: LRScheduler
    scaler: GradScaler
    tally: Tally
    epoch: int = 1
    step: int = 0
    seconds: float = 0.0

    def begin_epoch(self, epoch: int) -> None:
        """Stands at the beginning of an epoch."""
        self.epoch, self.step, self.seconds = epoch, 0, 0.0
        self.tally = Tally(self.tally.device)


def at_the_start(run: Run) -> Training:
    """The training of a run before its first step."""
    optimizer = make_optimizer(run.strategy, run.network.module.parameters())
    device = run.images.device
    scheduler = make_scheduler(run.strategy, optimizer)
    return Training(optimizer, scheduler, gradient_scaler(device, run.precision), Tally(device))


def fit(run: Run, training: Training, offer: Callable[[int, Metrics, Tensor], bool]) -> Generator[Event, None, None]:
    """Trains and validates every epoch of the run that is left.

    ``offer(epoch, validation metrics, validation logits)`` is called after each and says whether it is the best yet.

    Raises :class:`DivergedError` where the loss is not finite, and what torch raises.
    """
    set_training_mode(run.network)
    feed = yield from _feed(run)
    while training.epoch <= run.strategy.epochs:
        epoch, rate = training.epoch, float(training.scheduler.get_last_lr()[0])
        yield ev.StageChanged(run=run.name, stage="training", detail=f"epoch {epoch}")
        yield from _train(run, training, feed)
        train, train_seconds = training.tally.metrics(), training.seconds
        began = run.clock()
        yield ev.StageChanged(run=run.name, stage="validating", detail=f"epoch {epoch}")
        val, logits = yield from _validate(run, feed, epoch)
        seconds = train_seconds + run.clock() - began
        training.scheduler.step()
        is_best = offer(epoch, val, logits)
        training.begin_epoch(epoch + 1)
        yield ev.EpochFinished(
            run=run.name,
            epoch=epoch,
            train=train,
            val=val,
            learning_rate=rate,
            seconds=seconds,
            train_seconds=train_seconds,
            images_per_second=train.images / train_seconds,
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


def _train(run: Run, training: Training, feed: Feed) -> Generator[Event, None, None]:
    """The steps of the epoch that are left."""
    _what_trains(run).train()
    tally, epoch = training.tally, training.epoch
    due, began = every(PROGRESS_SECONDS, run.clock), run.clock() - training.seconds
    for step, batch in enumerate(feed.train(epoch, training.step), start=training.step + 1):
        tally.add(*_step(run, feed.model, training.optimizer, training.scaler, batch))
        training.step = step
        if due():
            loss = _finite(tally.loss(), epoch, step)
            training.seconds = run.clock() - began
            yield ev.Progress(
                run=run.name,
                stage="training",
                step=step,
                steps=feed.train_steps,
                epoch=epoch,
                loss=loss,
                images_per_second=tally.images / training.seconds,
            )
    _finite(tally.loss(), epoch, training.step)
    training.seconds = run.clock() - began


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
    if not math.isfinite(metrics.loss):
        raise DivergedError(f"the validation loss became {metrics.loss} in epoch {epoch}")
    return metrics, logits


def _finite(loss: float, epoch: int, step: int) -> float:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss became {loss} in epoch {epoch}, at step {step} or just before")
    return loss
