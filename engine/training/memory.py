"""Running out of memory: how it is told from other errors, and what there is to do."""

from __future__ import annotations

import errno
import re
from typing import Literal

import torch

OUT_OF_MEMORY = re.compile(
    r"out of memory|(can't|cannot|not) (allocate|enough) memory|bad_alloc|ALLOC_FAILED"
    r"|unable to find (an engine|a valid cuDNN algorithm)",  # what is left of it after cuDNN has tried all it has
    re.I,
)
GIB = 2**30
NO_KERNEL = re.compile(r"could not (create|execute) a ")

Shortage = Literal["memory", "kernels"]
"""What there was no memory for: the work itself, or the machine code that oneDNN makes for it on a CPU."""


class DoesNotFitError(MemoryError):
    """Not even the fewest images that can be computed at once fit into memory; the text is one line."""


class TooLargeError(RuntimeError):
    """What a run needs at once fits neither on the device nor into memory; the text says what to do, in one line."""


def too_large(what: str, needed: int, free: int, advice: str) -> TooLargeError:
    """An error: ``what`` needs ``needed`` bytes and only ``free`` are free. ``what`` ends in its verb, ``advice`` says
    what to do instead.
    """
    return TooLargeError(f"{what} {needed / GIB:.1f} GiB but only {free / GIB:.1f} GiB is free: {advice}")


def shortage(error: BaseException) -> Shortage | None:
    """What there was no memory for when this was raised; None where it says nothing of memory."""
    match error:
        case torch.OutOfMemoryError() | MemoryError():
            return "memory"
        case OSError():
            return "memory" if error.errno == errno.ENOMEM else None
        case RuntimeError() if OUT_OF_MEMORY.search(str(error)):  # of the allocators of a CPU, of MPS, of cuBLAS
            return "memory"
        case RuntimeError() if NO_KERNEL.search(str(error)) and torch.backends.mkldnn.enabled:
            return "kernels"
    return None


def do_without_onednn() -> None:
    """Turns oneDNN off for this process.

    Once it had no memory for the code of one kernel, its code generator refuses to make any other in that thread,
    however much memory there is by then. PyTorch's own kernels are slower; NNPACK, which would come next, wants memory
    that does not shrink with the batch.
    """
    _use_onednn(False)


def use_onednn_again() -> None:
    """Undoes :func:`do_without_onednn`, for another thread."""
    if is_without_onednn():  # else nothing is touched
        _use_onednn(True)


def is_without_onednn() -> bool:
    """Whether oneDNN is off."""
    return not torch.backends.mkldnn.enabled


def _use_onednn(use: bool) -> None:
    torch.backends.mkldnn.set_flags(_enabled=use)  # type: ignore[no-untyped-call]
    torch.backends.nnpack.set_flags(_enabled=use)  # type: ignore[no-untyped-call]
