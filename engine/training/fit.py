"""The training loop of one run: a generator of events that knows nothing of logs, threads or screens.

Closing it stops the run; not asking for the next event pauses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import torch
from torch import Tensor
from torch.nn import functional

from engine.clock import PROGRESS_SECONDS, every
from engine.devices.memory_probe import release_memory
from engine.devices.precision import autocast
from engine.logs import events as ev
from engine.logs.events import Event, Metrics
from engine.progress import as_events
from engine.text import counted
from engine.training.batches import Feed, feature_feed, image_feed
from engine.training.evaluation import evaluated
from engine.training.head_start import put_probe
from engine.training.loss_curve import loss_points
from engine.training.memory import DoesNotFitError, Shortage, do_without_onednn
from engine.training.metrics import Tally
from engine.training.optim import set_rates
from engine.training.retrying import WITHOUT_ONEDNN, retry_with_fewer_images
from engine.training.run import DivergedError, Run, Training, trainable_module
from engine.training.step import attempt


def fit(run: Run, training: Training, offer: Callable[[int, Metrics, Tensor], bool]) -> Generator[Event, None, None]:
    """Trains and validates every epoch of the run that is left.

    ``offer(epoch, validation metrics, validation logits)`` is called after each and says whether it is the best yet.

    Where memory runs out, it goes on with smaller parts of a batch, or fewer images at once, and warns of it.

    Raises :class:`DivergedError` where the loss is not finite, :class:`DoesNotFitError` where not even the smallest
    part fits into memory, and what torch raises.
    """
    training.feed = feed = yield from _feed(run, training)
    train = _solve if run.strategy.is_probe else _train
    while training.epoch <= run.strategy.epochs:
        epoch = training.epoch
        set_rates(run.strategy, training.optimizer, epoch)
        if not run.strategy.is_probe:
            yield ev.StageChanged(run=run.name, stage="training", detail=f"epoch {epoch}")
        yield from train(run, training, feed)
        trained, train_seconds = training.tally.metrics(), training.seconds
        began = run.meters.clock()
        yield ev.StageChanged(run=run.name, stage="validating", detail=f"epoch {epoch}")
        val, logits = yield from _validate(run, training, feed)
        seconds = train_seconds + run.meters.clock() - began
        is_best = offer(epoch, val, logits)
        training.begin_epoch(epoch + 1)
        yield ev.EpochFinished(
            run=run.name,
            epoch=epoch,
            train=trained,
            val=val,
            learning_rate=float(training.optimizer.param_groups[0]["lr"]),
            seconds=seconds,
            train_seconds=train_seconds,
            images_per_second=trained.images / train_seconds,
            memory=run.memory.sample(),
            is_best=is_best,
            run_seconds=(run.meters() - training.began).seconds,
        )


def _feed(run: Run, training: Training) -> Generator[Event, None, Feed]:
    strategy = run.strategy
    at_the_start = (training.epoch, training.step) == (1, 0)
    if strategy.head == "probe" and not strategy.is_probe and at_the_start and not training.solved:
        solved = yield from put_probe(run, (yield from _features(run, training)))
        training.solved = True
        yield solved
    if not run.strategy.on_features:
        return image_feed(run.images, run.strategy, run.seed, run.model)
    features = yield from _features(run, training)
    return feature_feed(run.images, run.strategy, run.seed, run.network, features)


def _features(run: Run, training: Training) -> Generator[Event, None, Tensor]:
    """The features of the backbone as it is, in eval mode.

    What counts is what extracting them took, wherever that was, and not what getting them takes here: neither does a
    run cost less because it comes later, nor more because it was interrupted.
    """
    run.network.module.eval()
    taken = run.meters() - training.began
    try:
        features = yield from retry_with_fewer_images(
            run,
            training,
            "extracting features",
            run.images.prepared.count,
            lambda at_once: as_events(run.features(at_once), "features", run.meters.clock, run.name),
        )
    finally:
        training.began = run.meters() - taken
    if not training.features_counted:
        training.began -= features.cost
        training.features_counted, training.reused_feature_seconds = True, features.elsewhere
    return features.table


def _solve(run: Run, training: Training, feed: Feed) -> Generator[Event, None, None]:
    """The only epoch of a probe, whose training metrics are those of the head that it ends with."""
    if training.step == feed.train_steps:  # an earlier process did it
        return
    assert feed.features is not None
    began, part = run.meters.clock() - training.seconds, run.images.prepared.train
    if not training.solved:
        solved = yield from put_probe(run, feed.features)
        training.solved, training.seconds = True, run.meters.clock() - began
        yield solved
    trainable_module(run).eval()

    def measured(at_once: int | None) -> Generator[Event, None, Tally]:
        tally = Tally(run.images.device)
        for inputs, labels in feed.still(part, at_once):
            with torch.inference_mode(), autocast(run.images.device, run.precision):
                logits = feed.model(inputs).float()
            tally.add(logits, labels, functional.cross_entropy(logits, labels))
        yield from ()
        return tally

    training.tally = yield from retry_with_fewer_images(run, training, "measuring the head", len(part.labels), measured)
    training.step = feed.train_steps
    training.seconds = run.meters.clock() - began


def _train(run: Run, training: Training, feed: Feed) -> Generator[Event, None, None]:
    """The steps of the epoch that are left."""
    trainable_module(run).train()
    tally, epoch, finite = training.tally, training.epoch, training.step
    due, began = every(PROGRESS_SECONDS, run.meters.clock), run.meters.clock() - training.seconds
    point = loss_points(run, training, feed.train_steps)
    batches = feed.train(epoch, training.step, training.micro_batches)
    while training.step < feed.train_steps:
        done = attempt(run, training, feed, batches)
        if isinstance(done, str):
            batches.close()  # it holds a batch
            training.seconds = run.meters.clock() - began
            yield _smaller_steps(run, training, feed.train_sizes[training.step], done)
            batches = feed.train(epoch, training.step, training.micro_batches)
            continue
        for measured in done:
            tally.add(*measured)
        training.step += 1
        if due():
            loss = _finite(tally.loss(), training, finite)
            training.seconds, finite = run.meters.clock() - began, training.step
            yield ev.Progress(
                run=run.name,
                stage="training",
                step=training.step,
                steps=feed.train_steps,
                epoch=epoch,
                loss=loss,
                images_per_second=tally.images / training.seconds,
            )
            yield from point(loss)
    loss = _finite(tally.loss(), training, finite)
    training.seconds = run.meters.clock() - began
    yield from point(loss)


def _smaller_steps(run: Run, training: Training, size: int, short: Shortage) -> ev.Warned:
    """Gives memory back and makes what a step needs smaller; :class:`DoesNotFitError` where that cannot be."""
    release_memory()
    where = f"at step {training.step + 1} of epoch {training.epoch}"
    if short == "kernels":
        do_without_onednn()
        return ev.Warned(run=run.name, message=f"out of memory {where}: {WITHOUT_ONEDNN}")
    before = max(training.micro_batches.sizes(size))
    smaller = training.micro_batches.halved(size)
    if smaller is None:
        images = counted(before, "image", "images")
        raise DoesNotFitError(f"a training step of {images} at once does not fit into memory, {where}")
    training.micro_batches = smaller
    images = counted(max(smaller.sizes(size)), "image", "images")
    parts = f"parts of at most {images}, whose gradients are summed"
    but = ", except for batch norm, whose statistics are per part" if smaller.least > 1 else ""
    message = (
        f"out of memory {where}: from now on a batch of {size} is computed in {parts}; the step stays the same{but}"
    )
    return ev.Warned(run=run.name, message=message)


def _validate(run: Run, training: Training, feed: Feed) -> Generator[Event, None, tuple[Metrics, Tensor]]:
    """Metrics over the validation images, and their logits (images, classes) in file order."""
    trainable_module(run).eval()
    epoch, part = training.epoch, run.images.prepared.val
    metrics, logits = yield from retry_with_fewer_images(
        run,
        training,
        "validating",
        len(part.labels),
        lambda at_once: evaluated(run, feed, part, "validating", epoch, at_once),
    )
    if not math.isfinite(metrics.loss):
        raise DivergedError(f"the validation loss became {metrics.loss} in epoch {epoch}, after step {training.step}")
    return metrics, logits


def _finite(loss: float, training: Training, finite: int) -> float:
    """The loss after the step that was done last, where it is finite; it was so after step ``finite``."""
    if not math.isfinite(loss):
        last = training.step
        where = f"at step {last}" if last == finite + 1 else f"in one of the steps {finite + 1} to {last}"
        raise DivergedError(f"the loss became {loss} in epoch {training.epoch}, {where}")
    return loss
