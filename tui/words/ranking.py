"""Backbones put in order, in words: what the command prints and the app shows. Imports without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text import shown
from engine.units import UNKNOWN, percent, short_count

if TYPE_CHECKING:
    from engine.ranking import Ranked

BACKBONES = ("resnet18", "resnet50", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny")
"""Those that are ranked where a person names no others."""
COLUMNS = ("backbone", "LogME", "probe accuracy", "loss", "features", "parameters", "seconds")


def cells(one: Ranked) -> tuple[str, ...]:
    """A backbone that was ranked, a text a column."""
    return (
        one.backbone,
        UNKNOWN if one.logme is None else f"{one.logme:.3f}",
        UNKNOWN if one.accuracy is None else percent(one.accuracy),
        UNKNOWN if one.loss is None else f"{one.loss:.3f}",
        f"{one.features:,}",
        short_count(one.parameters),
        f"{one.seconds:.1f}",
    )


def skipped(one: Ranked) -> str:
    """Why a backbone was not ranked, in a line."""
    return f"skipped {shown(one.backbone)}: {shown(one.skipped, 600)}"


def caveats(weights: str) -> tuple[str, ...]:
    """What to know of the table, in sentences, the gravest last; ``weights``: the choice, as in an experiment."""
    of_all = "Training images only; the probe is cross-validated. Compare LogME only on the same images."
    if weights != "none":
        return (of_all,)
    return of_all, "All weights are random (--weights none): this says nothing about pretrained networks."
