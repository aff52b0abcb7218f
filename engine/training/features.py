"""A frozen backbone's features: computed once for all runs, seeds and later experiments that would get the same."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from engine import cache
from engine.clock import PROGRESS_SECONDS, every
from engine.data.augment import draw_views, random_views
from engine.data.pixels import fits_on
from engine.data.prepare import Prepared, keep
from engine.data.room import free_memory
from engine.devices import autocast, release_memory, wait_for
from engine.meters import Cost, Meters
from engine.models.backbones import Network
from engine.models.folding import folded
from engine.models.trained import state_hash
from engine.progress import WorkDone
from engine.spec import Arithmetic
from engine.strategy import Augmentation, Strategy
from engine.training.batches import Images, evaluation_sizes, generator
from engine.training.memory import too_large

EXTRACTOR = "3"
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


class Features(NamedTuple):
    """Features as float32 (views, rows, ...), and what extracting them took, which was before where ``were_found``."""

    table: Tensor
    cost: Cost
    were_found: bool


def number_of_views(strategy: Strategy) -> int:
    """How many views of an image are extracted: the central one, and the random ones where epochs run on features."""
    return 1 + strategy.augmentation.views if strategy.on_features and strategy.is_augmented else 1


def extracted(
    store: FeatureStore,
    images: Images,
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
    began, views = store.meters(), number_of_views(strategy)
    key = _key(images, strategy, network, precision, views)
    if key not in store.tables and (found := _cached(store, key, images, views)) is not None:
        store.tables[key], store.costs[key] = found
    were_found = key in store.tables
    if were_found:
        table = store.tables[key]
        if table.device.type != images.device.type and fits_on(images.device, table.nbytes):
            store.tables[key] = table.to(images.device)
    else:
        table = yield from _extract(store, images, strategy.augmentation, network, precision, views, at_once)
        store.tables[key] = table
        store.costs[key] = store.meters() - began
        if table.device.type == "cpu" or table.nbytes <= free_memory():
            many = f"{images.prepared.count} images" + (f", {views - 1} views" if views > 1 else "")
            description = f"{strategy.backbone}: {many} of {images.preprocessing.crop} pixels"
            cost = msgspec.json.encode(store.costs[key])
            store.later.submit(keep, "features", key, description, {FEATURES: table.cpu().numpy(), COST: cost})
    return Features(store.tables[key], store.costs[key], were_found)


def _key(images: Images, strategy: Strategy, network: Network, precision: Arithmetic, views: int) -> str:
    trained = images.prepared.trained.tolist()
    augmentation = msgspec.json.encode((strategy.augmentation, trained)) if views > 1 else b""
    return cache.key(
        EXTRACTOR,
        torch.__version__,
        images.device.type,
        precision,
        state_hash(network.module, network.head_name),
        msgspec.json.encode(images.preprocessing),
        augmentation,
        images.prepared.key,
        msgspec.json.encode(_readable(images.prepared).tolist()),  # another experiment may read what this one cannot
    )


def _readable(prepared: Prepared) -> Tensor:
    """The rows of every image that can be read, each once and in order."""
    rows: Tensor = torch.unique(torch.cat((prepared.trained, prepared.val.rows, prepared.test.rows)))
    return rows


def _extract(
    store: FeatureStore,
    images: Images,
    augmentation: Augmentation,
    network: Network,
    precision: Arithmetic,
    views: int,
    at_once: int | None,
) -> Generator[WorkDone, None, Tensor]:
    prepared = images.prepared
    training, rows = torch.unique(prepared.trained), _readable(prepared)
    detail = "every image once" if views == 1 else f"{views - 1} views of every training image"
    total, done = len(rows) + (views - 1) * len(training), 0
    yield WorkDone(detail, done, total, images=True)
    run, due = folded(network, images.preprocessing.crop), every(PROGRESS_SECONDS, time.perf_counter)
    table, finite = torch.empty(0), torch.ones((), dtype=torch.bool, device=images.device)
    for view, index, inputs in chain(
        _central(images, rows, at_once), _random(images, augmentation, training, views, at_once)
    ):
        with torch.inference_mode(), autocast(images.device, precision):
            found = run(inputs).float()
        if not done:
            shape = (views, images.prepared.count, *found.shape[1:])
            table = torch.zeros(shape, device=_place(store, shape, images.device))
        table[view, index.to(table.device)] = found.to(table.device)
        finite &= found.isfinite().all()
        done += len(index)
        if due():
            wait_for(images.device)  # so that what is told is done
            _check(finite, precision)
            yield WorkDone(detail, done, total, images=True)
    wait_for(images.device)
    _check(finite, precision)
    yield WorkDone(detail, done, total, images=True)
    return table


def _check(finite: Tensor, precision: Arithmetic) -> None:
    if not finite:
        advice = "give --precision fp32, which has room for larger ones" if precision == "fp16" else "are they damaged?"
        raise NotFiniteError(f"these weights give features that are not finite numbers in {precision}; {advice}")


Views = Iterator[tuple[int, Tensor, Tensor]]
"""The number of a view, the rows of a batch on the device, and the backbone's input."""


def _central(images: Images, rows: Tensor, at_once: int | None) -> Views:
    pieces = torch.split(rows.to(images.device), evaluation_sizes(len(rows), images.device, at_once))
    for index, inputs in zip(pieces, images.central(rows, at_once), strict=True):
        yield 0, index, inputs


def _random(images: Images, augmentation: Augmentation, rows: Tensor, views: int, at_once: int | None) -> Views:
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
        raise too_large(what, needed, free, "another backbone's may be smaller, as may be fewer views or images")
    return torch.device("cpu")


def _cached(store: FeatureStore, key: str, images: Images, views: int) -> tuple[Tensor, Cost] | None:
    """Features and what they took, unless they are not there or not usable."""
    folder = cache.find("features", key)
    if folder is None:
        return None
    try:
        array = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
        cost = msgspec.json.decode((folder / COST).read_bytes(), type=Cost)
    except (OSError, EOFError, ValueError):  # a wrong cost is msgspec's ValidationError, which is one
        return None
    if array.dtype != np.float32 or array.shape[:2] != (views, images.prepared.count):
        return None
    table = torch.empty(array.shape, device=_place(store, array.shape, images.device))
    for first in range(0, array.shape[1], READ_AT_ONCE):  # for the device, memory need not hold all of them
        rows = slice(first, first + READ_AT_ONCE)
        table[:, rows] = torch.from_numpy(np.array(array[:, rows]))
    return table, cost
