"""How long an experiment will take, told before it begins by what runs like its own took. Pure; without torch."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from engine.logs import events as ev
from engine.logs.events import AnyEvent, DataSummary, Device, Forecast
from engine.specs.spec import Experiment
from engine.specs.strategy import Strategy
from engine.states.replay import replay
from engine.states.state import RunState

MOST_ALIKE = 5
"""So many of the newest runs alike are asked; their median tells, so that one that was held up does not."""
FARTHEST = 10
"""Runs on more than so many times as many images, or as few, tell nothing: what every epoch costs would mislead."""
SAME_MEMORY = 0.05
"""A machine's memory may be told a little differently, by another kernel or another library."""


class DataSize(NamedTuple):
    """The data of an experiment: where they are, and how many classes and images there are; ``folds`` as it asks."""

    path: str
    classes: int
    train: int
    val: int
    test: int
    folds: int | None

    @property
    def whole(self) -> int:
        """How many there are in all."""
        return self.train + self.val + self.test

    @property
    def an_epoch(self) -> tuple[int, int]:
        """How many an epoch trains on and validates; of folds the mean."""
        if self.folds is None:
            return self.train, self.val
        val = (self.train + self.val) // self.folds
        return self.train + self.val - val, val

    def seen(self, views: int) -> int:
        """How many views of images a frozen backbone sees, where there are so many of each that trains."""
        return self.whole + (views - 1) * (self.train if self.folds is None else self.train + self.val)


class RunCost(Struct, frozen=True):
    """What a run took, pauses left out, in seconds: ``fixed`` for reading its weights, warming up and saving; for
    an image ``features`` for each view that the backbone saw, ``solving`` where it is to train, ``training`` and
    ``validating`` in each epoch, ``testing`` at the end. ``asked`` is its experiment, ``precision`` what came of that.
    """

    strategy: Strategy
    asked: Experiment
    precision: str
    device: Device
    data: DataSize
    fixed: float
    features: float
    solving: float
    training: float
    validating: float
    testing: float


def counted_size(path: str, counts: Mapping[str, Mapping[str, int]], folds: int | None) -> DataSize:
    """The images at ``path``, from how many there are by part (``train``, ``val``, ``test``) and then by class."""
    train, val, test = (sum(counts.get(part, {}).values()) for part in ("train", "val", "test"))
    return DataSize(path, len(counts["train"]), train, val, test, folds)


def data_size(data: DataSummary, folds: int | None) -> DataSize:
    """The images of a data set."""
    return counted_size(data.path, {"train": data.train, "val": data.val, "test": data.test}, folds)


def run_costs(events: Sequence[AnyEvent]) -> Iterator[RunCost]:
    """What the runs of an experiment took that finished, or that a person ended after an epoch, the last first; those
    that more than one process was at tell nothing. :class:`Progress` and :class:`MemorySampled` may be left out.
    """
    state = replay(events)
    if state.spec is None or state.data is None:
        return
    data = data_size(state.data, state.spec.folds)
    own: dict[str, list[AnyEvent]] = {}
    on: dict[str, Device] = {}
    device, earlier, resumed = state.device, set[str](), set[str]()
    for event in events:
        if isinstance(event, ev.ExperimentStarted | ev.ExperimentResumed):
            device, earlier = event.device, set(own)
        elif device is not None and not isinstance(event, ev.Progress | ev.MemorySampled):
            name = getattr(event, "run", "")
            own.setdefault(name, []).append(event)
            on[name] = device
            if name in earlier:
                resumed.add(name)
    for run in reversed(state.runs):
        has_ended = run.status in ("finished", "skipped", "stopped") and run.seconds is not None
        is_told = bool(run.epochs) and run.epochs[0].run_seconds > 0  # logs of older versions do not tell
        is_whole = has_ended and is_told and run.run not in resumed
        if is_whole and data.whole and sum(epoch.seconds for epoch in run.epochs) > 0:
            yield _cost(run, _without_pauses(own[run.run]), state.spec, on[run.run], data)


def forecast(costs: Sequence[RunCost], experiment: Experiment, data: DataSize, devices: Sequence[Device]) -> Forecast:
    """What the ``costs`` of earlier runs, the newest first, tell of an experiment on one of these ``devices``.

    Only those count that ran on such a device, asked for as it is now, and in the same precision. What an earlier
    experiment prepared from the same data is taken to be found again.
    """
    known = [cost for cost in costs if _computed_alike(cost, experiment, devices)]
    same_data = [cost for cost in known if (cost.data.path, cost.data.whole) == (data.path, data.whole)]
    extracted = {_features(cost.strategy) for cost in same_data}
    # the sides that backbones have of their own are nearly always the same, and torch alone knows them
    decoded = {cost.strategy.image_size for cost in same_data}
    computing: dict[Hashable, list[RunCost]] = {}  # asked for with every key that is pressed in Setup
    for cost in known:
        computing.setdefault(_computing(cost.strategy), []).append(cost)
    runs, seconds = len(experiment.seeds) * (experiment.folds or 1), dict[str, float]()
    for strategy in experiment.strategies:
        same = computing.get(_computing(strategy), [])
        alike = [cost for cost in same if _is_alike(cost, experiment, data)][:MOST_ALIKE]
        finds_features = _features(strategy) in extracted
        told = median(_foretold(cost, strategy, data, runs, finds_features) for cost in alike) if alike else math.inf
        if math.isfinite(told):  # a damaged log may tell of endless epochs
            seconds[strategy.name] = told
        extracted.add(_features(strategy))
    return Forecast(seconds, any(strategy.image_size not in decoded for strategy in experiment.strategies))


