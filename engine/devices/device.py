"""Choosing the device on which runs train, and describing it."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence

import psutil
import torch

from engine.devices.cpu import computing_cores, cpu_name
from engine.errors import UserError
from engine.logs.events import Device

ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)[af]?")


def choose_device(asked: str) -> torch.device:
    """The device to train on; ``auto`` is the first CUDA device, else Apple's GPU, else the CPU.

    :class:`engine.errors.UserError` where it is unknown or not there.
    """
    if asked == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    else:
        name = asked
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError):
        raise UserError(f"device: torch knows no device {asked!r}; use auto, cpu, cuda, cuda:1 or mps") from None
    match device.type:
        case "cpu":
            return torch.device("cpu")
        case "cuda":
            return _cuda(device, asked)
        case "mps" if torch.backends.mps.is_available():
            return torch.device("mps")
    raise UserError(f"device: {asked} is not available here; use auto or cpu")


def describe(device: torch.device) -> Device:
    """The device's name in torch, its hardware's name, and its memory in bytes (the machine's, for a CPU);
    of a CPU also the cores that it may compute on.
    """
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return Device(str(device), properties.name, properties.total_memory)
    memory = psutil.virtual_memory().total
    if device.type == "cpu":
        return Device(str(device), cpu_name(), memory, computing_cores())
    return Device(str(device), f"{platform.machine()} GPU", memory)


def wait_for(device: torch.device) -> None:
    """Returns when the device has done all it was given: only then is a time that was taken the time of the work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def has_float64(device: torch.device) -> bool:
    """Whether the device computes in double precision; Apple's GPUs do not."""
    return device.type != "mps"


def _cuda(device: torch.device, asked: str) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = device.index or 0
    if not count:
        raise UserError(f"device: {asked} is not available: torch {torch.__version__} finds no GPU; use auto or cpu")
    if index >= count:
        there = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise UserError(f"device: there is no {asked}, {there}")
    chosen = torch.device("cuda", index)
    major, minor = torch.cuda.get_device_capability(chosen)
    if not is_built_for(major, minor, torch.cuda.get_arch_list()):
        raise UserError(
            f"device: torch {torch.__version__} is not built for {torch.cuda.get_device_name(chosen)} "
            f"(compute capability {major}.{minor}); install a build that is, or use cpu"
        )
    return chosen


def is_built_for(major: int, minor: int, architectures: Sequence[str]) -> bool:
    """Whether a build of torch with kernels for these ``architectures`` (``sm_90``, ``compute_120``) runs on a card of
    compute capability ``major.minor``; where they are not NVIDIA's, nobody asks.

    Machine code (``sm``) runs on cards of the same major version from its minor one on, ``compute`` on all later ones:
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#binary-compatibility
    """
    found = [match.groups() for one in architectures if (match := ARCHITECTURE.fullmatch(one))]
    return not found or any(
        (int(ten), int(unit)) <= (major, minor) and (kind == "compute" or int(ten) == major)
        for kind, ten, unit in found
    )
