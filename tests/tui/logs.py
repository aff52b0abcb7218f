"""Events as an experiment writes them, made up: the same every time, without training anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from engine.logs import events as ev
from engine.logs.events import AnyEvent, Memory, Metrics
from engine.logs.folder import EVENTS
from engine.models.origin import RANDOM
from engine.specs import spec
from engine.specs.presets import presets
from engine.specs.spec import Experiment, PlannedRun
from engine.specs.strategy import ExponentialLR, StepLR, Strategy, changed_strategy

BEGAN = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
MIB = 2**20
TRAIN, VAL = 244, 153


def two_strategies(epochs: int = 12) -> Experiment:
    """Fine-tuning and feature extraction, as they ship, with so many epochs."""
    experiment = spec.default_experiment(presets())
    strategies = [changed_strategy(strategy, epochs=epochs) for strategy in experiment.strategies]
    return spec.changed(experiment, strategies=strategies, data=spec.DataSource(path="/data/ants-bees"))


def events(experiment: Experiment | None = None, *, cuda: bool = False) -> list[AnyEvent]:
    """Everything that happens from the first event to the last, with times."""
    asked = two_strategies() if experiment is None else experiment
    return list(_timed(_events(asked, cuda)))


def until(wanted: str, number: int, all_events: list[AnyEvent]) -> list[AnyEvent]:
    """The events up to the ``number``-th of the kind ``wanted``, which is the last one."""
    seen = 0
    for index, event in enumerate(all_events):
        seen += type(event).__name__ == wanted
        if seen == number:
            return all_events[: index + 1]
    raise ValueError(f"there are only {seen} {wanted}")


def slow_epochs(experiment: Experiment | None = None, steps: int = 16) -> list[AnyEvent]:
    """:func:`events` where an epoch of fine-tuning takes so many steps of 4 seconds, each of which tells its loss."""
    return list(_timed(_slowed(events(experiment), steps)))


def _slowed(some: list[AnyEvent], steps: int) -> Iterator[tuple[float, AnyEvent]]:
    before = 0.0
    for event in some:
        if not isinstance(event, ev.Progress) or event.stage != "training":
            yield event.elapsed - before, event
            before = event.elapsed
            continue
        half = steps // 2 if event.step == 6 else 0
        for step in range(half + 1, half + steps // 2 + 1):
            loss = (0.62 * math.exp(-(event.epoch - 1 + step / steps) / 1.5) + 0.16) * (1 + 0.2 * math.sin(40.0 * step))
            told = msgspec.structs.replace(event, step=step, steps=steps, loss=round(loss, 4), images_per_second=3.8)
            yield 4.0, told
            yield (
                0.0,
                ev.LossMeasured(
                    run=event.run, epoch=event.epoch, after=step - 1, step=step, steps=steps, loss=round(loss, 4)
                ),
            )
        before = event.elapsed


def write(folder: Path, some: list[AnyEvent]) -> Path:
    """Appends the events to the log in ``folder``, which is made, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EVENTS).open("ab") as file:
        file.writelines(msgspec.json.encode(event) + b"\n" for event in some)
    return folder


def spoil_the_first_line(folder: Path) -> None:
    """Makes the log in ``folder`` tell nothing to whoever reads it from its beginning; it keeps its length."""
    whole = (folder / EVENTS).read_bytes()
    first = whole.index(b"\n")
    (folder / EVENTS).write_bytes(b"-" * first + whole[first:])


def _timed(some: Iterator[tuple[float, AnyEvent]]) -> Iterator[AnyEvent]:
    """Stamps each event, given with the seconds since the one before it."""
    elapsed = 0.0
    for seconds, event in some:
        elapsed = round(elapsed + seconds, 3)
        yield msgspec.structs.replace(event, time=BEGAN + timedelta(seconds=elapsed), elapsed=elapsed)


def _events(experiment: Experiment, cuda: bool) -> Iterator[tuple[float, AnyEvent]]:
    yield 0.0, _started(experiment, cuda)
    yield 0.1, ev.StageChanged(stage="decoding", detail="397 images")
    for step in (120, 260):
        yield 0.4, ev.Progress(stage="decoding", step=step, steps=TRAIN + VAL, images_per_second=310.0)
    yield 0.0, ev.Warned(message="left out train/ants/imageNotFound.gif: not an image")
    yield 0.3, ev.DataDecoded(train=TRAIN, val=VAL, left_out=1)
    for planned in spec.planned_runs(experiment):
        yield from _run(planned, experiment.weights, cuda)
    yield 0.1, ev.ExperimentFinished(end="finished")


def _started(experiment: Experiment, cuda: bool) -> AnyEvent:
    data = ev.DataSummary(
        "ants-bees",
        "/data/ants-bees",
        "folders",
        ("ants", "bees"),
        {"ants": 123, "bees": 121},
        {"ants": 70, "bees": 83},
        "as the folders say",
    )
    device = (
        ev.Device("cuda:0", "NVIDIA H200", 139 * 1024 * MIB) if cuda else ev.Device("cpu", "Xeon 8480+", 15940 * MIB)
    )
    return ev.ExperimentStarted(
        name="ants-bees-20261123-120000", spec=experiment, data=data, device=device, versions={"torch": "2.15.0"}
    )


