"""Running an experiment: every strategy with every seed, one after the other, against a log."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from engine import devices
from engine import events as ev
from engine.controls import Controls, Interrupted, Stopwatch
from engine.data.dataset import DataError, DataSet, summary
from engine.events import Action, Event
from engine.folder import ENGINE_LOG
from engine.log import EventLog
from engine.models.backbones import preprocessing
from engine.run import Shared, run_events
from engine.spec import Experiment, SpecError, run_id
from engine.training.features import FeatureStore

HEARTBEAT_SECONDS = 1.0
logger = logging.getLogger("engine")


def run(experiment: Experiment, dataset: DataSet, folder: Path) -> ev.ExperimentFinished:
    """Runs the experiment in its folder and returns the last event of its log.

    A run that fails is recorded and the next one starts. What makes the whole experiment impossible is recorded too
    and then raised: ``SpecError`` (say, a backbone that does not exist), ``DataError`` (unusable images).
    """
    with EventLog(folder) as log, _engine_log(folder):
        try:
            finished = _run(experiment, dataset, folder, log)
        except Exception as error:
            if not isinstance(error, SpecError | DataError):
                logger.exception("the experiment failed")
            log.append(ev.ExperimentFinished(end="failed", error=" ".join(str(error).split()) or type(error).__name__))
            raise
        log.append(finished)
        return finished


def _run(experiment: Experiment, dataset: DataSet, folder: Path, log: EventLog) -> ev.ExperimentFinished:
    device = devices.choose_device(experiment.device)
    precision = devices.choose_precision(device, experiment.precision)
    views = [preprocessing(strategy.backbone, strategy.image_size) for strategy in experiment.strategies]
    clock, memory = Stopwatch(), devices.MemoryProbe(device)
    controls = Controls(folder, log, clock)
    log.append(
        ev.ExperimentStarted(
            name=folder.name,
            spec=experiment,
            data=summary(dataset),
            device=devices.describe(device),
            versions=versions(),
        )
    )
    for message in dataset.warnings:
        log.append(ev.Warned(message=message))
    if experiment.weights == "none":
        log.append(ev.Warned(message="weights are random at the start (weights: none): this is no transfer learning"))
    with ThreadPoolExecutor(1, thread_name_prefix="cache") as later:
        shared = Shared(
            dataset=dataset,
            folder=folder,
            weights=experiment.weights,
            device=device,
            precision=precision,
            compile=experiment.compile,
            memory=memory,
            clock=clock,
            later=later,
            features=FeatureStore(later),
        )
        for seed in experiment.seeds:
            for strategy, view in zip(experiment.strategies, views, strict=True):
                name = run_id(strategy, seed)
                if shared.prepared:
                    devices.release_memory()  # of the run before
                with _heartbeat(log, memory, name):
                    action = _drive(run_events(shared, strategy, seed, view), log, controls, name)
                if action == "stop":
                    return ev.ExperimentFinished(end="stopped")
    return ev.ExperimentFinished(end="finished")


def _drive(events: Generator[Event, None, None], log: EventLog, controls: Controls, run_name: str) -> Action | None:
    """Logs a run's events until it ends; a person's stop or skip is thrown into it and returned."""
    interruption: Action | None = None
    with suppress(StopIteration, Interrupted):
        event = next(events)
        while True:
            log.append(event)
            asked = controls.obey(run_name)
            if asked is None or interruption is not None:  # once it is ending, only a stop still matters
                interruption = "stop" if asked == "stop" else interruption
                event = next(events)
            else:
                interruption = asked
                event = events.throw(Interrupted(asked))
    return interruption


@contextmanager
def _heartbeat(log: EventLog, memory: devices.MemoryProbe, run_name: str) -> Iterator[None]:
    """Logs memory once a second beside whatever else goes on."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            log.append(ev.MemorySampled(run=run_name, memory=memory.sample()))

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _engine_log(folder: Path) -> Iterator[None]:
    """Sends the engine's log records and Python warnings to ``engine.log``."""
    handler = logging.FileHandler(folder / ENGINE_LOG, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = (logger, logging.getLogger("py.warnings"))
    logging.captureWarnings(True)
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
    try:
        yield
    finally:
        for one in loggers:
            one.removeHandler(handler)
        logging.captureWarnings(False)
        handler.close()


def versions() -> dict[str, str]:
    """The versions that can change a result."""
    packages = {name: metadata.version(name) for name in ("tl-tui", "torch", "torchvision", "numpy", "pillow")}
    return {"python": platform.python_version(), **packages}
