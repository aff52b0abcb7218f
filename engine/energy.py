"""The energy that a card takes, where NVIDIA's management library tells it (extra ``nvidia``)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch


def energy_meter(device: torch.device) -> Callable[[], float] | None:
    """What tells the joules that a CUDA card has taken since its driver was loaded, by all programs together.

    None where nothing tells it: another device, a card before Volta, a part of a card (MIG), no ``nvidia-ml-py``. NaN
    where it is no longer told, say since the card is gone.
    """
    if device.type != "cuda":
        return None
    try:
        import pynvml  # noqa: PLC0415 - an extra
    except ImportError:
        return None

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
        return None
    return None if math.isnan(joules()) else joules
