"""What a strategy is: backbone × what trains × optimizer × schedule × augmentation × epochs. Imports without torch."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from engine.specs.toml import Count, Folds, Momentum, Name, NotNegative, Positive, UpToOne, convert, merged

Strengths = Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=100)]
Trains = Literal["all", "head", "batch-norm", "last-stage"]
Begins = Literal["random", "probe"]
ClassWeights = Literal["none", "balanced"]


class SGD(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """Stochastic gradient descent, ``torch.optim.SGD``."""

    lr: Positive = 1e-3
    momentum: Momentum = 0.9
    weight_decay: NotNegative = 0.0


class AdamW(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """Adam with decoupled weight decay, ``torch.optim.AdamW``."""

    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.01


class LBFGS(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The best last layer on a frozen backbone's features, a probe, found by L-BFGS; it has no epochs to train for.

    It minimises the mean cross-entropy plus ``l2 / 2`` times the squared weights, where the features are divided by
    their standard deviation, one number, so that the same values suit every backbone. Of several ``l2`` the one of
    least cross-entropy in a cross-validation of ``folds`` parts within the training images is taken.
    """

    l2: Strengths = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
    folds: Folds = 5


class StepLR(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The rate times ``gamma`` every ``step_size`` epochs."""

    step_size: Count = 7
    gamma: UpToOne = 0.1


class ExponentialLR(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The rate times ``gamma`` every epoch."""

    gamma: UpToOne = 0.9


class CosineAnnealingLR(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """Half a cosine from the rate down to ``eta_min`` over the run's epochs."""

    eta_min: NotNegative = 0.0


class Constant(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The same rate in every epoch."""


Optimizer = SGD | AdamW | LBFGS
Schedule = StepLR | ExponentialLR | CosineAnnealingLR | Constant
CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer.name": tuple(kind.__name__ for kind in get_args(Optimizer)),
    "schedule.name": tuple(kind.__name__ for kind in get_args(Schedule)),
    "trains": get_args(Trains),
    "head": get_args(Begins),
    "class_weights": get_args(ClassWeights),
}
"""What may be named, by the setting."""


class Augmentation(Struct, frozen=True, forbid_unknown_fields=True):
    """What is varied in training images.

    ``crop_area``: smallest share of the image's area that a random crop takes; 1 is the central crop that
    validation sees. ``flip``: mirror half of the images left to right. ``views``: how many such views of an image a
    frozen backbone extracts, of which each epoch draws one; 1 is none. Fine-tuning sees a new view in every epoch.
    """

    crop_area: UpToOne = 1.0
    flip: bool = False
    views: Annotated[int, Meta(ge=1, le=1000)] = 8

    @property
    def is_none(self) -> bool:
        """Whether training images are the same in every epoch."""
        return self.crop_area == 1 and not self.flip


class Strategy(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to transfer: backbone × what trains × optimizer × schedule × augmentation × epochs.

    ``backbone`` is a torchvision classification model; ``image_size`` in pixels, the backbone's own where None.
    ``trains``: ``all`` (fine-tuning), ``head`` (feature extraction: the last layer alone), ``batch-norm`` (scale and
    shift of the norm layers, and the head) or ``last-stage`` (what works at the last resolution, and the head).
    ``head``: what the new last layer begins with, ``random`` values or those of a ``probe``, see :class:`LBFGS`.
    ``layer_decay``: each stage from the head down trains at the rate of the one above it times this.
    ``class_weights``: ``balanced``, what is minimised counts each image of a class with n training images as 1 / n;
    the losses that are told count all alike.
    """

    name: Name
    backbone: str = "resnet18"
    trains: Trains = "all"
    head: Begins = "random"
    layer_decay: UpToOne = 1.0
    epochs: Annotated[int, Meta(ge=1, le=100_000)] = 5
    batch_size: Count = 32
    image_size: Annotated[int, Meta(ge=32, le=1024)] | None = None
    optimizer: Optimizer = SGD()
    schedule: Schedule = StepLR()
    augmentation: Augmentation = Augmentation()
    class_weights: ClassWeights = "none"

    def __post_init__(self) -> None:
        if self.is_probe:
            if self.trains != "head":
                raise ValueError("LBFGS finds the best last layer; it needs trains = 'head'")
            msgspec.structs.force_setattr(self, "epochs", 1)

    @property
    def is_probe(self) -> bool:
        """Whether the last layer is solved for at once instead of trained epoch by epoch."""
        return isinstance(self.optimizer, LBFGS)

    @property
    def solves_head(self) -> bool:
        """Whether the last layer is solved for, be it alone or before all else trains."""
        return self.is_probe or self.head == "probe"

    @property
    def on_features(self) -> bool:
        """Whether the whole backbone is frozen, so that its features are computed once and epochs run on them."""
        return self.trains == "head"

    @property
    def needs_features(self) -> bool:
        """Whether features are extracted before the first epoch."""
        return self.on_features or self.head == "probe"

    @property
    def extracted_views(self) -> int:
        """How many views of an image are extracted: the central one, and random ones where epochs run on features."""
        return 1 + self.augmentation.views if self.on_features and self.is_augmented else 1

    @property
    def is_augmented(self) -> bool:
        """Whether training sees other views of an image than validation; a frozen backbone does so in several."""
        return not self.augmentation.is_none and (not self.on_features or self.augmentation.views > 1)

    @property
    def learning_rate(self) -> float | None:
        """The initial, highest learning rate; None where L-BFGS searches for its steps itself."""
        return None if isinstance(self.optimizer, LBFGS) else self.optimizer.lr


def settings(strategy: Strategy) -> dict[str, object]:
    """What is set in a strategy but its name, by dotted key (``schedule.gamma``), as far as it means something to it.

    Views are extracted only where the head alone trains; what has no epochs has no schedule and no batches; only what
    is below the head can train at other rates, and is worth training from a probe.
    """
    found: dict[str, object] = {}
    for name, value in msgspec.to_builtins(strategy).items():
        found |= {f"{name}.{inner}": one for inner, one in value.items()} if isinstance(value, dict) else {name: value}
    unused = {"name"} | ({"layer_decay"} if strategy.on_features else {"augmentation.views"})
    if strategy.is_probe or (strategy.on_features and strategy.head == "random"):
        unused |= {"head"}
    if strategy.is_probe:
        unused |= {"epochs", "batch_size", *(name for name in found if name.startswith("schedule."))}
    return {name: value for name, value in found.items() if name not in unused}


def changed_strategy(strategy: Strategy, **values: object) -> Strategy:
    """The strategy with other values, checked; nested tables are merged, so ``optimizer={"lr": 0.1}`` works."""
    return convert(merged(msgspec.to_builtins(strategy), values), Strategy, f"strategy {strategy.name}", CHOICES)
