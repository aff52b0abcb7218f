"""One run from its weights to its saved files: a strategy with a seed, as a generator of events."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from engine import events as ev
from engine.controls import Interrupted, Stopwatch, every
from engine.data.dataset import DataError, DataSet
from engine.data.prepare import Prepared, prepare
from engine.devices import MemoryProbe, trim_memory
from engine.events import Event
from engine.models.backbones import Preprocessing, build, count_parameters
from engine.models.weights import Pretrained, WeightsError, fetch
from engine.progress import told
from engine.spec import Arithmetic, SpecError, Strategy, run_id
from engine.text import shown
from engine.training.batches import Images
from engine.training.best import Best
from engine.training.features import FeatureStore, extracted
from engine.training.fit import DivergedError, Run, fit, warm_up
from engine.training.schedule import planned_rates

SAVE_SECONDS = 30.0
logger = logging.getLogger("engine")


@dataclass(frozen=True)
class Shared:
    """What the runs of an experiment share.

    ``prepared`` holds its images by their side in pixels, one size at a time; ``features`` those of frozen backbones.
    ``later`` writes to the cache beside the training.
    """

    dataset: DataSet
    folder: Path
    weights: str
    device: torch.device
    precision: Arithmetic
    compile: bool
    memory: MemoryProbe
    clock: Stopwatch
    later: Executor
    features: FeatureStore
    prepared: dict[int, Prepared] = field(default_factory=dict)


def run_events(shared: Shared, strategy: Strategy, seed: int, view: Preprocessing) -> Generator[Event, None, None]:
    """Everything that happens in one run, ending with ``RunFinished`` or ``RunFailed``.

    :class:`Interrupted` may be thrown in at any event: the run then saves its best epoch and ends early.
    Raises ``DataError`` or ``SpecError`` where the images or the settings cannot be used at all, since no other run
    could go on either.
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
        prepared = yield from _prepared(shared, view.resize)
        pretrained = yield from told(fetch(strategy.backbone, shared.weights), "weights", clock, name)
        run = _run(shared, prepared, strategy, seed, view, pretrained)
        best = Best(run, shared.folder, shared.dataset.classes)
        yield ev.StageChanged(run=name, stage="warming up", detail="torch.compile" if shared.compile else "")
        warm_up(run)
        trim_memory()
        shared.memory.reset_peak()
        began, cpu_began = clock(), time.process_time()
        total, trainable = count_parameters(run.network.module)
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
    except (DataError, SpecError):
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


def _run(
    shared: Shared, prepared: Prepared, strategy: Strategy, seed: int, view: Preprocessing, pretrained: Pretrained
) -> Run:
    network = build(strategy.backbone, len(shared.dataset.classes), strategy.trains, pretrained.state, seed)
    network.module.to(shared.device).to(memory_format=torch.channels_last)
    images = Images(prepared, view, shared.device)
    fine_tuned = strategy.trains == "all"
    return Run(
        run_id(strategy, seed),
        strategy,
        seed,
        network,
        torch.compile(network.module) if shared.compile and fine_tuned else network.module,
        images,
        shared.precision,
        shared.memory,
        shared.clock,
        None if fine_tuned else partial(extracted, shared.features, images, strategy, network, shared.precision),
    )


def _prepared(shared: Shared, side: int) -> Generator[Event, None, Prepared]:
    """The images as squares of this side, decoded at the first call for it."""
    if side not in shared.prepared:
        shared.prepared.clear()  # one size at a time: memory has a bound
        prepared = yield from told(prepare(shared.dataset, side, shared.device, shared.later), "decoding", shared.clock)
        left_out = (*prepared.train.unreadable, *prepared.val.unreadable)
        for unreadable in left_out:
            yield ev.Warned(message=f"left out {shown(unreadable.path)}: {unreadable.reason}")
        train, val = len(prepared.train.labels), len(prepared.val.labels)
        yield ev.DataDecoded(train=train, val=val, left_out=len(left_out), kept=prepared.pixels.kept)
        shared.prepared[side] = prepared
    return shared.prepared[side]
