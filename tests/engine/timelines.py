"""Made-up experiments in which only time matters: each event with the seconds that are really left of its run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import msgspec

from engine.clock import PROGRESS_SECONDS
from engine.logs import events as ev
from engine.logs.events import AnyEvent, Memory, Metrics
from engine.specs.spec import Experiment, PlannedRun
from engine.specs.strategy import Strategy

NOTHING = Memory(0, 0)


@dataclass(frozen=True)
class Timeline:
    """How an experiment of one strategy goes, in seconds; ``noise``: an epoch takes up to this share more or less.

    ``first_steps``: how many times as long the first steps of a run take. ``pause``: seconds of a pause in the middle.
    ``before``: seconds of weights and of warming up, each, ``decoding`` and ``features`` of theirs.
    """

    trains: str = "all"
    epochs: int = 12
    runs: int = 1
    train_images: int = 244
    val_images: int = 153
    step: float = 0.3
    steps: int = 8
    val_share: float = 0.2
    val_steps: int = 3
    noise: float = 0.15
    first_epoch: float = 1.0
    first_steps: tuple[float, ...] = ()
    decoding: float = 4.0
    before: float = 2.0
    features: float = 0.0
    pause: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Moment:
    """An event; how many seconds later its run's last epoch ends, and what share of its epochs' time is over.

    The share is below 0 before the first epoch. Pauses do not count.
    """

    event: AnyEvent
    run: str
    left: float
    share: float
    whole: float


class Clocks:
    """The experiment's time (``elapsed``), and that without pauses (``clock``)."""

    def __init__(self) -> None:
        self.elapsed = self.clock = self.told = 0.0

    def spend(self, seconds: float) -> None:
        """Something takes so long."""
        self.elapsed += seconds
        self.clock += seconds

    def due(self) -> bool:
        """Whether progress is to be told, as the engine throttles it."""
        if self.clock - self.told < PROGRESS_SECONDS:
            return False
        self.told = self.clock
        return True


def moments(timeline: Timeline) -> list[Moment]:
    """Everything that happens, in order."""
    strategy = msgspec.convert(
        {"name": "it", "trains": timeline.trains, "epochs": timeline.epochs, "batch_size": 32}, Strategy
    )
    experiment = Experiment((strategy,), seeds=tuple(range(timeline.runs)))
    clocks, random = Clocks(), Random(timeline.seed)
    found: list[Moment] = []
    for event in _shared(timeline, experiment, clocks):
        found.append(Moment(_stamped(event, clocks), "", 0.0, -1.0, 0.0))
    for seed in experiment.seeds:
        name = PlannedRun(strategy, seed, None).name
        happened = [(_stamped(event, clocks), clocks.clock) for event in _run(timeline, name, clocks, random)]
        begin = next(at for event, at in happened if isinstance(event, ev.StageChanged) and event.stage == "training")
        end = happened[-1][1]
        found += [Moment(event, name, end - at, (at - begin) / (end - begin), end - begin) for event, at in happened]
        finished = ev.RunFinished(run=name, end="finished", seconds=end, cpu_seconds=end, memory=NOTHING)
        found.append(Moment(_stamped(finished, clocks), name, 0.0, 1.0, end - begin))
    return found


def _stamped(event: AnyEvent, clocks: Clocks) -> AnyEvent:
    return msgspec.structs.replace(event, elapsed=round(clocks.elapsed, 3))


def _shared(timeline: Timeline, experiment: Experiment, clocks: Clocks) -> Iterator[AnyEvent]:
    train, val = timeline.train_images, timeline.val_images
    data = ev.DataSummary("x", "/x", "folders", ("a", "b"), {"a": train, "b": 0}, {"a": val, "b": 0}, "")
    yield ev.ExperimentStarted(name="x", spec=experiment, data=data, device=ev.Device("cpu", "a CPU", 1), versions={})
    yield from _counted(timeline.decoding, "decoding", "", train + val, clocks)
    yield ev.DataDecoded(train=train, val=val, left_out=0)


def _counted(seconds: float, stage: ev.Stage, run: str, images: int, clocks: Clocks) -> Iterator[AnyEvent]:
    yield ev.StageChanged(run=run, stage=stage, detail=stage)
    for tenth in range(1, 11):
        clocks.spend(seconds / 10)
        if clocks.due():
            done = images * tenth // 10
            yield ev.Progress(run=run, stage=stage, step=done, steps=images, images_per_second=images / seconds)


def _run(timeline: Timeline, name: str, clocks: Clocks, random: Random) -> Iterator[AnyEvent]:
    for stage in ("weights", "warming up"):
        yield ev.StageChanged(run=name, stage=stage)
        clocks.spend(timeline.before)
    yield ev.RunStarted(
        run=name, strategy="it", seed=0, weights="x", parameters_total=1, parameters_trainable=1, precision="fp32",
        learning_rates=(), memory=NOTHING,
    )  # fmt: skip
    if timeline.features:
        images = timeline.train_images + timeline.val_images
        yield from _counted(timeline.features, "features", name, images, clocks)
    for epoch in range(1, timeline.epochs + 1):
        yield from _epoch(timeline, name, epoch, clocks, random)


def _epoch(timeline: Timeline, name: str, epoch: int, clocks: Clocks, random: Random) -> Iterator[AnyEvent]:
    """As ``engine.training.fit`` tells it: the speed is the mean since the epoch began, slow first steps included."""
    factor = (1 + random.uniform(-timeline.noise, timeline.noise)) * (timeline.first_epoch if epoch == 1 else 1)
    clocks.told = began = clocks.clock
    yield ev.StageChanged(run=name, stage="training", detail=f"epoch {epoch}")
    for step in range(1, timeline.steps + 1):
        slow = timeline.first_steps[step - 1] if epoch == 1 and step <= len(timeline.first_steps) else 1
        clocks.spend(timeline.step * factor * slow)
        if clocks.due():
            speed = timeline.train_images * step / timeline.steps / (clocks.clock - began)
            yield ev.Progress(
                run=name, stage="training", step=step, steps=timeline.steps, epoch=epoch, loss=1.0,
                images_per_second=speed,
            )  # fmt: skip
        if timeline.pause and (epoch, step) == (timeline.epochs // 2, timeline.steps // 2):
            yield from _pause(timeline.pause, name, clocks)
    trained = clocks.told = clocks.clock
    yield ev.StageChanged(run=name, stage="validating", detail=f"epoch {epoch}")
    validation = timeline.steps * timeline.step * timeline.val_share / (1 - timeline.val_share)
    for step in range(1, timeline.val_steps + 1):
        clocks.spend(validation * factor / timeline.val_steps)
        if clocks.due():
            yield ev.Progress(run=name, stage="validating", step=step, steps=timeline.val_steps, epoch=epoch)
    yield ev.EpochFinished(
        run=name, epoch=epoch, train=Metrics(1.0, 0.5, timeline.train_images), val=Metrics(1.0, 0.5, 1),
        learning_rate=0.1, seconds=clocks.clock - began, train_seconds=trained - began,
        images_per_second=timeline.train_images / (trained - began), memory=NOTHING, is_best=epoch == 1,
    )  # fmt: skip


def _pause(seconds: float, name: str, clocks: Clocks) -> Iterator[AnyEvent]:
    yield ev.CommandApplied(action="pause", run=name)
    for _ in range(10):
        clocks.elapsed += seconds / 10
        yield ev.MemorySampled(run=name, memory=NOTHING)
    yield ev.CommandApplied(action="resume", run=name)
