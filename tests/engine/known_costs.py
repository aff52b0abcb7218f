"""Made-up logs of runs whose costs are known to the second."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.logs import events as ev
from engine.logs.events import AnyEvent, Device, Memory, Metrics
from engine.specs.spec import Experiment, planned_runs
from engine.specs.strategy import Strategy
from engine.states.forecast import DataSize

FIXED, TRAINING, VALIDATING, SAVING, SOLVING, FEATURES = 3.0, 0.05, 0.02, 0.5, 0.01, 0.04
"""Seconds: of a run, of an image in an epoch (in the test as in validation), of saving after one, of a probe for each
image, and of its features."""
CPU, CARD = Device("cpu", "Xeon", 16 * 2**30), Device("cuda:0", "H200", 139 * 2**30)
DATA = DataSize("/data", 2, 200, 100, 50, None)
NOTHING = Memory(0, 0)


def log(
    *strategies: Strategy,
    images: DataSize = DATA,
    device: Device = CPU,
    precision: str = "fp32",
    fetched: tuple[tuple[str, float], ...] = (),
    **asked: Any,
) -> list[AnyEvent]:
    """An experiment that takes what the constants say; features are extracted once for each backbone. ``fetched``: what
    is said, and how many seconds it takes, before the first run has its weights.
    """
    experiment, now, found = Experiment(strategies, **asked), 0.0, set[str]()
    images = images._replace(folds=experiment.folds)
    events: list[AnyEvent] = []

    def happens(event: AnyEvent, seconds: float = 0.0) -> None:
        nonlocal now
        now += seconds
        events.append(replace(event, elapsed=now))

    data = ev.DataSummary(
        "data", images.path, "folders", ("a", "b"), {"a": images.train, "b": 0}, {"a": images.val, "b": 0}, "",
        test={"a": images.test},
    )  # fmt: skip
    happens(ev.ExperimentStarted(name="x", spec=experiment, data=data, device=device, versions={}))
    happens(ev.DataDecoded(train=images.train, val=images.val, left_out=0), 7.0)
    train, val = images.an_epoch
    for run in planned_runs(experiment):
        name, strategy, spent, elsewhere = run.name, run.strategy, 0.0, 0.0
        for detail, waited in (*fetched, ("checking x.pth", 0.0)):
            happens(ev.StageChanged(run=name, stage="weights", detail=detail))
            now += waited
        fetched = ()
        happens(
            ev.RunStarted(
                run=name, strategy=strategy.name, seed=run.seed, weights="", parameters_total=1, fold=run.fold,
                parameters_trainable=1, precision=precision, learning_rates=(), memory=NOTHING,
            ),
            FIXED / 2,
        )  # fmt: skip
        if strategy.needs_features:
            took = FEATURES * images.seen(strategy.extracted_views)
            spent, elsewhere = took, took if strategy.backbone in found else 0.0
            happens(ev.StageChanged(run=name, stage="features"))
            happens(ev.StageChanged(run=name, stage="probing"), took - elsewhere)
            found.add(strategy.backbone)
        if strategy.head == "probe":
            happens(ev.ProbeSolved(run=name, l2=1.0), SOLVING * train)
            spent += SOLVING * train
        for number in range(1, strategy.epochs + 1):
            seconds = train * TRAINING + val * VALIDATING
            spent += seconds
            happens(
                ev.EpochFinished(
                    run=name, epoch=number, train=Metrics(1, 0.5, train), val=Metrics(1, 0.5, val), learning_rate=0.1,
                    seconds=seconds, train_seconds=train * TRAINING, images_per_second=1 / TRAINING, memory=NOTHING,
                    is_best=number == 1, run_seconds=spent,
                ),
                seconds,
            )  # fmt: skip
            now += SAVING
            spent += SAVING
        now -= SAVING  # the last epoch is saved with the rest
        spent -= SAVING
        if images.test:
            happens(ev.StageChanged(run=name, stage="testing"))
            now += images.test * VALIDATING
        happens(
            ev.RunFinished(
                run=name, end="finished", seconds=spent + FIXED / 2, memory=NOTHING, seconds_of_found_features=elsewhere
            ),
            FIXED / 2,
        )  # fmt: skip
    happens(ev.ExperimentFinished(end="finished"))
    return events
