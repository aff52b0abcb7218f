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
LABELS = {
    "trains": "trains",
    "head": "head init",
    "optimizer.name": "optimizer",
    "optimizer.lr": "learning rate",
    "optimizer.l2": "L2, best of",
    "optimizer.folds": "L2 folds",
    "schedule.name": "schedule",
    "schedule.step_size": "step size",
    "schedule.eta_min": "lowest rate",
}
"""What parameters are called, by their key in a strategy; the others as the last part of their key, in words."""


def label(key: str) -> str:
    """What a parameter is called everywhere: ``learning rate`` for ``optimizer.lr``, ``batch size``, ``gamma``."""
    return LABELS.get(key) or key.rpartition(".")[2].replace("_", " ")


def what_trains(strategy: Strategy) -> str:
    """``every layer``, ``last layer (probe)``, ``every layer, head init: probe, layer decay 0.5``."""
    if strategy.is_probe:
        return f"{TRAINS[strategy.trains]} (probe)"
    initial = ", head init: probe" if strategy.head == "probe" else ""
    decayed = f", layer decay {strategy.layer_decay:g}" if strategy.layer_decay < 1 and not strategy.on_features else ""
    return TRAINS[strategy.trains] + initial + decayed


def described(strategy: Strategy) -> tuple[tuple[str, str], ...]:
    """All that it is, as titles and values; a probe has no schedule and no epochs."""
    augmentation = strategy.augmentation
    crop = f"crops of {100 * augmentation.crop_area:g} % of the area or more" if augmentation.crop_area < 1 else ""
    flip = "flips" if augmentation.flip else ""
    found = [
        ("backbone", strategy.backbone),
        ("trains", what_trains(strategy)),
        ("optimizer", _settings(strategy.optimizer, "optimizer")),
        ("schedule", _settings(strategy.schedule, "schedule")),
        ("epochs", f"{strategy.epochs}, batch size {strategy.batch_size}"),
        ("augmentation", ", ".join(part for part in (crop, flip) if part) if strategy.is_augmented else "none"),
    ]
    if strategy.class_weights != "none":
        found.append(("class weights", strategy.class_weights))
    return tuple(
        (title, value) for title, value in found if not (strategy.is_probe and title in ("schedule", "epochs"))
    )


def of_parameter(key: str, value: object, between: str) -> str:
    """The value of the parameter with this key, as :func:`value_in_words`; of what trains, in words."""
    said = {str(trains): words for trains, words in TRAINS.items()} if key == "trains" else {}
    return said.get(str(value)) or value_in_words(value, between)


def value_in_words(value: object, between: str) -> str:
    """A parameter's value, ``between`` standing between several: ``0.001``, ``yes``, ``10 3 1``. None is the backbone's
    default; numbers that differ never read alike.
    """
    if value is None:
        return "default"
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


def _settings(choice: Struct, table: str) -> str:
    """An optimizer or a schedule, whichever ``table`` says, as ``SGD learning rate 0.001, momentum 0.9``."""
    values = msgspec.to_builtins(choice)
    kind_of = values.pop("name")
    said = [
        f"{label(f'{table}.{name}')} {value:g}"
        if isinstance(value, int | float)
        else f"{name.upper()}: {len(value)} values"
        for name, value in values.items()
    ]
    return f"{kind_of} {', '.join(said)}".strip()
