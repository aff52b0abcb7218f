"""Running an experiment: every strategy with every seed, one after the other, against a log."""

from __future__ import annotations

import logging
import os
import platform
import socket
import threading
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from engine.clock import Stopwatch
from engine.data.dataset import DataSet, summary
from engine.data.leaks import leak_sentences
from engine.devices.computing import COMPUTING
from engine.devices.device import choose_device, describe
from engine.devices.energy import energy_meter
from engine.devices.memory_probe import MemoryProbe, release_memory
from engine.devices.meters import Meters
from engine.devices.precision import choose_precision, use_precision
from engine.errors import ChangedError, UserError
from engine.history.experiment_state import ran_beside_another, warning_of_others
from engine.history.run_costs import earlier_costs
from engine.logs import events as ev
from engine.logs.engine_log import recorded
from engine.logs.events import Action, AnyEvent, Event
from engine.logs.log import EventLog
from engine.models.backbones import Preprocessing, check_trains, preprocessing
from engine.models.weights import WeightsError, given
from engine.running.controls import Controls, Interrupted
from engine.running.one_run import run_events
from engine.running.pending import PendingRuns
from engine.running.shared import Shared
from engine.specs.spec import Arithmetic, Experiment, planned_runs
from engine.specs.strategy import Strategy
from engine.states.forecast import data_size, forecast
from engine.states.replay import replay
from engine.states.state import ExperimentState, is_left
from engine.text import in_one_line
from engine.training import checkpoint
from engine.training.feature_store import FeatureStore
from engine.training.memory import use_onednn_again
from engine.training.schedule import stands_still_from

HEARTBEAT_SECONDS = 1.0
logger = logging.getLogger("engine")


def run(
    experiment: Experiment, dataset: DataSet, log: EventLog, asked: deque[Action], *, force: bool = False
) -> ev.ExperimentFinished | None:
    """Runs what is left of the experiment in the log's folder and returns the last event of its log.

    None where it was suspended: another process can go on with it. ``asked`` is what this process itself asks for.
    A run that fails is recorded and the next one starts. What makes the whole experiment impossible is recorded too
    and then raised: ``UserError`` (say, a backbone that does not exist, or unusable images). Where it only cannot go on
    as it began, :class:`ChangedError` is raised, unless by ``force``, and the log tells of no end: it can be resumed
    once what changed is back.
    """
    with recorded(log.folder), COMPUTING:
        try:
            finished = _run(experiment, dataset, log, asked, force)
        except ChangedError:
            raise
        except Exception as error:
            if not isinstance(error, UserError):
                logger.exception("the experiment failed")
            log.append(ev.ExperimentFinished(end="failed", error=in_one_line(error)))
            raise
        if finished is not None:
            log.append(finished)
        return finished


class Resolved(NamedTuple):
    """What an experiment is computed with; ``views``: how each strategy, by name, sees an image."""

    device: torch.device
    precision: Arithmetic
    views: dict[str, Preprocessing]


def resolve(experiment: Experiment) -> Resolved:
    """``UserError`` where this machine has no such device or precision, or a strategy is not possible, or the weights
    that were given for it are not there.
    """
    device = choose_device(experiment.device)
    precision = choose_precision(device, experiment.precision)
    views = {one.name: preprocessing(one.backbone, one.image_size) for one in experiment.strategies}
    for one in experiment.strategies:
        check_trains(one.backbone, one.trains)
        if experiment.weights not in ("default", "none"):
            try:
                given(Path(experiment.weights).expanduser(), one.backbone)
            except WeightsError as error:  # now, not when its turn comes, hours later
                raise UserError(f"{one.name}: {error}") from None
    return Resolved(device, precision, views)


def _run(
    experiment: Experiment, dataset: DataSet, log: EventLog, asked: deque[Action], force: bool
) -> ev.ExperimentFinished | None:
    device, precision, views = resolve(experiment)
    use_precision(device, precision)
    use_onednn_again()  # an earlier experiment of this process may have done without, in a thread of its own
    release_memory()  # of that experiment: what torch keeps of it counts as taken when there is to be room for images
    meters, memory = Meters(energy=Stopwatch(energy_meter(device))), MemoryProbe(device)
    earlier = replay(log.earlier)
    if earlier.data is not None and not earlier.data.test:  # it began when no part was set apart for a test
        dataset = msgspec.structs.replace(dataset, test=())
    state = _begin(experiment, dataset, log, describe(device), earlier)
    pending = PendingRuns(log, memory, state)
    controls = Controls(log.folder, log, meters, asked, earlier, pending.skip)
    with ThreadPoolExecutor(1, thread_name_prefix="cache") as later:
        shared = Shared(
            experiment=experiment,
            dataset=dataset,
            fingerprint="" if earlier.decoded is None else earlier.decoded.fingerprint,
            force=force,
            folder=log.folder,
            device=device,
            precision=precision,
            memory=memory,
            meters=meters,
            later=later,
            features=FeatureStore(later, meters),
            backbones={run.strategy.backbone for run in state.runs if is_left(run)},
        )
        for planned in planned_runs(experiment):
            name, known = planned.name, state.run(planned.name)
            if not pending.take(name):
                if known.status in ("finished", "skipped"):  # a process that was killed right then had no time for it
                    checkpoint.remove(log.folder, name)
                continue
            if shared.prepared:
                release_memory()  # of the run before
            logged, view = known.latest.epoch if known.latest else 0, views[planned.strategy.name]
            events = run_events(shared, planned, view, logged, has_more=pending.has_more(name))
            is_told = ran_beside_another(name, state) or _tell_of_others(log, name)
            with _heartbeat(log, memory, name):
                action = _drive(events, log, controls, name, skip=name in pending.skipped)
            if not is_told:
                _tell_of_others(log, name)  # that began after it
            if action == "suspend":
                return None
            if action == "stop":
                return ev.ExperimentFinished(end="stopped")
    return ev.ExperimentFinished(end="finished")


