"""What an experiment's events mean: its state, see :func:`engine.states.replay.replay`. Pure; imports without torch."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.logs import events as ev
from engine.logs.events import DataSummary, Device, EpochFinished, Memory, Metrics, Stage
from engine.specs.spec import Experiment
from engine.specs.strategy import Strategy
from engine.states.peaks import PeakMemory

RunStatus = Literal["waiting", "running", "finished", "stopped", "skipped", "failed"]
Condition = Literal[RunStatus, "paused", "interrupted", "not begun"]
"""A run's status as a person sees it, see :func:`condition`."""
WRITING = "writing"
"""The kind of a failure for want of room to write what was learnt."""


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

    ``status``: ``waiting`` also where the experiment ended before it started. ``memory``: samples for a chart, of which
    there is a bound; ``most``: of all that were taken in :data:`RUN_STAGES`. ``losses``: of training within epochs,
    likewise bounded, in the order of their steps. ``failed_before``: why it had failed when the experiment was resumed,
    until it goes on.
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
    losses: tuple[ev.LossMeasured, ...] = ()
    memory: tuple[MemoryPoint, ...] = ()
    memory_at_start: Memory | None = None
    most: PeakMemory = PeakMemory()
    started: float | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    seconds_of_found_features: float = 0.0
    multiply_adds: int = 0
    test: Metrics | None = None
    times_tested: int = 0
    probe: ev.ProbeSolved | None = None
    joules: float | None = None
    failure: ev.RunFailed | None = None
    failed_before: ev.RunFailed | None = None

    @property
    def is_probe(self) -> bool:
        """Whether its last layer is solved for."""
        return self.strategy.is_probe

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen in this run."""
        return self.status not in ("waiting", "running")

    @property
    def never_began(self) -> bool:
        """Whether a person skipped it before it began."""
        return self.status == "skipped" and self.started is None

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

    ``warnings``: each once, however often it was told of the same run.
    ``interrupted``: no process writes the log though it has no end, so what is unfinished stays so until it is resumed.
    No event tells that: whoever reads the log sets it, see :func:`engine.history.experiment_state.with_writer`.
    """

    name: str = ""
    spec: Experiment | None = None
    data: DataSummary | None = None
    device: Device | None = None
    versions: dict[str, str] = {}
    forecast: ev.Forecast = ev.Forecast()
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


def condition(run: RunState, state: ExperimentState) -> Condition:
    """``paused`` and ``interrupted`` instead of running; ``not begun`` where nobody is there to begin what waits."""
    if run.status == "waiting" and (state.interrupted or state.end is not None):
        return "interrupted" if is_waiting_again(run) else "not begun"
    if run.status != "running":
        return run.status
    return "interrupted" if state.interrupted else "paused" if state.paused else "running"


def is_waiting_again(run: RunState) -> bool:
    """Whether a run waits that had begun, or failed, before the experiment was resumed."""
    return run.status == "waiting" and (run.started is not None or run.failed_before is not None)


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
