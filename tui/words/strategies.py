"""A strategy in a few words. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from engine.specs.strategy import Strategy, Trains

TRAINS: dict[Trains, str] = {
    "all": "every layer",
    "last-stage": "last stage",
    "batch-norm": "norm layers",
    "head": "last layer",
}
KINDS: dict[Trains, str] = {
    "all": "fine-tune all",
    "last-stage": "fine-tune last stage",
    "batch-norm": "train norm layers",
    "head": "extract features",
}


def kind(strategy: Strategy) -> str:
    """``fine-tune all``, ``probe``, ``fine-tune all from a probe``."""
    if strategy.is_probe:
        return "probe"
    return KINDS[strategy.trains] + _how(strategy, "")


def what_trains(strategy: Strategy) -> str:
    """``every layer``, ``last layer, solved at once``, ``every layer, layer-wise``."""
    if strategy.is_probe:
        return f"{TRAINS[strategy.trains]}, solved at once"
    return TRAINS[strategy.trains] + _how(strategy, ",")


def described(strategy: Strategy) -> tuple[tuple[str, str], ...]:
    """All that it is, as titles and values; a probe has no schedule and no epochs."""
    augmentation = strategy.augmentation
    crop = f"crops of {100 * augmentation.crop_area:g} % of the area and more" if augmentation.crop_area < 1 else ""
    flip = "flips" if augmentation.flip else ""
    found = [
        ("backbone", strategy.backbone),
        ("trains", what_trains(strategy)),
        ("optimizer", _settings(strategy.optimizer)),
        ("schedule", _settings(strategy.schedule)),
        ("epochs", f"{strategy.epochs}, batches of {strategy.batch_size}"),
        ("augmentation", ", ".join(part for part in (crop, flip) if part) if strategy.is_augmented else "none"),
    ]
    if strategy.class_weights != "none":
        found.append(("class weights", strategy.class_weights))
    return tuple(
        (title, value) for title, value in found if not (strategy.is_probe and title in ("schedule", "epochs"))
    )


def value_in_words(value: object, between: str) -> str:
    """A parameter's value, ``between`` standing between several: ``0.001``, ``yes``, ``10 3 1``. None is the backbone's
    own; numbers that differ never read alike.
    """
    if value is None:
        return "its own"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return between.join(value_in_words(one, between) for one in value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def rates(stage_rates: tuple[float, ...]) -> str:
    """``6 learning rates: 0.001 for the head down to 3.1e-05``; empty where all parameters have the same."""
    if not stage_rates:
        return ""
    return f"{len(stage_rates)} learning rates: {stage_rates[0]:.2g} for the head down to {stage_rates[-1]:.2g}"


def _settings(choice: Struct) -> str:
    """An optimizer or a schedule as ``SGD lr 0.001, momentum 0.9``."""
    values = msgspec.to_builtins(choice)
    kind_of = values.pop("name")
    said = [
        f"{name} {value:g}" if isinstance(value, int | float) else f"{len(value)} × {name}"
        for name, value in values.items()
    ]
    return f"{kind_of} {', '.join(said)}".strip()


def _how(strategy: Strategy, comma: str) -> str:
    probed = f"{comma} from a probe" if strategy.head == "probe" else ""
    layered = f"{comma} layer-wise" if strategy.layer_decay < 1 and not strategy.on_features else ""
    return probed + layered