def _begin(
    experiment: Experiment, dataset: DataSet, log: EventLog, device: ev.Device, earlier: ExperimentState
) -> ExperimentState:
    """Logs that the experiment begins or goes on, and returns what there is to do."""
    first: Event
    if earlier.spec is None:
        data = summary(dataset)
        size, costs = data_size(data, experiment.folds), earlier_costs(log.folder.parent)
        first = ev.ExperimentStarted(
            name=log.folder.name,
            spec=experiment,
            data=data,
            device=device,
            versions=versions(),
            forecast=forecast(costs, experiment, size, [device]),
        )
        leak = None if experiment.folds else data.leak  # folds keep groups whole
        warnings = [*dataset.warnings, *leak_sentences(leak, data.test_leak), *_doubts(experiment)]
    else:
        first = ev.ExperimentResumed(host=socket.gethostname(), pid=os.getpid(), device=device, versions=versions())
        warnings = _changes(earlier, first)
    written = [log.append(first), *(log.append(ev.Warned(message=message)) for message in warnings)]
    return replay([event for event in written if isinstance(event, AnyEvent)], earlier)


def _tell_of_others(log: EventLog, run_name: str) -> bool:
    """Logs that other experiments run on the machine now, beside this run; whether any does."""
    if beside := warning_of_others(log.folder.parent):
        log.append(ev.Warned(run=run_name, message=beside))
    return bool(beside)


def _doubts(experiment: Experiment) -> Iterator[str]:
    """Warnings about settings that may not be what a person means."""
    for one in experiment.strategies:
        if still := stands_still_from(one):
            rate = f"{type(one.schedule).__name__} leaves a thousandth of the learning rate or less"
            yield (
                f"{one.name}: from epoch {still} of {one.epochs}, {rate}, so it learns almost nothing; "
                "use a schedule that suits this many epochs"
            )
        if _is_alike_for_seeds(one, experiment):
            yield (
                f"{one.name}: the seed only affects how its regularisation is cross-validated, so its "
                f"{len(experiment.seeds)} runs may give the same network; one seed may be enough"
            )
    if experiment.weights == "none":
        yield "weights are initialised at random (weights: none): this is not transfer learning"


def _is_alike_for_seeds(strategy: Strategy, experiment: Experiment) -> bool:
    """Whether several seeds change no image, no view of one and no weight that a strategy begins with."""
    is_the_same = strategy.is_probe and not strategy.is_augmented
    return is_the_same and len(experiment.seeds) > 1 and experiment.folds is None and experiment.weights != "none"


def _changes(earlier: ExperimentState, now: ev.ExperimentResumed) -> list[str]:
    """What differs between the process that goes on and the one before, in words."""
    found = [
        f"resumed with {name} {version} (was {earlier.versions[name]})"
        for name, version in now.versions.items()
        if earlier.versions.get(name, version) != version
    ]
    if earlier.device is not None and earlier.device.hardware != now.device.hardware:
        found.append(f"resumed on {now.device.hardware} (was {earlier.device.hardware}): times are not comparable")
    return found


def _drive(
    events: Generator[Event, None, None], log: EventLog, controls: Controls, run_name: str, *, skip: bool
) -> Action | None:
    """Logs a run's events until it ends; a person's stop, skip or suspend is thrown into it and returned. ``skip``:
    asked for before its turn.

    Once the log that the run is over is on the disk, its checkpoint, the only other record of that, is removed.
    """
    interruption: Action | None = None
    event: Event | None = None
    with suppress(StopIteration, Interrupted):
        event = next(events)
        while True:
            log.append(event)
            asked = controls.obey(run_name) or ("skip" if skip else None)
            skip = False
            if asked is None:
                event = next(events)
                continue
            if interruption in (None, "skip"):  # what ends all outweighs what ends a run
                interruption = asked
            event = events.throw(Interrupted(asked))
    if isinstance(event, ev.RunFinished | ev.RunFailed):
        kept = log.is_on_disk()
        if kept and isinstance(event, ev.RunFinished) and event.end != "stopped":
            checkpoint.remove(log.folder, run_name)
    return interruption


@contextmanager
def _heartbeat(log: EventLog, memory: MemoryProbe, run_name: str) -> Iterator[None]:
    """Logs memory once a second beside whatever else goes on."""
    over = threading.Event()

    def beat() -> None:
        try:
            while not over.wait(HEARTBEAT_SECONDS):
                log.append(ev.MemorySampled(run=run_name, memory=memory.sample()))
        except RuntimeError:  # a card that is lost: training says so too, and says it to the person
            logger.exception("memory can no longer be measured")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def versions() -> dict[str, str]:
    """The versions that can change a result."""
    packages = {name: metadata.version(name) for name in ("tl-tui", "torch", "torchvision", "numpy", "pillow")}
    return {"python": platform.python_version(), **packages}
