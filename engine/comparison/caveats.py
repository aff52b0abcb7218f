"""What to bear in mind beside a verdict, a sentence each. Imports without numpy."""

from __future__ import annotations

from msgspec import Struct

from engine.comparison.measured import part
from engine.comparison.rows import Comparison
from engine.comparison.units import percent

FAR_ABOVE = 0.05
"""Where knowing an image's group is worth so much accuracy, a network can learn the groups instead of the classes."""


class Leak(Struct, frozen=True):
    """Groups of images in both training and validation.

    ``no_pixels``: the accuracy (0..1) of predicting each validation image's label from its group's labels in training;
    ``majority``: that of always saying the commonest class. ``shared`` of ``images`` validation images have their group
    in training.
    """

    no_pixels: float
    majority: float
    shared: int
    images: int


def caveats(comparison: Comparison, leak: Leak | None = None) -> tuple[str, ...]:
    """Why the numbers may be other than they seem, the gravest first; empty where nothing is known against them."""
    done = [row for row in comparison.runs if row.best_epoch]
    said = []
    if leak is not None and leak.no_pixels - leak.majority > FAR_ABOVE:
        said.append(
            f"{leak.shared:,} of {leak.images:,} validation images share a group with training: without a look at any "
            f"pixel their groups tell {percent(leak.no_pixels)} of the labels (the commonest class "
            f"{percent(leak.majority)}), so accuracy here measures memory; divide with --split grouped."
        )
    if any(row.weights.startswith("none") for row in done):
        said.append("Weights were random at the start, so this is no transfer learning.")
    if any(row.epochs < row.epochs_planned for row in done):
        said.append("Not every run trained all its epochs.")
    if part(comparison) == "val" and any(row.epochs > 1 for row in done):
        said.append(
            "The best epoch was chosen on these very images, which flatters; --test-fraction sets others apart."
        )
    return tuple(said)
