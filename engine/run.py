"""One run from its weights to its saved files: a strategy with a seed, as a generator of events."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from engine import events as ev
from engine.controls import PROGRESS_SECONDS, Interrupted, Stopwatch, every
from engine.data.dataset import DataError, DataSet, Sample
from engine.data.images import Decoded, decode
from engine.devices import MemoryProbe, release_memory
from engine.events import Event
from engine.models.backbones import Preprocessing, build, count_parameters
from engine.models.weights import Pretrained, WeightsError, fetch
from engine.spec import Strategy, run_id
from engine.text import shown
from engine.training.batches import Images
from engine.training.best import Best
from engine.training.fit import DivergedError, Run, fit, warm_up
from engine.training.schedule import planned_rates

SAVE_SECONDS = 30.0
logger = logging.getLogger("engine")


@dataclass(frozen=True)
class Shared:
    """What the runs of an experiment share; ``decoded`` holds training and validation images by side in pixels."""

    dataset: DataSet
    folder: Path
    weights: str
    device: torch.device
    precision: Literal["fp32", "bf16"]
    memory: MemoryProbe
    clock: Stopwatch
    decoded: dict[int, tuple[Decoded, Decoded]] = field(default_factory=dict)


def run_events(shared: Shared, strategy: Strategy, seed: int, view: Preprocessing) -> Generator[Event, None, None]:
    """Everything that happens in one run, ending with ``RunFinished`` or ``RunFailed``.

    :class:`Interrupted` may be thrown in at any event: the run then saves its best epoch and ends early.
    Raises ``DataError`` where the images cannot be used at all, since no other run could go on either.
    """
    name, clock = run_id(strategy, seed), shared.clock
    best: Best | None = None
    began, cpu_began = clock(), time.process_time()

    def finished(end: ev.RunEnd) -> ev.RunFinished:
        seconds, cpu_seconds = clock() - began, time.process_time() - cpu_began
        return ev.RunFinished(
            run=name, end=end, seconds=seconds, cpu_seconds=cpu_seconds, memory=shared.memory.sample()
        )

    last: ev.RunFinished | ev.RunFailed
    try:
        train, val = yield from _decoded(shared, view.resize)
        pretrained = yield from _pretrained(shared, strategy, name)
        network = build(strategy.backbone, len(shared.dataset.classes), strategy.trains, pretrained.state, seed)
        network.module.to(shared.device).to(memory_format=torch.channels_last)
        images = Images(train, val, view, shared.device)
        run = Run(name, strategy, seed, network, images, shared.precision, shared.memory, clock)
        best = Best(run, shared.folder, shared.dataset.classes)
        warm_up(run)
        release_memory()
        shared.memory.reset_peak()
        began, cpu_began = clock(), time.process_time()
        total, trainable = count_parameters(network.module)
        yield ev.RunStarted(
            run=name,
            strategy=strategy.name,
            seed=seed,
            weights=pretrained.origin,
            parameters_total=total,
            parameters_trainable=trainable,
            precision=shared.precision,
            learning_rates=planned_rates(strategy.optimizer.lr, strategy.schedule, strategy.epochs),
            memory=shared.memory.sample(),
        )
        due = every(SAVE_SECONDS, clock)
        for event in fit(run, best.offer):
            yield event
            if isinstance(event, ev.EpochFinished) and due():
                yield from best.save()
        last = finished("finished")
    except Interrupted as interrupted:
        last = finished("skipped" if interrupted.action == "skip" else "stopped")
    except DataError:
        raise
    except Exception as error:  # whatever happened in this run, the others can go on
        logger.exception("run %s failed", name)
        last = failure(name, error)
    ending, last = _saved(best, last)
    for event in (*ending, last):
        with suppress(Interrupted):  # it is ending already; nothing of it may be lost
            yield event


def _saved(
    best: Best | None, last: ev.RunFinished | ev.RunFailed
) -> tuple[list[ev.FileSaved], ev.RunFinished | ev.RunFailed]:
    """Saves the best epoch; where that fails, the run's last event says so."""
    try:
        return (best.save() if best is not None else []), last
    except OSError as error:
        logger.exception("saving failed")
        return [], last if isinstance(last, ev.RunFailed) else failure(last.run, error)