def _run(planned: PlannedRun, weights: str, cuda: bool) -> Iterator[tuple[float, AnyEvent]]:
    strategy, name, head = planned.strategy, planned.name, planned.strategy.trains == "head"
    luck = 0.008 * math.sin(3 * planned.seed + 5 * (planned.fold or 0))
    yield 0.1, ev.StageChanged(run=name, stage="weights", detail=strategy.backbone)
    total, trainable = (1_519_906, 2_050) if head else (11_177_538, 11_177_538)
    yield (
        0.3,
        ev.RunStarted(
            run=name,
            strategy=strategy.name,
            seed=planned.seed,
            fold=planned.fold,
            weights=RANDOM if weights == "none" else "torchvision IMAGENET1K_V1, torch hub cache",
            parameters_total=total,
            parameters_trainable=trainable,
            precision="bf16" if cuda else "fp32",
            learning_rates=_rates(strategy),
            memory=_memory(0, cuda, head),
        ),
    )
    if head:
        yield 0.0, ev.StageChanged(run=name, stage="features", detail="every image once")
        for step in (100, 250, 390):
            yield 0.5, ev.Progress(run=name, stage="features", step=step, steps=397, images_per_second=280.0)
    seconds = 0.02 if head else 3.2
    for epoch in range(1, strategy.epochs + 1):
        yield from _epoch(name, strategy, epoch, seconds, cuda, luck)
    for kind in ("best", "predictions"):
        yield 0.0, ev.FileSaved(run=name, kind=kind, path=f"{kind}/{name}.safetensors", epoch=strategy.epochs)
    yield (
        0.1,
        ev.RunFinished(
            run=name,
            end="finished",
            seconds=round(seconds * strategy.epochs + 0.4, 2),
            cpu_seconds=round(1.8 * seconds * strategy.epochs, 2),
            memory=_memory(strategy.epochs, cuda, head),
        ),
    )


def _epoch(
    name: str, strategy: Strategy, epoch: int, seconds: float, cuda: bool, luck: float
) -> Iterator[tuple[float, AnyEvent]]:
    head = strategy.trains == "head"
    train, val = _metrics(epoch, head, TRAIN, luck), _metrics(epoch, head, VAL, luck)
    speed = 9_800.0 if head else 91.3
    yield 0.0, ev.StageChanged(run=name, stage="training", detail=f"epoch {epoch}")
    for step in (3, 6) if not head else ():
        yield (
            seconds / 4,
            ev.Progress(
                run=name,
                stage="training",
                step=step,
                steps=8,
                epoch=epoch,
                loss=train.loss + 0.02,
                images_per_second=speed,
            ),
        )
    yield seconds / 4, ev.MemorySampled(run=name, memory=_memory(epoch, cuda, head))
    yield 0.0, ev.StageChanged(run=name, stage="validating", detail=f"epoch {epoch}")
    yield (
        seconds / 4,
        ev.EpochFinished(
            run=name,
            epoch=epoch,
            train=train,
            val=val,
            learning_rate=_rates(strategy)[epoch - 1],
            seconds=seconds,
            train_seconds=0.8 * seconds,
            images_per_second=speed,
            memory=_memory(epoch, cuda, head),
            is_best=_is_best(epoch, head, luck),
            run_seconds=round(seconds * epoch + 0.4, 2),
        ),
    )


def _metrics(epoch: int, head: bool, images: int, luck: float) -> Metrics:
    """Curves that rise and waver; validation (153 images) above training, as with augmentation. ``luck``: of a seed."""
    ceiling, pace = (0.935, 0.9) if head else (0.955, 2.5)
    waver = 0.012 * math.sin(2.1 * epoch) + luck - (0.0 if images == VAL else 0.03)
    correct = round(images * (ceiling - 0.42 * math.exp(-epoch / pace) + waver))
    loss = 0.16 + 0.55 * math.exp(-epoch / pace) - 0.6 * waver
    return Metrics(round(loss, 4), correct / images, images)


def _is_best(epoch: int, head: bool, luck: float) -> bool:
    def rank(number: int) -> tuple[float, float]:
        metrics = _metrics(number, head, VAL, luck)
        return metrics.accuracy, -metrics.loss

    return all(rank(epoch) > rank(earlier) for earlier in range(1, epoch))


def _rates(strategy: Strategy) -> tuple[float, ...]:
    lr, schedule = strategy.optimizer.lr, strategy.schedule
    if isinstance(schedule, StepLR):
        return tuple(lr * schedule.gamma ** (epoch // schedule.step_size) for epoch in range(strategy.epochs))
    if isinstance(schedule, ExponentialLR):
        return tuple(lr * schedule.gamma**epoch for epoch in range(strategy.epochs))
    return (lr,) * strategy.epochs


def _memory(epoch: int, cuda: bool, head: bool) -> Memory:
    rss = (900 + 40 * min(epoch, 6) + (0 if head else 260)) * MIB
    if not cuda:
        return Memory(rss, rss + 30 * MIB)
    allocated = (300 if head else 1900) * MIB
    return Memory(
        rss,
        rss + 30 * MIB,
        allocated=allocated + 10 * epoch * MIB,
        reserved=allocated + 600 * MIB,
        peak_allocated=allocated + 420 * MIB,
        device_used=allocated + 1900 * MIB,
        device_total=139 * 1024 * MIB,
    )
