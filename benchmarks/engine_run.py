"""The side of tl-tui: an experiment of one strategy through the host that ``tl-tui run`` and the app start."""

from __future__ import annotations

import importlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise, starmap
from pathlib import Path

from benchmarks.measure import Epoch, Task, Trained
from engine.hosts import thread
from engine.hosts.tuning import tune_process
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.logs.log import event_reader
from engine.specs.spec import DataSource, Experiment
from engine.units import size

tune_process()  # as the host does, before torch is loaded
importlib.import_module(
    "engine.running.experiment"
)  # the host would do it later, and it is not to be counted as training


def train(task: Task) -> Trained:
    """Runs the experiment and reads the figures from its log."""
    experiment = Experiment(
        strategies=(task.strategy,),
        data=DataSource(path=task.data),
        seeds=(task.seed,),
        weights=task.weights,
        compile=task.compile,
    )
    with tempfile.TemporaryDirectory() as out:
        host = thread.start(experiment, Path(out))
        host.wait()
        if host.failure is not None:
            raise host.failure
        return from_log(event_reader(host.folder).read())


def from_log(events: Sequence[AnyEvent]) -> Trained:
    """The figures in an experiment's events; ``RuntimeError`` where its run failed."""
    failed = next((event for event in events if isinstance(event, ev.RunFailed)), None)
    if failed is not None:
        raise RuntimeError(f"{failed.run} failed: {failed.message}")
    epochs = [event for event in events if isinstance(event, ev.EpochFinished)]
    run = next(event for event in events if isinstance(event, ev.RunStarted))
    ended = next((event.memory for event in events if isinstance(event, ev.RunFinished)), None)
    on_card = f"{size(ended.peak_allocated)} of the card" if ended is not None and ended.peak_allocated else ""
    kept = next((event.kept for event in events if isinstance(event, ev.DataDecoded)), "")
    return Trained(
        epochs=tuple(starmap(Epoch, zip(_whole_epochs(epochs), (epoch.val.accuracy for epoch in epochs), strict=True))),
        images=epochs[0].train.images + epochs[0].val.images,
        weights=run.weights,
        note=", ".join(part for part in (run.precision, f"images {kept}" if kept else "", on_card) if part),
        stages=seconds_by_stage(events),
    )


def _whole_epochs(epochs: Sequence[ev.EpochFinished]) -> Iterator[float]:
    """Seconds of each epoch, from the second on with what was saved after the one before, as other sides count it."""
    yield epochs[0].seconds
    for before, epoch in pairwise(epochs):
        yield epoch.elapsed - before.elapsed


def seconds_by_stage(events: Sequence[AnyEvent]) -> dict[str, float]:
    """Seconds from the beginning of each stage to that of the next, summed by stage."""
    seconds: defaultdict[str, float] = defaultdict(float)
    stage, began = "starting", 0.0
    for event in events:
        following: str | None = event.stage if isinstance(event, ev.StageChanged) else None
        if isinstance(event, ev.RunFinished):
            following = "ending"
        if following is not None:
            seconds[stage] += event.elapsed - began
            stage, began = following, event.elapsed
    return dict(seconds)
