"""What the events mean: the state of an experiment as a fold over its log. Pure; imports without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import singledispatch
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine import events as ev
from engine.events import AnyEvent, DataSummary, Device, EpochFinished, Memory, Metrics, Stage
from engine.peaks import PeakMemory
from engine.spec import Experiment, planned_runs
from engine.strategy import Strategy

RunStatus = Literal["waiting", "running", "finished", "stopped", "skipped", "failed"]
Condition = Literal[RunStatus, "paused", "interrupted", "not begun"]
"""A run's status as a person sees it, see :func:`condition`."""
WRITING = "writing"
"""The kind of a failure for want of room to write what was learnt."""
MEMORY_POINTS = 400
"""Memory samples kept of a run; when there are more, every second one is dropped."""


RUN_STAGES: tuple[Stage, ...] = ("features", "probing", "training", "validating")
"""What a run's time and memory are of: neither of getting ready, which a process that goes on does again, nor of the
test."""


class MemoryPoint(Struct, frozen=True):
    """Memory at a moment, in seconds since the experiment began."""

    elapsed: float
    memory: Memory


class StageProgress(Struct, frozen=True):
    """How far a stage is; ``steps`` is 0 while that is not known. ``since``: when it began, elapsed seconds."""

    stage: Stage
    since: float
    detail: str = ""
    step: int = 0
    steps: int = 0
    epoch: int = 0
    loss: float | None = None
    images_per_second: float | None = None


class RunState(Struct, frozen=True):
    """One run: a strategy with a seed. Times are elapsed seconds of the experiment.

    ``status``: ``waiting`` also where the experiment ended before it began. ``memory``: samples for a chart, of which
    there is a bound; ``most``: of all that were taken in :data:`RUN_STAGES`.
    """

    run: str
    strategy: Strategy
    seed: int
    fold: int | None = None
    status: RunStatus = "waiting"
    weights: str = ""
    parameters_total: int = 0
    parameters_trainable: int = 0
    precision: str = ""
    learning_rates: tuple[float, ...] = ()
    stage_rates: tuple[float, ...] = ()
    progress: StageProgress | None = None
    epochs: tuple[EpochFinished, ...] = ()
    memory: tuple[MemoryPoint, ...] = ()
    memory_at_start: Memory | None = None
    most: PeakMemory = PeakMemory()
    started: float | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    seconds_of_found_features: float = 0.0
    multiply_adds: int = 0
    test: Metrics | None = None
    probe: ev.ProbeSolved | None = None
    joules: float | None = None
    failure: ev.RunFailed | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen in this run."""
        return self.status not in ("waiting", "running")

    @property
    def best(self) -> EpochFinished | None:
        """The epoch of best validation accuracy (ties: lower loss), None before the first epoch ended."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.is_best), None)

    @property
    def latest(self) -> EpochFinished | None:
        """The last epoch that ended."""
        return self.epochs[-1] if self.epochs else None


class ExperimentState(Struct, frozen=True):
    """An experiment as its events tell it; ``spec`` is None until the first event was read.

    ``interrupted``: no process writes the log though it has no end, so what is unfinished stays so until it is resumed.
    No event tells that: whoever reads the log sets it, see :func:`engine.history.with_writer`.
    """

    name: str = ""
    spec: Experiment | None = None
    data: DataSummary | None = None
    device: Device | None = None
    versions: dict[str, str] = {}
    runs: tuple[RunState, ...] = ()
    stage: StageProgress | None = None
    decoded: ev.DataDecoded | None = None
    warnings: tuple[ev.Warned, ...] = ()
    files: tuple[ev.FileSaved, ...] = ()
    paused: bool = False
    suspended_at: datetime | None = None
    interrupted: bool = False
    end: Literal["finished", "stopped", "failed"] | None = None
    error: str = ""
    began: datetime | None = None
    heard: datetime | None = None
    elapsed: float = 0.0

    @property
    def suspended(self) -> bool:
        """Whether a process left it so that another can go on with it, and none does yet."""
        return self.suspended_at is not None

    def run(self, name: str) -> RunState:
        """The run of this id; ``KeyError`` where there is none."""
        for run in self.runs:
            if run.run == name:
                return run
        raise KeyError(name)

    @property
    def current(self) -> RunState | None:
        """The run that is going on now."""
        return next((run for run in self.runs if run.status == "running"), None)


def fold(events: Iterable[AnyEvent], state: ExperimentState | None = None) -> ExperimentState:
    """The state after these events, starting from ``state`` or from nothing.

    Takes time in proportion to the events: a run's epochs are put together at the end, not copied for each.
    """
    state = ExperimentState() if state is None else state
    epochs: dict[str, list[EpochFinished]] = {}
    for event in events:
        if isinstance(event, EpochFinished):
            epochs.setdefault(event.run, []).append(event)
            state = _heard(state, event)
            continue
        if isinstance(event, ev.ExperimentStarted | ev.RunStarted):  # these begin anew, with epochs or without
            state, epochs = _with_epochs(state, epochs), {}
        state = _apply(event, _heard(state, event))
    return _with_epochs(state, epochs)