def _cost(run: RunState, events: Sequence[AnyEvent], asked: Experiment, device: Device, data: DataSize) -> RunCost:
    """What a run took whose own events these are."""
    first, last = run.epochs[0], run.epochs[-1]
    before = first.run_seconds - first.seconds
    solving = 0.0 if run.strategy.is_probe else _solving(events)
    # saving between epochs is part of what they take
    stretched = (last.run_seconds - before) / sum(epoch.seconds for epoch in run.epochs)
    trained = sum(epoch.train.images for epoch in run.epochs)
    validated = sum(epoch.val.images for epoch in run.epochs)
    train_seconds = sum(epoch.train_seconds for epoch in run.epochs)
    val_seconds = sum(epoch.seconds for epoch in run.epochs) - train_seconds
    testing = val_seconds / validated  # which does the same; an earlier run may have had no test part
    beside = data.test * testing + _fetching(events) - run.seconds_of_found_features
    whole = events[-1].elapsed - events[0].elapsed
    return RunCost(
        strategy=run.strategy,
        asked=asked,
        precision=run.precision,
        device=device,
        data=data,
        fixed=max(0.0, whole - last.run_seconds - beside),
        features=max(0.0, before - solving) / data.seen(run.strategy.extracted_views),
        solving=solving / first.train.images,
        training=max(0.0, stretched * train_seconds / trained),
        validating=max(0.0, stretched * val_seconds / validated),
        testing=max(0.0, testing),
    )


def _without_pauses(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    """A run's own events as they would have been, had nobody paused it, nor ended it within an epoch."""
    found: list[AnyEvent] = []
    lost, epoch_ended, before = 0.0, 0.0, events[0].elapsed
    for event in events:
        match event:
            case ev.CommandApplied(action="resume"):
                lost += event.elapsed - before  # since the pause, or since its turn came while all was paused
            case ev.CommandApplied(action="skip" | "stop"):
                lost = event.elapsed - epoch_ended
            case ev.CommandApplied():
                pass
            case _:
                found.append(replace(event, elapsed=event.elapsed - lost))
                epoch_ended = found[-1].elapsed if isinstance(event, ev.EpochFinished) else epoch_ended
        before = event.elapsed
    return found


def _fetching(events: Sequence[AnyEvent]) -> float:
    """Seconds that weights took which were not there, the run's and those of later ones: they are fetched once."""
    return sum(
        after.elapsed - event.elapsed
        for event, after in pairwise(events)
        if isinstance(event, ev.StageChanged) and event.stage == "weights" and not event.detail.startswith(ev.CHECKING)
    )


def _solving(events: Sequence[AnyEvent]) -> float:
    """Seconds that fitting the last layer took before all else."""
    began = [event.elapsed for event in events if isinstance(event, ev.StageChanged) and event.stage == "probing"]
    ended = [event.elapsed for event in events if isinstance(event, ev.ProbeSolved)]
    return max(0.0, ended[0] - began[0]) if began and ended else 0.0


def _foretold(cost: RunCost, strategy: Strategy, data: DataSize, runs: int, finds_features: bool) -> float:
    """Seconds of all runs of a strategy, by one that was alike; the first of them alone extracts features."""
    train, val = data.an_epoch
    epochs = strategy.epochs * (cost.training * train + cost.validating * val)
    features = 0.0 if finds_features else cost.features * data.seen(strategy.extracted_views)
    return runs * (cost.fixed + cost.solving * train + epochs + cost.testing * data.test) + features


def _computed_alike(cost: RunCost, experiment: Experiment, devices: Sequence[Device]) -> bool:
    if experiment.device != cost.asked.device or experiment.precision not in (cost.asked.precision, cost.precision):
        return False
    kind = _kind(cost.device)
    if experiment.device == "auto" and kind == "cpu" and any(_kind(device) != "cpu" for device in devices):
        return False  # by now there is something faster
    return any(
        (_kind(device), device.hardware) == (kind, cost.device.hardware)
        and (device.cores == cost.device.cores or not cost.device.cores)  # older logs do not tell
        and abs(device.memory - cost.device.memory) <= SAME_MEMORY * device.memory
        for device in devices
    )


def _kind(device: Device) -> str:
    return device.torch_name.partition(":")[0]


def _is_alike(cost: RunCost, experiment: Experiment, data: DataSize) -> bool:
    """Whether an image takes what one took then, by the same strategy."""
    strategy = cost.strategy
    if not strategy.on_features and cost.asked.compile != experiment.compile:
        return False
    if strategy.needs_features and cost.data.classes != data.classes:  # of the last layer alone they are the cost
        return False
    train, before = data.an_epoch[0], cost.data.an_epoch[0]
    return before <= FARTHEST * train and train <= FARTHEST * before


def _computing(strategy: Strategy) -> Hashable:
    """The settings of a strategy that decide how long an image takes."""
    optimizer = strategy.optimizer if strategy.is_probe else type(strategy.optimizer)
    kind = strategy.backbone, strategy.trains, strategy.head, strategy.image_size, strategy.batch_size, optimizer
    return *kind, strategy.is_augmented, strategy.extracted_views


def _features(strategy: Strategy) -> Hashable:
    """Which features a strategy needs, None where it needs none."""
    views = strategy.augmentation if strategy.extracted_views > 1 else None
    return (strategy.backbone, strategy.image_size, views) if strategy.needs_features else None
