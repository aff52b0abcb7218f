"""A frozen backbone's features: computed once for all runs, seeds and later experiments that would get the same."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from engine import cache
from engine.cached_rows import Digests, Files, entry_name, reusable_rows, write_rows
from engine.clock import PROGRESS_SECONDS, every
from engine.data.augment import draw_views, random_views
from engine.data.memory_limits import free_memory
from engine.data.pixels import fits_on
from engine.data.prepared import Prepared
from engine.devices.device import wait_for
from engine.devices.memory_probe import release_memory
from engine.devices.meters import Cost, Meters
from engine.devices.precision import autocast
from engine.models.backbones import Network
from engine.models.fused import fused
from engine.models.trainable import state_hash
from engine.progress import WorkDone
from engine.specs.spec import Arithmetic
from engine.specs.strategy import Augmentation, Strategy
from engine.training.batches import InputImages, evaluation_batch, evaluation_sizes, generator
from engine.training.memory import too_large

EXTRACTOR = "4"
"""Changes whenever the same backbone is to give other features of the same images."""
FEATURES, COST = "features.npy", "cost.json"
EVERY_SEED = 0
READ_AT_ONCE = 4096
"""Rows of features that are read from the cache at once."""


class NotFiniteError(RuntimeError):
    """Features are not finite numbers; the text is one line that says what to do."""


@dataclass
class FeatureStore:
    """The features that the runs of an experiment share, by what decides them; ``later`` writes them to the cache.

    ``costs``: what each took by ``meters``, here or in the experiment that wrote them to the cache.
    """

    later: Executor
    meters: Callable[[], Cost] = field(default_factory=Meters)
    tables: dict[str, Tensor] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    def leave_device(self) -> None:
        """Makes room on the device for a run that needs no features: they wait in memory, as far as they fit there."""
        for key, table in list(self.tables.items()):
            if table.device.type == "cpu":
                continue
            del self.tables[key]
            if table.nbytes <= free_memory():
                self.tables[key] = table.cpu()


@dataclass
class Filling:
    """A table of features while it is filled, float32 (views, rows, ...), None before the first are known.

    ``left``: the rows whose features are not in it, int64 (N,) on the CPU; ``cost``: what those that are there took.
    """

    table: Tensor | None
    left: Tensor
    cost: Cost


class Features(NamedTuple):
    """Features as float32 (views, rows, ...), and what extracting them took, ``elsewhere`` seconds of it before."""

    table: Tensor
    cost: Cost
    elsewhere: float


def extracted(
    store: FeatureStore,
    images: InputImages,
    strategy: Strategy,
    network: Network,
    precision: Arithmetic,
    at_once: int | None = None,
) -> Generator[WorkDone, None, Features]:
    """The features of every readable image, on the training device while they fit there.

    View 0 is the central one; the others, of training images only, are random and the same for every seed. Rows that
    cannot be read are zero. ``at_once``: images in a forward pass, where the usual number does not fit into memory.
    :class:`TooLargeError` where the features do not fit into memory either, :class:`NotFiniteError` where the network
    gives infinite ones.
    """
    views, rows = strategy.extracted_views, _readable(images.prepared)
    recipe, contents = _recipe(images, strategy, network, precision, views), images.prepared.contents[rows.numpy()]
    key = entry_name(recipe, contents)
    if key in store.tables:
        there = store.tables[key]
        if there.device.type != images.device.type and fits_on(images.device, there.nbytes):
            store.tables[key] = there.to(images.device)
        return Features(store.tables[key], store.costs[key], store.costs[key].seconds)
    filling = _kept(store, recipe, contents, rows, images, views)
    before = filling.cost.seconds
    if filling.table is None or len(filling.left):
        title = f"{strategy.backbone} at {images.preprocessing.crop} pixels"
        keep_it = partial(_keep, store, recipe, title, contents, rows, filling)
        try:
            yield from _extract(store, images, strategy, network, precision, at_once, filling)
        except GeneratorExit:  # an hour's work is not lost
            keep_it()
            raise
        keep_it()
    assert filling.table is not None
    store.tables[key], store.costs[key] = filling.table, filling.cost
    return Features(filling.table, filling.cost, before)


def _recipe(images: InputImages, strategy: Strategy, network: Network, precision: Arithmetic, views: int) -> str:
    """What decides features besides the images; random views depend on which others train."""
    trained = images.prepared.contents[images.prepared.trained.numpy()]
    random = (msgspec.json.encode(strategy.augmentation), trained.tobytes()) if views > 1 else ()
    return cache.key(
        EXTRACTOR,
        torch.__version__,
        images.device.type,
        precision,
        state_hash(network.module, network.head_name),
        msgspec.json.encode(images.preprocessing),
        images.prepared.recipe,
        *random,
    )


def _readable(prepared: Prepared) -> Tensor:
    """The rows of every image that can be read, each once and in order."""
    rows: Tensor = torch.unique(torch.cat((prepared.trained, prepared.val.rows, prepared.test.rows)))
    return rows


def _extract(
    store: FeatureStore,
    images: InputImages,
    strategy: Strategy,
    network: Network,
    precision: Arithmetic,
    at_once: int | None,
    filling: Filling,
) -> Generator[WorkDone, None, None]:
    """Computes the features of the rows that are left; random views are left until all of them are there."""
    views, rows, before, began = strategy.extracted_views, filling.left, filling.cost, store.meters()
    training = torch.unique(images.prepared.trained)
    detail = "every image once" if views == 1 else f"{views - 1} views of every training image"
    total, done = len(rows) + (views - 1) * len(training), 0
    finite = torch.ones((), dtype=torch.bool, device=images.device)

    def told() -> WorkDone:
        """What is told is done, and fit to be kept."""
        wait_for(images.device)
        _check(finite, precision)
        filling.cost = before + (store.meters() - began)
        if views == 1 or done == total:
            filling.left = rows[done:]
        return WorkDone(detail, done, total, images=True)

    yield WorkDone(detail, done, total, images=True)
    run, due = fused(network, images.preprocessing.crop), every(PROGRESS_SECONDS, time.perf_counter)
    for view, index, inputs in chain(
        _central(images, rows, at_once), _random(images, strategy.augmentation, training, views, at_once)
    ):
        with torch.inference_mode(), autocast(images.device, precision):
            found = run(inputs)[: len(index)].float()
        if filling.table is None:
            shape = (views, images.prepared.count, *found.shape[1:])
            filling.table = torch.zeros(shape, device=_place(store, shape, images.device))
        filling.table[view, index.to(filling.table.device)] = found.to(filling.table.device)
        finite &= found.isfinite().all()
        done += len(index)
        if due():
            yield told()
    yield told()


def _check(finite: Tensor, precision: Arithmetic) -> None:
    if not finite:
        advice = "precision fp32 can hold larger ones" if precision == "fp16" else "are they damaged?"
        raise NotFiniteError(f"these weights give features that are not finite in {precision}; {advice}")


Views = Iterator[tuple[int, Tensor, Tensor]]
"""The number of a view, the rows of a batch on the device, and the backbone's input."""


