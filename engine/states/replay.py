"""From an experiment's events to its state: its log, replayed. Pure; imports without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch

from msgspec.structs import replace

from engine.logs import events as ev
from engine.logs.events import AnyEvent, EpochFinished
from engine.specs.spec import planned_runs
from engine.states.peaks import PeakMemory
from engine.states.state import (
    RUN_STAGES,
    ExperimentState,
    MemoryPoint,
    RunState,
    StageProgress,
    is_left,
    is_waiting_again,
)

MEMORY_POINTS = 400
"""Memory samples kept of a run; when there are more, every second one is dropped."""
LOSSES = 400
"""Likewise of losses within epochs: more than :mod:`engine.training.loss_curve` measures of a run."""


def replay(events: Iterable[AnyEvent], state: ExperimentState | None = None) -> ExperimentState:
    """The state after these events, starting from ``state`` or from nothing.

    Takes time in proportion to the events: a run's epochs, and the warnings, are put together once it ends or begins
    anew, and at the end, not copied for each.
    """
    state = ExperimentState() if state is None else state
    epochs: dict[str, list[EpochFinished]] = {}
    warned: list[ev.Warned] = []
    for event in events:
        if isinstance(event, EpochFinished):
            epochs.setdefault(event.run, []).append(event)
            state = _with_next_epoch(_heard(state, event), event)
            continue
        if isinstance(event, ev.Warned):
            warned.append(event)
        if isinstance(event, ev.ExperimentStarted | ev.RunStarted | ev.RunFinished):  # which build on the epochs so far
            state, epochs = _with_epochs(state, epochs), {}
        state = _apply(event, _heard(state, event))
    return _with_warnings(_with_epochs(state, epochs), warned)


def _heard(state: ExperimentState, event: AnyEvent) -> ExperimentState:
    return replace(state, heard=event.time or state.heard, elapsed=max(state.elapsed, event.elapsed))


def _with_next_epoch(state: ExperimentState, ended: EpochFinished) -> ExperimentState:
    """With the next epoch under way, before its run says so; after the last one with nothing."""
    if not _has(state, ended.run):
        return state
    is_last = ended.epoch >= state.run(ended.run).strategy.epochs
    following = None if is_last else StageProgress("training", ended.elapsed, f"epoch {ended.epoch + 1}")
    return _with_run(state, ended.run, progress=following)


def _with_epochs(state: ExperimentState, epochs: dict[str, list[EpochFinished]]) -> ExperimentState:
    for name, finished in epochs.items():
        if _has(state, name):
            run = state.run(name)
            most = run.most.raised(*(epoch.memory for epoch in finished))
            test = None if any(epoch.is_best for epoch in finished) else run.test  # it was of another epoch
            state = _with_run(state, name, epochs=(*run.epochs, *finished), most=most, test=test)
    return state


def _with_warnings(state: ExperimentState, warned: Sequence[ev.Warned]) -> ExperimentState:
    """Each once: whoever goes on with an experiment warns of the same again."""
    if not warned:
        return state
    told: dict[tuple[str, str], ev.Warned] = {}
    for one in (*state.warnings, *warned):
        told.setdefault((one.run, one.message), one)
    return replace(state, warnings=tuple(told.values()))


@singledispatch
def _apply(event: object, state: ExperimentState) -> ExperimentState:  # noqa: ARG001 - an event that changes nothing
    return state


@_apply.register
def _(event: ev.ExperimentStarted, state: ExperimentState) -> ExperimentState:
    spec = event.spec
    runs = tuple(RunState(run.name, run.strategy, run.seed, run.fold) for run in planned_runs(spec))
    return replace(
        state,
        name=event.name,
        spec=spec,
        data=event.data,
        device=event.device,
        versions=event.versions,
        forecast=event.forecast,
        runs=runs,
        end=None,
        error="",
        began=event.time,
    )


@_apply.register
def _(event: ev.ExperimentResumed, state: ExperimentState) -> ExperimentState:
    """What was measured of a run holds until it does go on: a person may end it before."""
    runs = tuple(
        replace(run, status="waiting", progress=None, failure=None, failed_before=run.failure or run.failed_before)
        if is_left(run)
        else run
        for run in state.runs
    )
    return replace(
        state,
        runs=runs,
        stage=None,
        end=None,
        error="",
        device=event.device,
        versions=event.versions,
        suspended_at=None,
    )


@_apply.register
def _(event: ev.DataDecoded, state: ExperimentState) -> ExperimentState:
    return replace(state, decoded=event, stage=None)


@_apply.register
def _(event: ev.StageChanged, state: ExperimentState) -> ExperimentState:
    progress = StageProgress(event.stage, event.elapsed, event.detail)
    if not event.run:
        return replace(state, stage=progress)
    if event.stage == "training":  # nothing does while paused, but in older versions a skip ended a pause, unlogged
        state = replace(state, paused=False)
    return _with_run(state, event.run, status="running", progress=progress)


@_apply.register
def _(event: ev.Progress, state: ExperimentState) -> ExperimentState:
    before = state.run(event.run).progress if _has(state, event.run) else state.stage
    same = before is not None and before.stage == event.stage
    progress = StageProgress(
        event.stage,
        before.since if same and before else event.elapsed,
        before.detail if same and before else "",
        event.step,
        event.steps,
        event.epoch,
        event.loss,
        event.images_per_second,
    )
    if not event.run:
        return replace(state, stage=progress)
    return _with_run(state, event.run, progress=progress)


@_apply.register
def _(event: ev.RunStarted, state: ExperimentState) -> ExperimentState:
    before = state.run(event.run) if _has(state, event.run) else None
    goes_on = before is not None and (event.epoch, event.step) != (1, 0)
    epochs = tuple(epoch for epoch in before.epochs if epoch.epoch < event.epoch) if before is not None else ()
    return _with_run(
        state,
        event.run,
        status="running",
        epochs=epochs,
        losses=tuple(
            loss
            for loss in (before.losses if before is not None else ())
            if (loss.epoch, loss.step) <= (event.epoch, event.step)
        ),
        memory=before.memory if before is not None and goes_on else (),
        weights=event.weights,
        parameters_total=event.parameters_total,
        parameters_trainable=event.parameters_trainable,
        multiply_adds=event.multiply_adds,
        precision=event.precision,
        learning_rates=event.learning_rates,
        stage_rates=event.stage_rates,
        started=before.started if before is not None and goes_on else event.elapsed,
        memory_at_start=None if goes_on else event.memory,  # the peak may be of another process than this
        most=(before.most if before is not None and goes_on else PeakMemory()).raised(event.memory),
        test=before.test if before is not None and goes_on and len(epochs) == len(before.epochs) else None,
        seconds=None,
        cpu_seconds=None,
        seconds_of_found_features=0.0,
        joules=None,
        failed_before=None,
    )


@_apply.register
def _(event: ev.LossMeasured, state: ExperimentState) -> ExperimentState:
    if not _has(state, event.run):
        return state
    losses = (*state.run(event.run).losses, event)
    return _with_run(state, event.run, losses=losses[::2] if len(losses) > LOSSES else losses)


@_apply.register
def _(event: ev.ProbeSolved, state: ExperimentState) -> ExperimentState:
    return _with_run(state, event.run, probe=event)


@_apply.register
def _(event: ev.MemorySampled, state: ExperimentState) -> ExperimentState:
    if not _has(state, event.run):
        return state
    run = state.run(event.run)
    points = (*run.memory, MemoryPoint(event.elapsed, event.memory))
    kept = points[::2] if len(points) > MEMORY_POINTS else points
    counts = run.progress is not None and run.progress.stage in RUN_STAGES
    return _with_run(state, event.run, memory=kept, most=run.most.raised(event.memory) if counts else run.most)


@_apply.register
def _(event: ev.FileSaved, state: ExperimentState) -> ExperimentState:
    return replace(state, files=(*state.files, event))


@_apply.register
def _(event: ev.RunFinished, state: ExperimentState) -> ExperimentState:
    if not _has(state, event.run):
        return state
    if event.seconds is None:  # it had not gone on: what an earlier process measured holds, the memory is not its own
        runs = tuple(_ended(run, event.end) if run.run == event.run else run for run in state.runs)
        return replace(state, runs=runs)
    run = state.run(event.run)
    return _with_run(
        state,
        event.run,
        status=event.end,
        progress=None,
        seconds=event.seconds,
        cpu_seconds=event.cpu_seconds,
        seconds_of_found_features=event.seconds_of_found_features,
        most=run.most.raised(event.memory),
        test=run.test if event.test is None else event.test,
        times_tested=run.times_tested + (event.test is not None),
        joules=event.joules,
    )


@_apply.register
def _(event: ev.RunFailed, state: ExperimentState) -> ExperimentState:
    return _with_run(state, event.run, status="failed", progress=None, failure=event)


@_apply.register
def _(event: ev.CommandApplied, state: ExperimentState) -> ExperimentState:
    if event.action == "suspend":  # whoever goes on with it finds it paused, if it was
        return replace(state, suspended_at=event.time)
    if event.action == "skip":  # of a run: what was paused stays so
        return state
    return replace(state, paused=event.action == "pause")


@_apply.register
def _(event: ev.ExperimentFinished, state: ExperimentState) -> ExperimentState:
    runs = tuple(
        _ended(run, "stopped") if run.status == "running" or is_waiting_again(run) else run for run in state.runs
    )
    return replace(state, runs=runs, stage=None, paused=False, end=event.end, error=event.error, suspended_at=None)


def _ended(run: RunState, end: ev.RunEnd) -> RunState:
    """The run as it ended without having gone on, if it was resumed: what had failed is not stopped by that."""
    if end == "stopped" and run.failed_before is not None:
        return replace(run, status="failed", progress=None, failure=run.failed_before)
    return replace(run, status=end, progress=None)


def _has(state: ExperimentState, name: str) -> bool:
    return any(run.run == name for run in state.runs)


def _with_run(state: ExperimentState, name: str, **values: object) -> ExperimentState:
    runs: Sequence[RunState] = [replace(run, **values) if run.run == name else run for run in state.runs]
    return replace(state, runs=tuple(runs))
