"""An experiment in a process whose address space is limited: ``python -m tests.engine.limited FOLDER DATA MIB``."""

from __future__ import annotations

import resource
import sys
from collections import deque
from pathlib import Path

from torch import nn

import engine.running.one_run
from engine.data.discover import discover
from engine.logs import events as ev
from engine.logs.events import Event
from engine.logs.log import EventLog
from engine.models.backbones import Network
from engine.models.weights import network_of
from engine.running.experiment import run
from engine.specs.presets import presets
from engine.specs.strategy import Strategy, changed_strategy
from tests.engine.running import small_experiment


def strategy(preset: str, **values: object) -> Strategy:
    return changed_strategy(presets()[preset], image_size=64, epochs=2, **values)


TOO_LARGE = strategy("resnet18-finetune", name="too-large", backbone="alexnet", batch_size=4)
IN_PARTS = strategy("resnet18-finetune", name="in-parts", backbone="squeezenet1_1", batch_size=64)
EXTRACTED = strategy("mobilenetv3-extract")


def without_dropout(*arguments: object) -> Network:
    """A network of which whole batches and parts make the same."""
    network = network_of(*arguments)  # type: ignore[arg-type]
    for module in network.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


class Limiting(EventLog):
    """Lets the process have so many MiB more than it has while a run trains."""

    mib = 0

    def append(self, event: Event) -> Event:
        if isinstance(event, ev.StageChanged) and event.stage == "training" and event.detail == "epoch 1":
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + self.mib * 2**20, resource.RLIM_INFINITY))
        if isinstance(event, ev.RunFinished | ev.RunFailed):
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return super().append(event)


def main(folder: str, data: str, mib: str) -> None:
    engine.running.one_run.network_of = without_dropout
    # what is freed of the larger network stays in the address space, and the other would find room there
    asked = small_experiment(IN_PARTS, TOO_LARGE, EXTRACTED, data=Path(data))
    Path(folder).mkdir()
    Limiting.mib = int(mib)
    with Limiting(Path(folder)) as log:
        run(asked, discover(asked.data), log, deque())


if __name__ == "__main__":
    main(*sys.argv[1:])
