"""A strategy in a few words. Pure."""

from __future__ import annotations

from engine.strategy import Strategy, Trains

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
    """``every layer``, ``last layer, solved for``, ``every layer, layer-wise``."""
    if strategy.is_probe:
        return f"{TRAINS[strategy.trains]}, solved for"
    return TRAINS[strategy.trains] + _how(strategy, ",")


def rates(stage_rates: tuple[float, ...]) -> str:
    """``6 learning rates: 0.001 for the head down to 3.1e-05``; empty where all parameters have the same."""
    if not stage_rates:
        return ""
    return f"{len(stage_rates)} learning rates: {stage_rates[0]:.2g} for the head down to {stage_rates[-1]:.2g}"


def _how(strategy: Strategy, comma: str) -> str:
    probed = f"{comma} from a probe" if strategy.head == "probe" else ""
    layered = f"{comma} layer-wise" if strategy.layer_decay < 1 and not strategy.on_features else ""
    return probed + layered
