"""A run: what it needs, and what changes while it trains."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from engine.devices.memory_probe import MemoryProbe
from engine.devices.meters import Cost, Meters
from engine.devices.precision import any_kernels, gradient_scaler
from engine.models.backbones import Network
from engine.models.dry_run import in_eval_mode
from engine.models.trainable import trains_batch_norm
from engine.progress import WorkDone
from engine.specs.spec import Arithmetic
from engine.specs.strategy import Strategy
from engine.training.batches import WHOLE_BATCHES, Feed, InputImages, MicroBatches
from engine.training.class_weights import class_weights
from engine.training.feature_store import Features
from engine.training.metrics import Tally
from engine.training.optim import make_optimizer


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Run:
    """Everything that one run needs. ``meters`` stand still while the run is paused.

    ``model`` maps the backbone's input to logits: the network's module, or what ``torch.compile`` made of it.
    ``features``: the work of getting those of the backbone as it is, at most so many images at once where that is not
    None, see :func:`engine.training.features.extracted`. ``precision`` is that of what trains.
    """

    name: str
    strategy: Strategy
    seed: int
    network: Network
    model: Callable[[Tensor], Tensor]
    images: InputImages
    precision: Arithmetic
    memory: MemoryProbe
    features: Callable[[int | None], Generator[WorkDone, None, Features]]
    meters: Meters = field(default_factory=Meters)


@dataclass
class Training:
    """What changes while a run trains, besides its network: whole and true whenever :func:`fit` yields.

    The position is ``step`` steps into ``epoch`` (from 1); ``tally`` and ``seconds`` are of that epoch's training.
    ``micro_batches`` and ``at_once``, the images of a forward pass alone, say what fits into memory; None is what is
    usual. ``largest_batch_done``: of a step in this process. ``feed``: what the network is fed
    in this process, None before training goes on in it.
    ``solved``: a probe's head is in place, be it of the whole run or what it begins with.
    ``began``: meter readings minus everything spent before. ``features_counted``: the cost of its features is
    already included; ``reused_feature_seconds`` of it went by elsewhere.
    ``class_weights``: see :mod:`engine.training.class_weights`; on the device, in the precision of logits.
    """

    optimizer: Optimizer
    scaler: GradScaler
    tally: Tally
    began: Cost
    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    micro_batches: MicroBatches = WHOLE_BATCHES
    at_once: int | None = None
    largest_batch_done: int = 0
    feed: Feed | None = None
    solved: bool = False
    features_counted: bool = False
    reused_feature_seconds: float = 0.0
    class_weights: Tensor | None = None

    def begin_epoch(self, epoch: int) -> None:
        """Stands at the beginning of an epoch."""
        self.epoch, self.step, self.seconds = epoch, 0, 0.0
        self.tally = Tally(self.tally.device)


def at_the_start(run: Run) -> Training:
    """The training of a run before its first step."""
    optimizer = make_optimizer(run.strategy, run.network)
    device = run.images.device
    micro_batches = MicroBatches(least=2 if trains_batch_norm(run.network.module, run.network.trained) else 1)
    scaler = gradient_scaler(device, run.precision)
    classes = len(run.network.head.get_parameter("bias"))
    weights = class_weights(run.strategy, run.images.prepared.train.labels, classes)
    weights = None if weights is None else weights.float().to(device)
    return Training(optimizer, scaler, Tally(device), run.meters(), micro_batches=micro_batches, class_weights=weights)


def trainable_module(run: Run) -> nn.Module:
    """What a step goes through, and what changes between training and evaluation: a frozen backbone is neither."""
    return run.network.head if run.strategy.on_features else run.network.module


def gives_finite_logits(run: Run) -> bool:
    """Whether the network as it is now maps two of the validation images to numbers, in evaluation mode."""
    with in_eval_mode(run.network.module), torch.inference_mode(), any_kernels():
        images = next(run.images.central(run.images.prepared.val.rows[:2]))
        return bool(run.network.module(images).isfinite().all())
