"""Settings of a process that trains: for its threads, its memory and Python's collector, made before torch loads."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""glibc's numbers for ``mallopt``, from its malloc.h."""
SPINS = "100000"
"""How often a thread of GNU's OpenMP looks for more work before it sleeps."""
_LOADING = threading.Lock()
_loads: list[int] = []  # the threads that load large libraries


def tune_process() -> None:
    """Makes training steps faster on a CPU; nothing changes in what they compute.

    Torch's threads wait for each other by spinning, 300,000 rounds, which are 4 to 13 ms by processor, and then sleep.
    Beside anything else that wants a core, the app itself among it, a step can meanwhile take several times as long.
    But waking costs as well, most of all on a virtual machine: on one of an Intel Xeon with two cores a step of
    resnet18 took 0.87 of the time with 30,000 rounds that it took with 2,000, 0.80 with 100,000 and 0.77 with 300,000;
    where another program kept one of the cores busy, 1.15 and 1.45 times as long with the first two.

    And every step allocates the same hundreds of MiB, which glibc would take from the system and give back each time, a
    page fault for every 4 KiB: 55,000 faults a step of resnet18, a tenth of its time.
    ``engine.devices.memory_probe.trim_memory`` gives freed memory back between runs.
    """
    import ctypes  # noqa: PLC0415 - not needed by commands that train nothing

    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when GNU's OpenMP is loaded
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only glibc has it
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
        libc.mallopt(M_ARENA_MAX, 1)  # the heaps of other arenas are too small to keep large blocks


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """For imports of large libraries: Python's collector does not look at their objects meanwhile, nor ever after.

    Torch has hundreds of thousands that stay to the end; a look at all of them holds up every thread, a screen's among
    them, for a tenth of a second and more.
    """
    with _LOADING:
        _loads.append(threading.get_ident())
        gc.disable()
    try:
        yield
    finally:
        with _LOADING:
            _loads.remove(threading.get_ident())
            gc.freeze()
            if not _loads:  # another thread may be in the middle of torch
                gc.enable()
        atexit.register(gc.unfreeze)  # else extension modules complain at the end of what nobody collected


def step_back(nice: int) -> None:
    """Lets other threads go before this one and those that it starts, by so many steps of 1..19; on Linux only.

    Where every core trains, a screen would else wait for its share of one at each key.
    """
    if sys.platform == "linux":  # elsewhere a priority is that of the whole process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
