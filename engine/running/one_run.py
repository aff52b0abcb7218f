"""One run from its weights to its saved files: a strategy with a seed, as a generator of events."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import closing, suppress
from functools import partial

import torch

from engine.clock import every
from engine.data.prepared import Prepared
from engine.devices.memory_probe import trim_memory
from engine.errors import ChangedError, UserError
from engine.logs import events as ev
from engine.logs.events import Action, Event
from engine.logs.folder import checkpoint_file
from engine.models.backbones import Preprocessing, count_parameters
from engine.models.compiled import compiled
from engine.models.multiply_adds import multiply_adds
from engine.models.weights import Pretrained, network_of
from engine.running.controls import Interrupted
from engine.running.failures import failure
from engine.running.shared import Shared, images_of, weights_of
from engine.specs.spec import PlannedRun
from engine.training import checkpoint, saving
from engine.training.batches import InputImages
from engine.training.best import BestEpoch
from engine.training.checkpoint import Checkpoint, CheckpointError, OtherVersionError
from engine.training.course import Course
from engine.training.evaluation import measure_test
from engine.training.features import extracted
from engine.training.fit import fit
from engine.training.memory import is_without_onednn
from engine.training.optim import initial_rates
from engine.training.retrying import WITHOUT_ONEDNN
from engine.training.run import Run, at_the_start
from engine.training.schedule import rates_of
from engine.training.warm_up import warm_up

SAVE_SECONDS = 30.0
EPOCH_SECONDS, STEP_SECONDS, SAVING_SHARE = 1.0, 30.0, 20
"""Where a run stands is saved at the end of an epoch after so many seconds, within one after so many; and at most a
twentieth of the time is spent on it."""
logger = logging.getLogger("engine")
Begun = tuple[Course, ev.RunStarted]


def run_events(
    shared: Shared, planned: PlannedRun, view: Preprocessing, known: int, *, has_more: bool
) -> Generator[Event, None, None]:
    """Everything that happens in one run, ending with ``RunFinished`` or ``RunFailed``, or without where suspended.

    Goes on from the run's checkpoint, if there is one; ``known``: the last of its epochs in the log, else 0;
    ``has_more``: the checkpoint holds a best epoch that was not saved otherwise.
    :class:`Interrupted` may be thrown in at any event: the run then saves its best epoch and where it stands, and ends.
    Raises ``UserError`` where the images or the settings cannot be used at all, since no other run could go on either.
    """
    name = planned.name
    if not planned.strategy.needs_features:
        shared.features.leave_device()
    course: Course | None = None
    last: ev.RunFinished | ev.RunFailed
    try:
        try:
            (course, started), skip = yield from _unless_ended(_begun(shared, planned, view), may_skip=not has_more)
            if not has_more:
                course.best.recall_test()
            yield started
            # what a full disk or a power cut took from the log
            yield from (epoch for epoch in course.epochs if epoch.epoch > known)
            if skip is not None:
                raise skip
            yield from _fit(shared, course)
            yield from _test(course)
            last = _finished(shared, name, course, "finished")
        except Interrupted as interrupted:
            yield from _leaving(course, interrupted.action)
            if interrupted.action == "suspend":
                return
            last = _finished(shared, name, course, "skipped" if interrupted.action == "skip" else "stopped")
    except UserError:
        raise
    except Exception as error:  # whatever happened in this run, the others can go on
        logger.exception("run %s failed", name)
        saved = checkpoint_file(shared.folder, name)
        last = failure(name, error, saved.relative_to(shared.folder) if saved.exists() else None)
    ending, last = _saved(course, last)
    for event in (*ending, last):
        with suppress(Interrupted):  # it is ending already; nothing of it may be lost
            yield event


def _begun(shared: Shared, planned: PlannedRun, view: Preprocessing) -> Generator[Event, None, Begun]:
    """The run where its first step is to be done, or where an earlier process left it, and the event that says so."""
    name = planned.name
    prepared = yield from images_of(shared, planned, view.resize)
    pretrained = yield from weights_of(shared, planned)
    if is_without_onednn():
        yield ev.Warned(run=name, message=f"out of memory in an earlier run: {WITHOUT_ONEDNN}")
    run = _run(shared, prepared, planned, view, pretrained)
    cost = multiply_adds(run.network.module, planned.strategy.backbone, len(shared.dataset.classes), view.crop)
    yield ev.StageChanged(run=name, stage="warming up", detail="torch.compile" if shared.experiment.compile else "")
    warm_up(run)
    trim_memory()
    shared.memory.reset_peak()
    best = BestEpoch(run, shared.folder, shared.dataset.classes)
    course = Course(run, at_the_start(run), best, prepared.fingerprint)
    yield from _resume(shared, course)
    return course, _started(shared, planned, course, pretrained, cost)


def _unless_ended(
    begun: Generator[Event, None, Begun], *, may_skip: bool
) -> Generator[Event, None, tuple[Begun, Interrupted | None]]:
    """What ``begun`` comes to, and a skip that waited for that, unless it ``may_skip`` it: without its images a run
    cannot save what it has learnt.
    """
    skip: Interrupted | None = None
    with closing(begun):
        try:
            while True:
                event = next(begun)
                try:
                    yield event
                except Interrupted as interrupted:
                    if may_skip or interrupted.action != "skip":
                        raise
                    skip = interrupted
        except StopIteration as done:
            return done.value, skip


def _leaving(course: Course | None, action: Action) -> Generator[Event, None, None]:
    """Saves where a run stands that a person ends and may go on with, and tests what it has learnt, unless the process
    is to end.

    A wish while it is being tested ends the test, which is done where the run goes on some day.
    """
    if course is None:
        return
    was_testing = course.spent is not None
    with suppress(Interrupted):
        if action != "skip":
            yield from saving.before_leaving(course, best_too=action == "suspend")
        if action != "suspend" and not was_testing:
            yield from _test(course)


def _test(course: Course) -> Generator[Event, None, None]:
    """The test at the end of a run, which does not count as its time."""
    course.stop_counting()
    yield from measure_test(course.run, course.training, course.best)


def _resume(shared: Shared, course: Course) -> Generator[Event, None, None]:
    """Brings the course to where an earlier process left it, if one did."""
    name = course.run.name
    try:
        found = _checkpoint(shared, name)
        if found is None:
            return
        changed = checkpoint.differences(found, course)
        if changed and not shared.force:
            raise ChangedError(
                f"{name} cannot resume unchanged: {'; '.join(changed)}; `tl-tui resume --force` resumes anyway"
            )
        checkpoint.restore(found, course)
    except (CheckpointError, OtherVersionError) as error:
        kept = checkpoint.put_aside(shared.folder, name)
        yield ev.Warned(run=name, message=f"starting over: {error}; the old checkpoint is kept as {kept.name}")
        return
    if changed:
        course.training.begin_epoch(course.training.epoch)
        course.training.solved = False
        course.best.forget()  # measured on other images, or with another network
        yield ev.Warned(run=name, message=f"resumed by force from the start of its epoch: {'; '.join(changed)}")


def _checkpoint(shared: Shared, name: str) -> Checkpoint | None:
    """Where the run stands, if it began; :class:`ChangedError` where only another version of tl-tui can tell."""
    try:
        return checkpoint.read(shared.folder, name)
    except OtherVersionError as error:
        if shared.force:
            raise
        advice = "use that version, or `tl-tui resume --force` to start it over"
        raise ChangedError(f"{name} cannot resume: {error}; {advice}") from None


def _started(shared: Shared, planned: PlannedRun, course: Course, pretrained: Pretrained, cost: int) -> ev.RunStarted:
    run, strategy = course.run, planned.strategy
    total, trainable = count_parameters(run.network.module)
    return ev.RunStarted(
        run=run.name,
        strategy=strategy.name,
        seed=planned.seed,
        fold=planned.fold,
        multiply_adds=cost,
        weights=pretrained.origin,
        parameters_total=total,
        parameters_trainable=trainable,
        precision=shared.precision,
        learning_rates=rates_of(strategy),
        stage_rates=initial_rates(course.training.optimizer),
        memory=shared.memory.sample(),
        epoch=course.training.epoch,
        step=course.training.step,
    )


def _fit(shared: Shared, course: Course) -> Generator[Event, None, None]:
    """Trains, and now and then saves the best epoch and where the run stands."""
    clock = shared.meters.clock
    due, saved, cost = every(SAVE_SECONDS, clock), clock(), 0.0
    for event in fit(course.run, course.training, course.best.offer):
        epoch_ended = isinstance(event, ev.EpochFinished)
        if isinstance(event, ev.EpochFinished):
            course.epochs.append(event)
        yield event
        if isinstance(event, ev.ProbeSolved) and not course.run.strategy.on_features:
            shared.features.leave_device()  # all else trains now, without features
        if course.training.feed is None:  # nothing has moved, and features on their way are not to count
            continue
        if clock() - saved >= max(EPOCH_SECONDS if epoch_ended else STEP_SECONDS, SAVING_SHARE * cost):
            began = clock()
            yield from saving.save_checkpoint(course)
            saved = clock()
            cost = saved - began
        if epoch_ended and due():
            yield from saving.save_best(course)


def _finished(shared: Shared, name: str, course: Course | None, end: ev.RunEnd) -> ev.RunFinished:
    if course is None:  # what it took in an earlier process is not known here
        return ev.RunFinished(run=name, end=end, memory=shared.memory.sample())
    spent = course.taken()
    return ev.RunFinished(
        run=name,
        end=end,
        seconds=spent.cost.seconds,
        cpu_seconds=spent.cost.cpu_seconds,
        memory=spent.memory,
        test=course.best.test,
        joules=spent.cost.joules,
        seconds_of_found_features=course.training.reused_feature_seconds,
    )


def _saved(
    course: Course | None, last: ev.RunFinished | ev.RunFailed
) -> tuple[list[Event], ev.RunFinished | ev.RunFailed]:
    """Saves the best epoch; where that fails, the run's last event says so, and where it stands may yet be saved."""
    if course is None:
        return [], last
    try:
        return [*course.best.save()], last
    except Exception as error:  # the other runs can go on
        logger.exception("saving failed")
        if isinstance(last, ev.RunFailed):
            return [], last
        events = [*saving.before_leaving(course)] if saving.is_want_of_room(error) else []
        return events, failure(last.run, error)


def _run(shared: Shared, prepared: Prepared, planned: PlannedRun, view: Preprocessing, pretrained: Pretrained) -> Run:
    strategy, seed = planned.strategy, planned.seed
    network = network_of(strategy.backbone, len(shared.dataset.classes), strategy.trains, pretrained, seed)
    network.module.to(shared.device).to(memory_format=torch.channels_last)
    images = InputImages(prepared, view, shared.device)
    return Run(
        planned.name,
        strategy,
        seed,
        network,
        compiled(network.module) if shared.experiment.compile and not strategy.on_features else network.module,
        images,
        "fp32" if strategy.on_features else shared.precision,  # one layer alone: conversions take longer than it does
        shared.memory,
        partial(extracted, shared.features, images, strategy, network, shared.precision),
        shared.meters,
    )
