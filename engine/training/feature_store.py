"""Features that the runs of an experiment share, where they are held, and what the cache has of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from engine.cached_rows import Digests, Files, reusable_rows, write_rows
from engine.data.memory_limits import free_memory
from engine.data.pixels import fits_on
from engine.devices.memory_probe import release_memory
from engine.devices.meters import Cost, Meters
from engine.training.batches import InputImages
from engine.training.memory import too_large

FEATURES, COST = "features.npy", "cost.json"
READ_AT_ONCE = 4096
"""Rows of features that are read from the cache at once."""


class Features(NamedTuple):
    """Features as float32 (views, rows, ...), and what extracting them took, ``elsewhere`` seconds of it before."""

    table: Tensor
    cost: Cost
    elsewhere: float


@dataclass
class FeatureStore:
    """The features that the runs of an experiment share; ``later`` writes them to the cache.

    ``held``: by what decides them, as a run finds them that extracts none. ``meters``: what extracting takes is told
    by these.
    """

    later: Executor
    meters: Callable[[], Cost] = field(default_factory=Meters)
    held: dict[str, Features] = field(default_factory=dict)

    def found(self, key: str, device: torch.device) -> Features | None:
        """The features of this key, on the device again if there is room; None where the store does not hold them."""
        if key not in self.held:
            return None
        found = self.held[key]
        if found.table.device.type != device.type and fits_on(device, found.table.nbytes):
            self.held[key] = found = found._replace(table=found.table.to(device))
        return found

    def leave_device(self) -> None:
        """Makes room on the device for a run that needs no features: they wait in memory, as far as they fit there."""
        for key, features in list(self.held.items()):
            if features.table.device.type == "cpu":
                continue
            del self.held[key]
            if features.table.nbytes <= free_memory():
                self.held[key] = features._replace(table=features.table.cpu())


@dataclass
class Filling:
    """A table of features while it is filled, float32 (views, rows, ...), None before the first are known.

    ``left``: the rows whose features are not in it, int64 (N,) on the CPU; ``cost``: what those that are there took.
    """

    table: Tensor | None
    left: Tensor
    cost: Cost


def place(store: FeatureStore, shape: tuple[int, ...], device: torch.device) -> torch.device:
    """Where features of this shape are kept; those of earlier runs leave the store where there is no room beside them.

    :class:`TooLargeError` where there is none even so.
    """
    needed = 4 * math.prod(shape)
    if store.held and not (fits_on(device, needed) if device.type != "cpu" else needed <= free_memory()):
        store.held.clear()
        release_memory()
    if device.type != "cpu" and fits_on(device, needed):
        return device
    if needed > (free := free_memory()):
        views, rows, *each = shape
        many = f"{rows:,} images" + (f" in {views} views" if views > 1 else "")
        what = f"features of {many}, {math.prod(each):,} numbers each, are"
        raise too_large(what, needed, free, "use a backbone with fewer features, or fewer views or images")
    return torch.device("cpu")


def from_cache(
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
            filling.table = torch.zeros(shape, device=place(store, shape, images.device))
        for first in range(0, len(entry.here), READ_AT_ONCE):  # for the device, memory need not hold all of them
            piece = slice(first, first + READ_AT_ONCE)
            index = rows[torch.from_numpy(entry.here[piece])].to(filling.table.device)
            filling.table[:, index] = torch.from_numpy(array[:, entry.there[piece]]).to(filling.table.device)
        left[entry.here] = False
        filling.cost += whole * (len(entry.here) / array.shape[1])
    filling.left = rows[torch.from_numpy(left)]
    return filling


def to_cache(store: FeatureStore, recipe: str, title: str, contents: Digests, rows: Tensor, filling: Filling) -> None:
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
