"""Where training runs and in which precision, and how much memory it takes there."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from engine.cpu import cpu_name
from engine.events import Device, Memory
from engine.spec import Arithmetic, Precision
from engine.toml import SpecError

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK_RSS = "5"


def choose_device(asked: str) -> torch.device:
    """The device to train on; ``auto`` is the first CUDA device, else Apple's GPU, else the CPU.

    :class:`engine.toml.SpecError` where it is unknown or not there.
    """
    if asked == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    else:
        name = asked
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError):
        raise SpecError(f"device: torch knows no device {asked!r}; use auto, cpu, cuda, cuda:1 or mps") from None
    match device.type:
        case "cpu":
            return torch.device("cpu")
        case "cuda":
            return _cuda(device, asked)
        case "mps" if torch.backends.mps.is_available():
            return torch.device("mps")
    raise SpecError(f"device: {asked} is not available here; use auto or cpu")


def describe(device: torch.device) -> Device:
    """The device's name in torch, its hardware's name, and its memory in bytes (the machine's, for a CPU)."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return Device(str(device), properties.name, properties.total_memory)
    hardware = cpu_name() if device.type == "cpu" else f"{platform.machine()} GPU"
    return Device(str(device), hardware, psutil.virtual_memory().total)


class Bf16(NamedTuple):
    """Whether a device computes in bf16 in hardware, and why that is said."""

    in_hardware: bool
    why: str


def bf16_of(device: torch.device) -> Bf16:
    """Whether bf16 is in the device's hardware: CUDA from compute capability 8.0 on, CPUs with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        has = major >= 8
        return Bf16(has, f"compute capability {major}.{minor} {'has' if has else 'lacks'} bf16 (8.0 and later have it)")
    if device.type == "cpu":
        # every CPU with AMX-BF16 has AVX512-BF16 as well
        has = torch.cpu._is_avx512_bf16_supported()
        return Bf16(has, "the CPU has AVX512-BF16" if has else "the CPU has neither AMX-BF16 nor AVX512-BF16")
    return Bf16(False, f"bf16 is not used on {device.type}")


def choose_precision(device: torch.device, asked: Precision) -> Arithmetic:
    """The precision to train in, see :func:`use_precision`.

    ``auto`` is bf16 where the hardware has it, else fp16 on CUDA cards with tensor cores for it (compute capability
    7.0 and 7.5), else fp32. On CUDA ``fp32`` is IEEE fp32 and ``tf32`` shortens the factors of products to 10 bits, so
    that what is reported is what is computed in. ``bf16`` may be asked of any CPU, where it is emulated, slowly, if
    it is not in the hardware. :class:`engine.toml.SpecError` where the device has no such precision.
    """
    chosen = _automatic(device) if asked == "auto" else asked
    has_bf16, why = bf16_of(device)
    if chosen == "bf16" and not has_bf16 and device.type != "cpu":
        raise SpecError(f"precision: {why}; use auto or fp32")
    if chosen in ("fp16", "tf32") and device.type != "cuda":
        raise SpecError(f"precision: {chosen} is for CUDA devices, not {device.type}; use auto or fp32")
    if chosen == "tf32" and not has_bf16:  # the same cards have both
        raise SpecError("precision: tf32 needs a card of compute capability 8.0 or later; use auto or fp32")
    return chosen


def use_precision(device: torch.device, precision: Arithmetic) -> None:
    """Sets up the whole process to compute in it, as fast as the device can."""
    if device.type == "cuda":
        _shorten_products(precision == "tf32")
        torch.backends.cudnn.benchmark = True  # every batch has the same shape: the fastest algorithm is worth a search


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Products in IEEE fp32 meanwhile, also where the process computes in TF32."""
    if device.type != "cuda":
        yield
        return
    shortened = torch.backends.cudnn.allow_tf32
    _shorten_products(False)
    try:
        yield
    finally:
        _shorten_products(shortened)


def _shorten_products(shorten: bool) -> None:
    """Whether products of fp32 on CUDA are computed in TF32."""
    torch.set_float32_matmul_precision("high" if shorten else "highest")
    # not cudnn.conv.fp32_precision: once set, torch's own cudnn.flags() and torch.compile raise (2.10 to 2.15)
    torch.backends.cudnn.allow_tf32 = shorten


def autocast(device: torch.device, precision: Arithmetic) -> torch.autocast:
    """The context in which a forward pass runs in this precision; parameters stay in fp32."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision in ("bf16", "fp16"))


def gradient_scaler(device: torch.device, precision: Arithmetic) -> torch.amp.GradScaler:
    """Keeps small gradients from vanishing in fp16; does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def wait_for(device: torch.device) -> None:
    """Returns when the device has done all it was given: only then is a time that was taken the time of the work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class MemoryProbe:
    """Measures the memory of this process, and of a CUDA device, with peaks since the last reset; from any thread.

    The peak of resident memory is the kernel's on Linux; elsewhere it is the largest sample.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._largest = self._largest_allocated = 0
        self._kernel_counts = False
        self._mutex = threading.Lock()  # else a sample under way would take the peak of the run before over
        self.reset_peak()

    def reset_peak(self, rss: int = 0, allocated: int = 0) -> None:
        """Peaks begin anew from what is in use now, but are at least so many bytes: what a run had before."""
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
        rss = self._process.memory_info().rss
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


def has_float64(device: torch.device) -> bool:
    """Whether the device computes in double precision; Apple's GPUs do not."""
    return device.type != "mps"


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


def _cuda(device: torch.device, asked: str) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = device.index or 0
    if not count:
        raise SpecError(f"device: {asked} is not available: torch {torch.__version__} finds no GPU; use auto or cpu")
    if index >= count:
        there = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise SpecError(f"device: there is no {asked}, {there}")
    return torch.device("cuda", index)


def _automatic(device: torch.device) -> Arithmetic:
    if bf16_of(device).in_hardware:
        return "bf16"
    return "fp16" if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0) else "fp32"


def _kernel_peak_rss() -> int:
    """The largest resident memory that the kernel saw since it was told to begin anew; 0 if it does not say."""
    try:
        match = re.search(r"^VmHWM:\s*(\d+) kB", STATUS.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0
