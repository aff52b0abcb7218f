"""A device of small memory: what is computed on it is computed, but an allocation beyond its capacity is refused."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor, UntypedStorage
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Card(TorchDispatchMode):
    """Counts the bytes of all tensors that were made on it, in this thread, and are still alive, as allocators do.

    Where they would be more than ``capacity``, it raises what CUDA's allocator raises. ``peak``: the most there were.
    """

    def __init__(self, capacity: float = float("inf")) -> None:
        super().__init__()
        self.capacity = capacity
        self.used = self.peak = 0
        self._alive: dict[int, weakref.ref[UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[object, ...] = (), kwargs: dict[str, object] | None = None
    ) -> object:
        given = {one.untyped_storage()._cdata for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        out = func(*args, **(kwargs or {}))
        for made in tree_leaves(out):
            if isinstance(made, Tensor) and made.untyped_storage()._cdata not in given:
                self._count(made.untyped_storage())
        return out

    def _count(self, storage: UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return

        def gone(_: object) -> None:
            del self._alive[key]
            self.used -= size

        self._alive[key] = weakref.ref(storage, gone)
        self.used += size
        if self.used > self.capacity:
            raise torch.OutOfMemoryError(f"out of memory: tried to allocate {size} bytes beside {self.used - size}")
        self.peak = max(self.peak, self.used)
