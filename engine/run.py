"""One run from its weights to its saved files: a strategy with a seed, as a generator of events."""

from __future__ import annotations

import logging
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
from engine.events import Action, Event
from engine.models.backbones import Preprocessing, build, count_parameters
from engine.models.weights import Pretrained, WeightsError, fetch
from engine.progress import told
from engine.spec import Arithmetic, PlannedRun, SpecError
from engine.text import shown
from engine.training import checkpoint, saving
from engine.training.batches import Images
from engine.training.best import Best
from engine.training.checkpoint import CheckpointError
from engine.training.course import Course, Spent
from engine.training.evaluation import test
from engine.training.features import FeatureStore, extracted
from engine.training.fit import fit, warm_up
from engine.training.memory import DoesNotFitError, shortage
from engine.training.run import DivergedError, Run, at_the_start
from engine.training.schedule import rates_of

SAVE_SECONDS = 30.0
NAMED = 1000
"""Images that cannot be read are named one by one up to so many; more are counted."""
EPOCH_SECONDS, STEP_SECONDS, SAVING_SHARE = 1.0, 30.0, 20
"""Where a run stands is saved at the end of an epoch after so many seconds, within one after so many; and at most a
twentieth of the time is spent on it."""
logger = logging.getLogger("engine")


@dataclass(frozen=True)
class Shared:
    """What the runs of an experiment share.

    ``fingerprint``: of the images that the experiment began with, empty where it begins now; ``force``: others will do.
    ``prepared`` holds its images by their side in pixels, one size at a time; ``features`` those of frozen backbones.
    ``later`` writes to the cache beside the training.
    """

    dataset: DataSet
    fingerprint: str
    force: bool
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


class ChangedError(SpecError):
    """An experiment cannot go on as it began, since what it began with has changed; the text is one line."""


def run_events(shared: Shared, planned: PlannedRun, view: Preprocessing, known: int) -> Generator[Event, None, None]:
    """Everything that happens in one run, ending with ``RunFinished`` or ``RunFailed``, or without where suspended.

    Goes on from the run's checkpoint, if there is one; ``known`` of its epochs are in the log.
    :class:`Interrupted` may be thrown in at any event: the run then saves its best epoch and where it stands, and ends.
    Raises ``DataError`` or ``SpecError`` where the images or the settings cannot be used at all, since no other run
    could go on either.
    """
    name = planned.name
    course: Course | None = None
    last: ev.RunFinished | ev.RunFailed
    try:
        try:
            course, pretrained = yield from _begun(shared, planned, view)
            yield _started(shared, planned, course, pretrained)
            yield from course.epochs[known:]  # what a full disk or a power cut took from the log
            yield from _fit(shared, course)
            yield from _test(course)
            last = _finished(shared, name, course, "finished")
        except Interrupted as interrupted:
            action = yield from _leaving(course, interrupted.action)
            if action == "suspend":
                return
            last = _finished(shared, name, course, "skipped" if action == "skip" else "stopped")
    except (DataError, SpecError):
        raise
    except Exception as error:  # whatever happened in this run, the others can go on
        logger.exception("run %s failed", name)
        standing = checkpoint.path_of(shared.folder, name)
        last = failure(name, error, standing.relative_to(shared.folder) if standing.exists() else None)
    ending, last = _saved(course, last)
    for event in (*ending, last):
        with suppress(Interrupted):  # it is ending already; nothing of it may be lost
            yield event
    if isinstance(last, ev.RunFinished) and last.end == "finished":
        checkpoint.remove(shared.folder, name)


