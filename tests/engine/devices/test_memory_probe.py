import gc
import mmap
import platform
import resource
import threading
from pathlib import Path

import psutil
import pytest
import torch

from engine.devices import memory_probe
from engine.devices.memory_probe import MemoryProbe, release_memory

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)
SIZE = 100 * 2**20


SLACK = 20 * 2**20


LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts the peak, this is another")


def fresh_memory():
    """Memory in use that came from the kernel just now; an allocator would give some that was freed before."""
    memory = mmap.mmap(-1, SIZE)
    for _ in range(SIZE // 4096):
        memory.write(b"x" * 4096)
    return memory


def test_a_sample_under_way_does_not_bring_back_the_peak_of_the_run_before(monkeypatch):
    probe = MemoryProbe(CPU)
    monkeypatch.setattr(probe, "_kernel_counts", True)
    before = 2**50
    resetting = threading.Thread(target=probe.reset_peak)

    def peak() -> int:
        resetting.start()  # the next run begins while the heartbeat looks
        resetting.join(0.1)
        return before

    monkeypatch.setattr(memory_probe, "_kernel_peak_rss", peak)
    assert probe.sample().peak_rss == before
    resetting.join()
    monkeypatch.setattr(memory_probe, "_kernel_peak_rss", lambda: 0)
    assert probe.sample().peak_rss < before


@LINUX
def test_the_peak_is_the_kernels():
    probe = MemoryProbe(CPU)
    before = probe.sample()
    fresh_memory().close()
    after = probe.sample()
    assert after.rss < before.rss + SLACK
    assert after.peak_rss > before.rss + SIZE - SLACK
    assert after.allocated is None
    probe.reset_peak()
    assert probe.sample().peak_rss < before.rss + SLACK


@LINUX
def test_with_too_many_open_files_memory_is_what_it_was():
    probe = MemoryProbe(CPU)
    before = probe.sample()
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, usual[1]))
    try:
        now = probe.sample()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert now == before


def test_without_the_kernel_the_peak_is_the_largest_sample(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_probe, "CLEAR_REFS", tmp_path / "no" / "such")
    probe = MemoryProbe(CPU)
    before = probe.sample()
    data = fresh_memory()
    largest = probe.sample()
    data.close()
    assert largest.peak_rss == largest.rss > before.rss + SIZE - SLACK
    assert probe.sample().peak_rss == largest.rss
    probe.reset_peak()
    assert probe.sample().peak_rss < before.rss + SLACK


def test_memory_of_a_gpu(monkeypatch):
    numbers = {"memory_allocated": 1, "memory_reserved": 2, "max_memory_allocated": 3, "mem_get_info": (10, 14)}
    reset = []
    for name, number in numbers.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, number=number: number)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    probe = MemoryProbe(CUDA)
    found = probe.sample()
    assert reset == [CUDA]
    assert (found.allocated, found.reserved, found.peak_allocated) == (1, 2, 3)
    assert (found.device_used, found.device_total) == (4, 14)
    probe.reset_peak(0, 50)
    assert probe.sample().peak_allocated == 50, "what an earlier process of the same run reached"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to give memory back")
def test_freed_memory_goes_back():
    small = [b"x" * (60_000 + number) for number in range(SIZE // 60_000)]
    last = small[-1]  # it lies above the others, so that freeing them alone gives nothing back
    del small
    gc.collect()
    freed = psutil.Process().memory_info().rss
    release_memory()
    assert psutil.Process().memory_info().rss < freed - SIZE + SLACK
    del last
