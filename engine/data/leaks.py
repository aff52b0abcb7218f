"""Whether groups that are in both training and validation give too much away. Imports without numpy."""

from __future__ import annotations

import math

from engine.logs.events import Leak
from engine.units import percent

FAR_ABOVE = 0.05
"""In accuracy (0..1): so much, and more than two standard errors, is far above the majority class."""


def is_far_above(leak: Leak) -> bool:
    """Whether knowing groups, without any pixel, predicts far better than the commonest class."""
    error = math.sqrt(leak.majority * (1 - leak.majority) / max(leak.images, 1))
    return leak.no_pixels - leak.majority >= max(FAR_ABOVE, 2 * error)


def leak_sentence(leak: Leak) -> str:
    """What a leak that is far above means, in one sentence without its full stop."""
    known, majority = map(percent, (leak.no_pixels, leak.majority))
    return (
        f"{leak.shared:,} of {leak.images:,} validation images share a group with training: without looking at a "
        f"pixel, their groups predict {known} of the labels (majority class: {majority}), so validation accuracy "
        "rewards memorisation; split by group (split grouped)"
    )