def _begun(
    shared: Shared, planned: PlannedRun, view: Preprocessing
) -> Generator[Event, None, tuple[Course, Pretrained]]:
    """The run where its first step is to be done, or where an earlier process left it, and its pretrained weights."""
    name = planned.name
    prepared = yield from _prepared(shared, view.resize)
    pretrained = yield from told(fetch(planned.strategy.backbone, shared.weights), "weights", shared.clock, name)
    run = _run(shared, prepared, planned, view, pretrained)
    yield ev.StageChanged(run=name, stage="warming up", detail="torch.compile" if shared.compile else "")
    warm_up(run)
    trim_memory()
    shared.memory.reset_peak()
    course = Course(run, at_the_start(run), Best(run, shared.folder, shared.dataset.classes), prepared.fingerprint)
    yield from _resume(shared, course)
    return course, pretrained


def _leaving(course: Course | None, action: Action) -> Generator[Event, None, Action]:
    """Saves where a run stands that a person ends, and tests what it has learnt; what the person wants in the end.

    A wish while it is being tested ends the test, which is done where the run goes on some day.
    """
    if course is None:
        return action
    was_testing = course.spent is not None
    try:
        yield from saving.before_leaving(course, best_too=action == "suspend")
        if action != "suspend" and not was_testing:
            yield from _test(course)
    except Interrupted as again:
        return again.action if again.action == "suspend" else action
    return action


def _test(course: Course) -> Generator[Event, None, None]:
    """The test at the end of a run, which does not count as its time."""
    course.stop_counting()
    yield from test(course.run, course.training, course.best)


def _resume(shared: Shared, course: Course) -> Generator[Event, None, None]:
    """Brings the course to where an earlier process left it, if one did."""
    name = course.run.name
    try:
        found = checkpoint.read(shared.folder, name)
        if found is None:
            return
        changed = checkpoint.differences(found, course)
        if changed and not shared.force:
            raise ChangedError(f"{name} cannot go on as it began: {'; '.join(changed)}; --force goes on all the same")
        checkpoint.restore(found, course)
    except CheckpointError as error:
        yield ev.Warned(run=name, message=f"begins anew: {error}")
        return
    if changed:
        course.training.begin_epoch(course.training.epoch)
        yield ev.Warned(run=name, message=f"goes on by force, at the beginning of its epoch: {'; '.join(changed)}")


def _started(shared: Shared, planned: PlannedRun, course: Course, pretrained: Pretrained) -> ev.RunStarted:
    run, strategy = course.run, planned.strategy
    total, trainable = count_parameters(run.network.module)
    return ev.RunStarted(
        run=run.name,
        strategy=strategy.name,
        seed=planned.seed,
        fold=planned.fold,
        weights=pretrained.origin,
        parameters_total=total,
        parameters_trainable=trainable,
        precision=shared.precision,
        learning_rates=rates_of(strategy),
        memory=shared.memory.sample(),
        epoch=course.training.epoch,
        step=course.training.step,
    )


def _fit(shared: Shared, course: Course) -> Generator[Event, None, None]:
    """Trains, and now and then saves the best epoch and where the run stands."""
    clock = shared.clock
    due, saved, cost = every(SAVE_SECONDS, clock), clock(), 0.0
    for event in fit(course.run, course.training, course.best.offer):
        epoch_ended = isinstance(event, ev.EpochFinished)
        if isinstance(event, ev.EpochFinished):
            course.epochs.append(event)
        yield event
        if clock() - saved >= max(EPOCH_SECONDS if epoch_ended else STEP_SECONDS, SAVING_SHARE * cost):
            began = clock()
            yield from saving.standing(course)
            saved = clock()
            cost = saved - began
        if epoch_ended and due():
            yield from saving.best(course)


def _finished(shared: Shared, name: str, course: Course | None, end: ev.RunEnd) -> ev.RunFinished:
    spent = Spent(0.0, 0.0, shared.memory.sample()) if course is None else course.taken()
    return ev.RunFinished(
        run=name,
        end=end,
        seconds=spent.seconds,
        cpu_seconds=spent.cpu_seconds,
        memory=spent.memory,
        test=None if course is None else course.best.test,
    )


