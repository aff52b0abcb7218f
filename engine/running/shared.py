"""What the runs of an experiment share: settings, prepared images, features, meters."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import torch

from engine.data.cross_validation import Division, fold_of, pooled
from engine.data.dataset import DataSet, Unreadable
from engine.data.findings import copies_found
from engine.data.prepare import prepare
from engine.data.prepared import Prepared, PreparedPart
from engine.data.splits import fold_seed, folds
from engine.devices.memory_probe import MemoryProbe
from engine.devices.meters import Meters
from engine.errors import ChangedError
from engine.logs import events as ev
from engine.logs.events import Event
from engine.models.weights import Pretrained, WeightsError, fetch, fetched
from engine.progress import as_events
from engine.specs.spec import Arithmetic, Experiment, PlannedRun
from engine.text import counted, listed, shown
from engine.training.feature_store import FeatureStore

NAMED = 1000
"""Images that cannot be read are named one by one up to so many; more are counted."""


@dataclass(frozen=True)
class Shared:
    """What the runs of an experiment share.

    ``fingerprint``: of the images that an earlier process left, empty where it begins now; ``force``: others will do.
    ``prepared`` holds its images by their side in pixels; ``features`` those of frozen backbones.
    ``later`` writes to the cache beside the training. ``meters`` stand still while the experiment is paused.
    ``divisions`` holds the folds of one side and one seed at a time. ``backbones``: those of which nobody knows yet
    whether their weights can be had.
    """

    experiment: Experiment
    dataset: DataSet
    fingerprint: str
    force: bool
    folder: Path
    device: torch.device
    precision: Arithmetic
    memory: MemoryProbe
    meters: Meters
    later: Executor
    features: FeatureStore
    backbones: set[str]
    prepared: dict[int, Prepared] = field(default_factory=dict)
    divisions: dict[tuple[int, int], Division] = field(default_factory=dict)


def images_of(shared: Shared, planned: PlannedRun, side: int) -> Generator[Event, None, Prepared]:
    """The images of a run as squares of this side: those of its fold, where it has one."""
    prepared, experiment = (yield from _prepared(shared, side)), shared.experiment
    if planned.fold is None or experiment.folds is None:
        return prepared
    key = side, planned.seed
    if key not in shared.divisions:
        for other in [other for other in shared.divisions if other[1] != planned.seed]:
            del shared.divisions[other]
        drawn_with = fold_seed(experiment.data.split_seed, planned.seed)
        images, classes = pooled(prepared).samples, shared.dataset.classes
        shared.divisions[key] = folds(images, experiment.folds, drawn_with, classes)
    return fold_of(prepared, shared.divisions[key], planned.fold)


def _prepared(shared: Shared, side: int) -> Generator[Event, None, Prepared]:
    """The images as squares of this side, decoded at the first call for it."""
    if side not in shared.prepared:
        others = [prepared.pixels for prepared in shared.prepared.values()]
        work = prepare(shared.dataset, side, shared.device, shared.later, others)
        prepared = yield from as_events(work, "decoding", shared.meters.clock)
        began_with = next((one.fingerprint for one in shared.prepared.values()), shared.fingerprint)
        if began_with not in ("", prepared.fingerprint):
            changed = "the images, labels or split have changed since the experiment began"
            if not shared.force:
                raise ChangedError(f"{changed}; `tl-tui resume --force` resumes anyway")
            yield ev.Warned(message=f"resumed by force: {changed}")
        folded = shared.experiment.folds is not None
        val_copies, test_copies = prepared.copies(folded=folded)
        left_out = (*prepared.train.unreadable, *prepared.val.unreadable, *prepared.test.unreadable)
        if not shared.prepared:  # of another side it would be told again
            yield from _unread(left_out, _vanished(shared.dataset, prepared.val))
            yield from _copied(prepared, val_copies, test_copies, folded=folded)
        val_conflicts, test_conflicts = prepared.conflicts(folded=folded)
        yield ev.DataDecoded(
            train=len(prepared.train.labels),
            val=len(prepared.val.labels),
            test=len(prepared.test.labels),
            left_out=len(left_out),
            kept=prepared.pixels.kept,
            fingerprint=prepared.fingerprint,
            val_copies=val_copies,
            test_copies=test_copies,
            val_conflicts=val_conflicts,
            test_conflicts=test_conflicts,
        )
        shared.prepared[side] = prepared
    return shared.prepared[side]


def _unread(left_out: Sequence[Unreadable], gone: list[str]) -> Iterator[ev.Warned]:
    for unreadable in left_out[:NAMED]:
        yield ev.Warned(message=f"left out {shown(unreadable.path)}: {unreadable.reason}")
    if len(left_out) > NAMED:
        yield ev.Warned(message=f"left out {len(left_out) - NAMED:,} more images that could not be read")
    if gone:
        yield ev.Warned(message=f"no validation image of {listed(gone)} can be read, so there is no result for it")


def _copied(prepared: Prepared, val: int, test: int, *, folded: bool) -> Iterator[ev.Warned]:
    """Of images that are there more than once, where that makes results false: before anything trains. ``val`` and
    ``test`` as of :meth:`Prepared.copies`.
    """
    if folded and val:
        copies = counted(val, "image has", "images have")
        message = f"{copies} a byte-for-byte duplicate, which may be in training while the other is validated on"
        yield ev.Warned(message=f"{message}; remove all but one of each (tl-tui check names them)")
    val = 0 if folded else val
    for found in copies_found(val, len(prepared.val.labels), test, prepared.conflicting_pairs(), "byte for byte"):
        yield ev.Warned(message=f"{found.text.removesuffix('.')}; {found.advice} (tl-tui check names them)")


def weights_of(shared: Shared, planned: PlannedRun) -> Generator[Event, None, Pretrained]:
    """The pretrained weights of a run, after those of all later ones: nobody is to find out hours later that they
    cannot be had. :class:`WeightsError` where this run's cannot.
    """
    shared.backbones.discard(planned.strategy.backbone)
    while shared.experiment.weights == "default" and shared.backbones:
        backbone = min(shared.backbones)
        shared.backbones.remove(backbone)
        try:
            yield from as_events(fetched(backbone), "weights", shared.meters.clock, planned.name)
        except WeightsError as error:
            yield ev.Warned(message=f"{backbone} comes later and would fail: {error}")
    work = fetch(planned.strategy.backbone, shared.experiment.weights)
    return (yield from as_events(work, "weights", shared.meters.clock, planned.name))


def _vanished(dataset: DataSet, val: PreparedPart) -> list[str]:
    """The classes of which there are validation images, but none that can be read."""
    gone = {sample.label for sample in dataset.val}.difference(val.labels.tolist())
    return [dataset.classes[label] for label in sorted(gone)]
