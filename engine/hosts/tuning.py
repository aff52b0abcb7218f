"""What a process that trains on a CPU sets once, before torch is loaded and before its threads allocate memory."""

from __future__ import annotations

import contextlib
import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""glibc's numbers for ``mallopt``, from its malloc.h."""


def tune_process() -> None:
    """Makes training steps faster on a CPU; nothing changes in what they compute.

    Torch's threads wait for each other by spinning: beside anything else that wants a core, the app itself among it,
    a step then takes up to eight times as long. And every step allocates the same hundreds of MiB, which glibc would
    take from the system and give back each time, a page fault for every 4 KiB: 55,000 faults a step of resnet18, a
    tenth of its time. ``engine.devices.trim_memory`` gives freed memory back between runs.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read when GNU's OpenMP is loaded
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only glibc has it
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
        libc.mallopt(M_ARENA_MAX, 1)  # the heaps of other arenas are too small to keep large blocks