def _heard(state: ExperimentState, event: AnyEvent) -> ExperimentState:
    return replace(state, heard=event.time or state.heard, elapsed=max(state.elapsed, event.elapsed))


def _with_epochs(state: ExperimentState, epochs: dict[str, list[EpochFinished]]) -> ExperimentState:
    for name, finished in epochs.items():
        if _has(state, name):
            run = state.run(name)
            most = run.most.raised(*(epoch.memory for epoch in finished))
            state = _with_run(state, name, epochs=(*run.epochs, *finished), most=most)
    return state


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
        runs=runs,
        end=None,
        error="",
        began=event.time,
    )


_NOT_OVER: dict[str, object] = {
    "status": "waiting",
    "progress": None,
    "failure": None,
    "seconds": None,
    "cpu_seconds": None,
    "seconds_of_found_features": 0.0,
    "test": None,
    "joules": None,
}
"""What is known of a run only once it is over, as it is before that."""


@_apply.register
def _(event: ev.ExperimentResumed, state: ExperimentState) -> ExperimentState:
    runs = tuple(replace(run, **_NOT_OVER) if is_left(run) else run for run in state.runs)
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
    return _with_run(
        state,
        event.run,
        status="running",
        epochs=tuple(epoch for epoch in before.epochs if epoch.epoch < event.epoch) if before is not None else (),
        memory=before.memory if before is not None and goes_on else (),
        weights=event.weights,
        parameters_total=event.parameters_total,
        parameters_trainable=event.parameters_trainable,
        multiply_adds=event.multiply_adds,
        precision=event.precision,
        learning_rates=event.learning_rates,
        stage_rates=event.stage_rates,
        started=before.started if before is not None and goes_on else event.elapsed,
        memory_at_start=before.memory_at_start if before is not None and goes_on else event.memory,
        most=(before.most if before is not None and goes_on else PeakMemory()).raised(event.memory),
    )


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
    return _with_run(
        state,
        event.run,
        status=event.end,
        progress=None,
        seconds=event.seconds,
        cpu_seconds=event.cpu_seconds,
        seconds_of_found_features=event.seconds_of_found_features,
        most=state.run(event.run).most.raised(event.memory),
        test=event.test,
        joules=event.joules,
    )


@_apply.register
def _(event: ev.RunFailed, state: ExperimentState) -> ExperimentState:
    return _with_run(state, event.run, status="failed", progress=None, failure=event)


@_apply.register
def _(event: ev.Warned, state: ExperimentState) -> ExperimentState:
    return replace(state, warnings=(*state.warnings, event))


@_apply.register
def _(event: ev.CommandApplied, state: ExperimentState) -> ExperimentState:
    if event.action == "suspend":  # whoever goes on with it finds it paused, if it was
        return replace(state, suspended_at=event.time)
    return replace(state, paused=event.action == "pause")


@_apply.register
def _(event: ev.ExperimentFinished, state: ExperimentState) -> ExperimentState:
    runs = tuple(
        replace(run, status="stopped", progress=None) if run.status == "running" else run for run in state.runs
    )
    return replace(state, runs=runs, stage=None, paused=False, end=event.end, error=event.error, suspended_at=None)


def condition(run: RunState, state: ExperimentState) -> Condition:
    """``paused`` and ``interrupted`` instead of running; ``not begun`` where nobody is there to begin what waits."""
    if run.status == "waiting" and (state.interrupted or state.end is not None):
        return "not begun"
    if run.status != "running":
        return run.status
    return "interrupted" if state.interrupted else "paused" if state.paused else "running"


def as_left(state: ExperimentState) -> ExperimentState:
    """The state as it is once its process has ended, which may have suspended it for another to go on with."""
    return replace(state, interrupted=state.interrupted or state.suspended)


def is_left(run: RunState) -> bool:
    """Whether there is something left to do in a run that no process is at: all but those that finished, those that a
    person skipped, and those that diverged, which would do so again.
    """
    diverged = run.failure is not None and run.failure.kind == "diverged"
    return run.status not in ("finished", "skipped") and not diverged


def can_go_on(state: ExperimentState) -> bool:
    """Whether nobody is at an experiment of which something is left to do: all of it, if it failed before it began."""
    return state.interrupted or (state.end is not None and (state.spec is None or any(map(is_left, state.runs))))


def _has(state: ExperimentState, name: str) -> bool:
    return any(run.run == name for run in state.runs)


def _with_run(state: ExperimentState, name: str, **values: object) -> ExperimentState:
    runs: Sequence[RunState] = [replace(run, **values) if run.run == name else run for run in state.runs]
    return replace(state, runs=tuple(runs))