def _central(images: InputImages, rows: Tensor, at_once: int | None) -> Views:
    """View 0, in batches that are all of one size, so that what an image gives depends on no other; the last one is
    filled up with its last image, whose further results are nobody's.
    """
    size = evaluation_batch(images.device, at_once)
    filled = torch.cat((rows, rows[-1:].expand(-len(rows) % size)))
    pieces = torch.split(rows.to(images.device), size)
    for index, inputs in zip(pieces, images.central(filled, at_once), strict=True):
        yield 0, index, inputs


def _random(images: InputImages, augmentation: Augmentation, rows: Tensor, views: int, at_once: int | None) -> Views:
    """Views 1 and up; every batch of images is read once for all of them."""
    sizes = evaluation_sizes(len(rows), images.device, at_once)
    drawn = [
        torch.split(draw_views(len(rows), augmentation, generator(EVERY_SEED, view)).to(images.device), sizes)
        for view in range(1, views)
    ]
    pieces = torch.split(rows.to(images.device), sizes)
    batches = images.prepared.pixels.batches(rows, sizes) if drawn else ()
    for step, (index, pixels) in enumerate(zip(pieces, batches)):  # noqa: B905 - no batches where no view is random
        for view, matrices in enumerate(drawn, start=1):
            views_seen = random_views(pixels, images.preprocessing.crop, augmentation, matrices[step])
            yield view, index, images.seen(views_seen)


