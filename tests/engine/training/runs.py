"""Runs on noise, small enough for tests of what training does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial

import torch
from torch import Tensor, nn

from engine.cached_rows import as_digests
from engine.data.dataset import Sample
from engine.data.pixels import InMemory
from engine.data.prepared import Prepared, PreparedPart
from engine.devices.memory_probe import MemoryProbe
from engine.logs import events as ev
from engine.logs.events import Event
from engine.models.backbones import Network, Preprocessing, build
from engine.specs.presets import presets
from engine.specs.strategy import Strategy, changed_strategy
from engine.training.batches import InputImages
from engine.training.feature_store import FeatureStore
from engine.training.features import extracted
from engine.training.fit import fit
from engine.training.run import Run, at_the_start

CPU = torch.device("cpu")
SIDE, CROP, CLASSES = 40, 32, ("cold", "warm")
VIEW = Preprocessing(SIDE, CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def prepared(train: int, val: int) -> Prepared:
    """Noise, bluish for class 0 and reddish for class 1."""
    count = train + val
    labels = torch.arange(count) % 2
    pixels = torch.randint(
        0, 160, (count, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )
    pixels[labels == 0, ..., 2] += 80
    pixels[labels == 1, ..., 0] += 80
    samples = tuple(
        Sample(f"/images/{number}.jpg", int(label), f"scene {number // 2}") for number, label in enumerate(labels)
    )
    rows = torch.arange(count)
    parts = (PreparedPart(rows[part], labels[part], samples[part], ()) for part in (slice(train), slice(train, count)))
    contents = as_digests(f"{number:04}" for number in range(count))
    return Prepared(InMemory(pixels, CPU), *parts, contents, f"noise-{train}-{val}", f"noise-{train}-{val}")


@cache
def warmed_up(backbone: str) -> dict[str, Tensor]:
    """Random weights whose batch norms have seen noise: in eval mode, fresh ones let hardly any signal through."""
    network = build(backbone, 1000, "all", None, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.module.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the plain mean of what it sees
        for _ in range(3):
            network.module(torch.randn(16, 3, CROP, CROP, generator=generator))
    return network.module.state_dict()


def make_run(strategy: Strategy, seed: int = 0, train: int = 21, val: int = 10) -> Run:
    images = InputImages(prepared(train, val), VIEW, CPU)
    network = build(strategy.backbone, len(CLASSES), strategy.trains, warmed_up(strategy.backbone), seed)
    return run_of(strategy, seed, network, images)


def run_of(strategy: Strategy, seed: int, network: Network, images: InputImages) -> Run:
    store = FeatureStore(ThreadPoolExecutor(1))
    features = partial(extracted, store, images, strategy, network, "fp32")
    model = network.module
    return Run(strategy.name, strategy, seed, network, model, images, "fp32", MemoryProbe(CPU), features)


def whole(images: InputImages, part: PreparedPart) -> tuple[Tensor, Tensor]:
    """All images of a part as validation sees them, and their labels."""
    return torch.cat(list(images.central(part.rows))), part.labels


def fine_tuning(**values: object) -> Strategy:
    """With the smallest backbone that, as the preset's, has batch norm and no dropout."""
    few = {"epochs": 2, "batch_size": 8, "backbone": "shufflenet_v2_x0_5"}
    return changed_strategy(presets()["resnet18-finetune"], **{**few, **values})


def extraction(**values: object) -> Strategy:
    return changed_strategy(presets()["mobilenetv3-extract"], **{"epochs": 3, "batch_size": 8, **values})


def without_dropout_of(run: Run) -> Run:
    return replace(run, network=run.network._replace(dropout=0.0))


def fitted(run: Run, offer: Callable[[int, ev.Metrics, Tensor], bool]) -> Iterator[Event]:
    """The whole run, from its first step."""
    return fit(run, at_the_start(run), offer)


def never_best(_epoch: int, _val: ev.Metrics, _logits: Tensor) -> bool:
    return False


def epochs_of(events: Iterator[Event]) -> list[ev.EpochFinished]:
    return [event for event in events if isinstance(event, ev.EpochFinished)]


def parameters(run: Run) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in run.network.module.named_parameters()}
