"""The devices of this machine, as far as they can be told without importing torch, which takes seconds."""

from __future__ import annotations

import platform

import psutil

from engine.devices.cpu import computing_cores, cpu_name
from engine.logs.events import Device


def devices_here() -> list[Device]:
    """The processor and the cards, each with the name that torch gives its hardware, and its memory in bytes.

    NVIDIA's cards are left out where their management library (extra ``nvidia``) is missing.
    """
    memory = psutil.virtual_memory().total
    found = [Device("cpu", cpu_name(), memory, computing_cores())]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append(Device("mps", f"{platform.machine()} GPU", memory))
    return found + _cards()


def _cards() -> list[Device]:
    try:
        import pynvml  # noqa: PLC0415 - an extra
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [
            Device(f"cuda:{index}", pynvml.nvmlDeviceGetName(one), pynvml.nvmlDeviceGetMemoryInfo(one).total)
            for index, one in enumerate(handles)
        ]
    except pynvml.NVMLError:
        return []