def _saved(
    course: Course | None, last: ev.RunFinished | ev.RunFailed
) -> tuple[list[Event], ev.RunFinished | ev.RunFailed]:
    """Saves the best epoch; where that fails, the run's last event says so, and where it stands may yet be saved."""
    if course is None:
        return [], last
    try:
        return [*course.best.save()], last
    except Exception as error:
        if not saving.is_want_of_room(error):
            raise
        logger.exception("saving failed")
        if isinstance(last, ev.RunFailed):
            return [], last
        return [*saving.before_leaving(course)], failure(last.run, error)


def failure(run: str, error: Exception, standing: Path | None = None) -> ev.RunFailed:
    """What an exception in a run means to a person, and what to do about it.

    ``standing``: where the run's last checkpoint is, in the experiment's folder.
    """
    message = shown(" ".join(str(error).split()) or type(error).__name__, 400)
    match error:
        case WeightsError():
            return ev.RunFailed(run=run, kind="weights", message=message)
        case DivergedError():
            advice = "lower the learning rate" + (f"; the last good state is in {standing}" if standing else "")
            return ev.RunFailed(run=run, kind="diverged", message=message, advice=advice)
        case DoesNotFitError():
            advice = "a smaller image size or backbone needs less memory, as does training the last layer alone"
            return ev.RunFailed(run=run, kind="out of memory", message=message, advice=advice)
        case _ if shortage(error):
            advice = "a smaller batch size or image size needs less memory; is another program using it?"
            return ev.RunFailed(run=run, kind="out of memory", message=message, advice=advice)
        case OSError():
            advice = "is the disk full or read-only? what was measured is in the log; once there is room, resume it"
            return ev.RunFailed(run=run, kind="writing", message=saving.why(error), advice=advice)
        case _:
            advice = "the full traceback is in engine.log beside the experiment's log"
            return ev.RunFailed(run=run, kind="error", message=f"{type(error).__name__}: {message}", advice=advice)


def _run(shared: Shared, prepared: Prepared, planned: PlannedRun, view: Preprocessing, pretrained: Pretrained) -> Run:
    strategy, seed = planned.strategy, planned.seed
    network = build(strategy.backbone, len(shared.dataset.classes), strategy.trains, pretrained.state, seed)
    network.module.to(shared.device).to(memory_format=torch.channels_last)
    images = Images(prepared, view, shared.device)
    return Run(
        planned.name,
        strategy,
        seed,
        network,
        torch.compile(network.module) if shared.compile and not strategy.on_features else network.module,
        images,
        shared.precision,
        shared.memory,
        partial(extracted, shared.features, images, strategy, network, shared.precision),
        shared.clock,
    )


def _prepared(shared: Shared, side: int) -> Generator[Event, None, Prepared]:
    """The images as squares of this side, decoded at the first call for it."""
    if side not in shared.prepared:
        shared.prepared.clear()  # one size at a time: memory has a bound
        prepared = yield from told(prepare(shared.dataset, side, shared.device, shared.later), "decoding", shared.clock)
        if shared.fingerprint not in ("", prepared.fingerprint):
            changed = "the images, their labels or their split are not those that the experiment began with"
            if not shared.force:
                raise ChangedError(f"{changed}; --force goes on all the same")
            yield ev.Warned(message=f"resumed by force: {changed}")
        left_out = (*prepared.train.unreadable, *prepared.val.unreadable, *prepared.test.unreadable)
        for unreadable in left_out[:NAMED]:
            yield ev.Warned(message=f"left out {shown(unreadable.path)}: {unreadable.reason}")
        if len(left_out) > NAMED:
            yield ev.Warned(message=f"left out {len(left_out) - NAMED:,} more images that could not be read")
        yield ev.DataDecoded(
            train=len(prepared.train.labels),
            val=len(prepared.val.labels),
            test=len(prepared.test.labels),
            left_out=len(left_out),
            kept=prepared.pixels.kept,
            fingerprint=prepared.fingerprint,
        )
        shared.prepared[side] = prepared
    return shared.prepared[side]
