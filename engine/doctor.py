"""What this machine offers: versions, device, precision and where each backbone's weights would come from."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision
from msgspec import Struct

from engine import cache
from engine.devices.cpu import usable_cores
from engine.devices.device import choose_device, describe
from engine.devices.precision import bf16_of, choose_precision
from engine.errors import UserError
from engine.logs.events import Device
from engine.models.weight_files import hub_cache
from engine.models.weights import WeightsError, find
from engine.specs.presets import known_strategies
from engine.text import counted
from engine.units import size


class WeightsSource(Struct, frozen=True):
    """Where a backbone's weights would come from; ``here`` is whether that needs no network."""

    backbone: str
    origin: str
    here: bool


class MachineReport(Struct, frozen=True):
    """What was found. ``precision`` is what ``auto`` picks, ``precision_reason`` why; ``cpus`` is how many this
    process may use; folders are named whether they exist or not.
    """

    python: str
    platform: str
    torch: str
    torchvision: str
    device: Device
    precision: str
    precision_reason: str
    cpus: int
    threads: int
    weights: tuple[WeightsSource, ...]
    weights_folder: Path
    cache_folder: Path

    def facts(self) -> list[tuple[str, str]]:
        """Everything as title and value, in the order in which a person reads it."""
        return [
            ("Python", f"{self.python}, {self.platform}"),
            ("torch", self.torch),
            ("torchvision", self.torchvision),
            ("device", f"{self.device.torch_name}: {self.device.hardware}, {size(self.device.memory)}"),
            ("precision", f"{self.precision}: {self.precision_reason}"),
            ("CPUs", f"{self.cpus}, torch uses {counted(self.threads, 'thread', 'threads')}"),
            *((f"weights of {source.backbone}", source.origin) for source in self.weights),
            ("weights folder", str(self.weights_folder)),
            ("cache folder", str(self.cache_folder)),
        ]


def examine(backbones: Sequence[str] = ()) -> MachineReport:
    """Looks at this machine, and for the weights of these backbones; uses no network and changes nothing.

    Where none are named, for those of the known strategies: ``UserError`` where a person's own cannot be read.
    """
    device = choose_device("auto")
    backbones = backbones or [*dict.fromkeys(strategy.backbone for strategy in known_strategies().values())]
    return MachineReport(
        python=platform.python_version(),
        platform=platform.platform(),
        torch=torch.__version__,
        torchvision=torchvision.__version__,
        device=describe(device),
        precision=choose_precision(device, "auto"),
        precision_reason=bf16_of(device).why,
        cpus=usable_cores(),
        threads=torch.get_num_threads(),
        weights=tuple(_source(backbone) for backbone in backbones),
        weights_folder=hub_cache(),
        cache_folder=cache.folder(),
    )


def _source(backbone: str) -> WeightsSource:
    try:
        found = find(backbone, "default")
    except (UserError, WeightsError) as error:
        return WeightsSource(backbone, str(error), here=False)
    return WeightsSource(backbone, found.origin, here=found.path is not None)