def _place(store: FeatureStore, shape: tuple[int, ...], device: torch.device) -> torch.device:
    """Where features of this shape are kept; those of earlier runs leave the store where there is no room beside them.

    :class:`TooLargeError` where there is none even so.
    """
    needed = 4 * math.prod(shape)
    if store.tables and not (fits_on(device, needed) if device.type != "cpu" else needed <= free_memory()):
        store.tables.clear()
        release_memory()
    if device.type != "cpu" and fits_on(device, needed):
        return device
    if needed > (free := free_memory()):
        views, rows, *each = shape
        many = f"{rows:,} images" + (f" in {views} views" if views > 1 else "")
        what = f"features of {many}, {math.prod(each):,} numbers each, are"
        raise too_large(what, needed, free, "use a backbone with fewer features, or fewer views or images")
    return torch.device("cpu")


def _kept(
    store: FeatureStore, recipe: str, contents: Digests, rows: Tensor, images: InputImages, views: int
) -> Filling:
    """What the cache has of these contents, which belong into ``rows``; of random views all are there or none."""
    filling, left = Filling(None, rows, Cost()), np.ones(len(rows), bool)
    for entry in reusable_rows("features", recipe, contents):
        if views > 1 and len(entry.here) < len(rows):
            continue
        try:
            array = np.load(entry.path / FEATURES, mmap_mode="r", allow_pickle=False)
            whole = msgspec.json.decode((entry.path / COST).read_bytes(), type=Cost)
        except (OSError, EOFError, ValueError):  # a wrong cost is msgspec's ValidationError, which is one
            continue
        if array.dtype != np.float32 or array.ndim < 3 or array.shape[0] != views:
            continue
        of_another_size = filling.table is not None and array.shape[2:] != filling.table.shape[2:]
        if of_another_size or entry.there.max() >= array.shape[1]:
            continue
        if filling.table is None:
            shape = (views, images.prepared.count, *array.shape[2:])
            filling.table = torch.zeros(shape, device=_place(store, shape, images.device))
        for first in range(0, len(entry.here), READ_AT_ONCE):  # for the device, memory need not hold all of them
            piece = slice(first, first + READ_AT_ONCE)
            index = rows[torch.from_numpy(entry.here[piece])].to(filling.table.device)
            filling.table[:, index] = torch.from_numpy(array[:, entry.there[piece]]).to(filling.table.device)
        left[entry.here] = False
        filling.cost += whole * (len(entry.here) / array.shape[1])
    filling.left = rows[torch.from_numpy(left)]
    return filling


def _keep(store: FeatureStore, recipe: str, title: str, contents: Digests, rows: Tensor, filling: Filling) -> None:
    """Writes what is there to the cache, beside the training, unless memory has no room for a copy."""
    table, there = filling.table, np.flatnonzero(~np.isin(rows.numpy(), filling.left.numpy()))
    if table is None or not len(there):
        return
    rows_there = rows[torch.from_numpy(there)]
    whole = len(rows_there) == table.shape[1]
    if (table.device.type != "cpu" or not whole) and table.nbytes > free_memory():
        return
    array = (table if whole else table[:, rows_there.to(table.device)]).cpu().numpy()
    many = f"{len(rows_there)} images" + (f", {len(table) - 1} views" if len(table) > 1 else "")
    files: Files = {FEATURES: array, COST: msgspec.json.encode(filling.cost)}
    store.later.submit(write_rows, "features", recipe, f"{title}: {many}", contents[there], files)
