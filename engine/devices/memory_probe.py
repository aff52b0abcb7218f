"""How much memory this process takes, and giving back what it no longer uses."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import threading
from pathlib import Path

import psutil
import torch

from engine.logs.events import Memory

STATUS = Path("/proc/self/status")


CLEAR_REFS = Path("/proc/self/clear_refs")


RESET_PEAK_RSS = "5"


class MemoryProbe:
    """Measures the memory of this process, and of a CUDA device, with peaks since the last reset; from any thread.

    The peak of resident memory is the kernel's on Linux; elsewhere it is the largest sample.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._rss = self._largest = self._largest_allocated = 0
        self._kernel_counts = False
        self._mutex = threading.Lock()  # else a sample under way would take the peak of the run before over
        self.reset_peak()

    def reset_peak(self, rss: int = 0, allocated: int = 0) -> None:
        """Begins the peaks anew from what is in use now, but at no less than so many bytes: what a run had before."""
        with self._mutex:
            self._largest, self._largest_allocated = rss, allocated
            try:
                CLEAR_REFS.write_text(RESET_PEAK_RSS, encoding="ascii")
                self._kernel_counts = True
            except OSError:
                self._kernel_counts = False
            if self._device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self._device)

    def sample(self) -> Memory:
        """Memory in use now, in bytes."""
        with self._mutex:
            return self._sampled()

    def _sampled(self) -> Memory:
        with contextlib.suppress(OSError):  # too many open files: what it was before is the best guess
            self._rss = self._process.memory_info().rss
        rss = self._rss
        peak = _kernel_peak_rss() if self._kernel_counts else 0
        self._largest = max(self._largest, rss, peak)
        if self._device.type != "cuda":
            return Memory(rss, self._largest)
        free, total = torch.cuda.mem_get_info(self._device)
        return Memory(
            rss,
            self._largest,
            allocated=torch.cuda.memory_allocated(self._device),
            reserved=torch.cuda.memory_reserved(self._device),
            peak_allocated=max(self._largest_allocated, torch.cuda.max_memory_allocated(self._device)),
            device_used=total - free,
            device_total=total,
        )


def release_memory() -> None:
    """Gives what is no longer used back to the system, cycles of objects too, so that a run's memory is its own."""
    gc.collect()
    trim_memory()


def trim_memory() -> None:
    """Gives memory that was freed back to the system."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
    # only glibc has it; without it freed tensors stay with the process and count as the next run's
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _kernel_peak_rss() -> int:
    """The largest resident memory that the kernel saw since it was told to begin anew; 0 if it does not say."""
    try:
        match = re.search(r"^VmHWM:\s*(\d+) kB", STATUS.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0