def failure(run: str, error: Exception) -> ev.RunFailed:
    """What an exception in a run means to a person, and what to do about it."""
    message = shown(" ".join(str(error).split()) or type(error).__name__, 400)
    match error:
        case WeightsError():
            return ev.RunFailed(run=run, kind="weights", message=message)
        case DivergedError():
            return ev.RunFailed(run=run, kind="diverged", message=message, advice="lower the learning rate")
        case torch.OutOfMemoryError() | MemoryError():
            advice = "a smaller batch size or image size needs less memory"
            return ev.RunFailed(run=run, kind="out of memory", message=message, advice=advice)
        case OSError():
            advice = "is the disk full or read-only? what was measured is in the log"
            return ev.RunFailed(run=run, kind="writing", message=message, advice=advice)
        case _:
            advice = "the full traceback is in engine.log beside the experiment's log"
            return ev.RunFailed(run=run, kind="error", message=f"{type(error).__name__}: {message}", advice=advice)


def _decoded(shared: Shared, side: int) -> Generator[Event, None, tuple[Decoded, Decoded]]:
    """Training and validation images, decoded at the first call for this side length."""
    if side in shared.decoded:
        return shared.decoded[side]
    dataset = shared.dataset
    steps = len(dataset.train) + len(dataset.val)
    yield ev.StageChanged(stage="decoding", detail=f"{steps} images")
    train = yield from _decode_part(shared, dataset.train, side, 0, steps)
    val = yield from _decode_part(shared, dataset.val, side, len(dataset.train), steps)
    left_out = (*train.unreadable, *val.unreadable)
    for unreadable in left_out:
        yield ev.Warned(message=f"left out {shown(unreadable.path)}: {unreadable.reason}")
    yield ev.DataDecoded(train=len(train.labels), val=len(val.labels), left_out=len(left_out))
    _check_usable(dataset, train, val)
    shared.decoded.clear()  # one size at a time: memory has a bound
    shared.decoded[side] = train, val
    return train, val


def _decode_part(
    shared: Shared, samples: tuple[Sample, ...], side: int, before: int, steps: int
) -> Generator[Event, None, Decoded]:
    due, began = every(PROGRESS_SECONDS, shared.clock), shared.clock()
    decoding = decode(samples, side)
    while True:
        try:
            done = next(decoding)
        except StopIteration as finished:
            decoded: Decoded = finished.value
            return decoded
        if due():
            speed = done / max(shared.clock() - began, 1e-9)
            yield ev.Progress(stage="decoding", step=before + done, steps=steps, images_per_second=speed)


def _check_usable(dataset: DataSet, train: Decoded, val: Decoded) -> None:
    for label, class_name in enumerate(dataset.classes):
        if not bool((train.labels == label).any()):
            raise DataError(f"{dataset.path}: no training image of class {shown(class_name)} can be read")
    if not len(val.labels):
        raise DataError(f"{dataset.path}: no validation image can be read")


def _pretrained(shared: Shared, strategy: Strategy, run: str) -> Generator[Event, None, Pretrained]:
    yield ev.StageChanged(run=run, stage="weights", detail=strategy.backbone)
    due = every(PROGRESS_SECONDS, shared.clock)
    fetching = fetch(strategy.backbone, shared.weights)
    detail = ""
    try:
        while True:
            try:
                progress = next(fetching)
            except StopIteration as finished:
                pretrained: Pretrained = finished.value
                return pretrained
            if progress.detail != detail:
                detail = progress.detail
                yield ev.StageChanged(run=run, stage="weights", detail=detail)
            if due():
                yield ev.Progress(run=run, stage="weights", step=progress.done, steps=progress.total)
    finally:
        fetching.close()
