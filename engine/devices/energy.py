"""The energy that a card takes, where NVIDIA's management library tells it (extra ``nvidia``)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch


def energy_meter(device: torch.device) -> Callable[[], float]:
    """A meter of the joules that a CUDA card has taken since its driver was loaded, by all programs together.

    NaN where nothing tells it: another device, a card before Volta, a part of a card (MIG), no ``nvidia-ml-py``, or a
    card that is gone meanwhile.
    """
    if device.type != "cuda":
        return _not_told
    try:
        import pynvml  # noqa: PLC0415 - an extra
    except ImportError:
        return _not_told

    def joules() -> float:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except pynvml.NVMLError:
            return math.nan

    try:
        pynvml.nvmlInit()
        # by its own name: CUDA may number cards in another order, and see only some of them
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except pynvml.NVMLError:
        return _not_told
    return joules


def _not_told() -> float:
    return math.nan
