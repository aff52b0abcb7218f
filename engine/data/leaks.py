"""Whether groups that are in training and in another part give too much away. Imports without numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.logs.events import Leak
from engine.units import percent

FAR_ABOVE = 0.05
"""In accuracy (0..1): so much, and more than two standard errors, is far above the majority class."""


def is_far_above(leak: Leak) -> bool:
    """Whether knowing groups, without any pixel, predicts far better than the commonest class."""
    error = math.sqrt(leak.majority * (1 - leak.majority) / max(leak.images, 1))
    return leak.no_pixels - leak.majority >= max(FAR_ABOVE, 2 * error)


def leak_sentences(val: Leak | None, test: Leak | None) -> Iterator[str]:
    """What the leaks into validation and into the test part mean, each that is far above in one sentence without its
    full stop.
    """
    if test is not None and is_far_above(test):
        yield _sentence(test, "test", "training or validation", "move the images of each group into one part")
    if val is not None and is_far_above(val):
        yield _sentence(val, "validation", "training", "split by group (split grouped)")


def _sentence(leak: Leak, part: str, others: str, advice: str) -> str:
    known, majority = map(percent, (leak.no_pixels, leak.majority))
    return (
        f"{leak.shared:,} of {leak.images:,} {part} images share a group with {others}: without looking at a pixel, "
        f"their groups predict {known} of the labels (majority class: {majority}), so {part} accuracy rewards "
        f"memorisation; {advice}"
    )
