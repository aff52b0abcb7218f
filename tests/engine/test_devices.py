import gc
import mmap
import platform
import threading
from pathlib import Path

import psutil
import pytest
import torch

from engine import devices
from engine.devices import (
    Bf16,
    MemoryProbe,
    autocast,
    bf16_of,
    choose_device,
    choose_precision,
    describe,
    release_memory,
    use_precision,
)
from engine.toml import SpecError

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

    monkeypatch.setattr(devices, "_kernel_peak_rss", peak)
    assert probe.sample().peak_rss == before
    resetting.join()
    monkeypatch.setattr(devices, "_kernel_peak_rss", lambda: 0)
    assert probe.sample().peak_rss < before


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_is_the_cpu_where_there_is_nothing_else(without_gpu):
    assert choose_device("auto") == CPU
    assert choose_device("cpu") == CPU


def test_auto_is_the_first_gpu(two_gpus):
    assert choose_device("auto") == CUDA
    assert str(choose_device("cuda")) == "cuda:0"
    assert str(choose_device("cuda:1")) == "cuda:1"


@pytest.mark.parametrize("asked", ["cuda", "cuda:1", "mps", "meta", "gpu", "", "cuda:x", "cpu:-3"])
def test_a_device_that_is_not_there_is_one_line(without_gpu, asked):
    with pytest.raises(SpecError, match=r"^device: ") as caught:
        choose_device(asked)
    assert "\n" not in str(caught.value)


def test_a_gpu_too_many(two_gpus):
    with pytest.raises(SpecError, match="there is no cuda:2, cuda:0 to cuda:1"):
        choose_device("cuda:2")


def test_the_cpu_in_words():
    found = describe(CPU)
    assert found.torch_name == "cpu"
    assert found.hardware
    assert found.memory == psutil.virtual_memory().total


@pytest.mark.parametrize(("has", "auto"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_is_the_hardwares(monkeypatch, has, auto):
    monkeypatch.setattr(devices, "bf16_of", lambda _: Bf16(has, "why"))
    assert choose_precision(CPU, "auto") == auto
    assert choose_precision(CPU, "fp32") == "fp32"
    assert choose_precision(CPU, "bf16") == "bf16"


@pytest.fixture
def settings():
    """What a precision on CUDA sets for the whole process is put back."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[:2]
    torch.set_float32_matmul_precision(before[2])


def test_precision_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    assert choose_precision(CUDA, "auto") == "bf16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert choose_precision(CUDA, "auto") == "fp16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    assert choose_precision(CUDA, "auto") == "fp32"
    with pytest.raises(SpecError, match=r"precision: compute capability 6\.1 lacks bf16"):
        choose_precision(CUDA, "bf16")


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux lists the CPU's features in a file")
def test_bf16_of_this_cpu_agrees_with_the_kernel():
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    assert bf16_of(CPU).in_hardware == ("avx512_bf16" in flags)


def test_what_only_gpus_have_is_refused_elsewhere():
    for precision in ("fp16", "tf32"):
        with pytest.raises(SpecError, match=f"precision: {precision} is for CUDA devices, not cpu"):
            choose_precision(CPU, precision)


def test_tf32_where_the_card_has_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    assert choose_precision(CUDA, "tf32") == "tf32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(SpecError, match="tf32 needs a card"):
        choose_precision(CUDA, "tf32")


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_nothing_else_shortens_fp32_and_the_fastest_algorithms_are_looked_for(precision):
    torch.backends.cudnn.benchmark = False
    use_precision(CUDA, "tf32")
    assert torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "high"
    use_precision(CUDA, precision)
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_autocast(precision, dtype):
    layer = torch.nn.Linear(4, 2)
    with autocast(CPU, precision):
        assert layer(torch.ones(1, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32


@pytest.mark.usefixtures("settings")
def test_exact_fp32_in_a_way_that_torch_can_read():
    use_precision(CUDA, "fp32")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        pass
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.usefixtures("settings")
def test_products_are_full_meanwhile_where_the_process_shortens_them():
    use_precision(CUDA, "tf32")
    with devices.full_precision(CUDA):
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("highest", False)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("high", True)


def test_only_fp16_scales_gradients():
    assert [devices.gradient_scaler(CPU, one).is_enabled() for one in ("fp32", "bf16", "fp16")] == [False, False, True]


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


def test_without_the_kernel_the_peak_is_the_largest_sample(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "CLEAR_REFS", tmp_path / "no" / "such")
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
