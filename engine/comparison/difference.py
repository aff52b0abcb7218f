"""The difference of two strategies on the same images, as data. Imports without numpy."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from engine.comparison.measured_parts import MeasuredPart

CONFIDENCE = 0.95
"""Of every interval."""
LEVEL = 0.05
"""A difference is called one where its p-value is below this."""


class PairedDifference(Struct, frozen=True, kw_only=True):
    """How much more accurate one strategy is than another on the same images, and how sure that is.

    ``accuracies`` (0..1) are means over the runs, ``difference`` is the first less the second, ``low`` and ``high``
    its 95 % interval. ``images`` counts distinct images, ``groups`` those they belong to (0 where unknown), ``runs``
    the runs of each strategy, ``seeds`` and ``folds`` how they came about (1 fold: no cross-validation).
    ``discordant``: how often only the first and only the second was right, summed over runs.

    ``mcnemar_p``: of a single pair of runs without groups. ``corrected_t_p``: over folds, each measured on its own
    images. ``p`` is the largest of the p-values that decide, ``p_adjusted`` that among all pairs judged (Holm).
    ``different``: whether this data shows a difference. ``images_needed``: to show one of this size with 80 %
    power, None where there is none. ``method``: in words.

    ``loss_difference`` (nats): of the mean cross-entropies, with its 95 % interval, None of a single unit; of one seed
    each it is of these two networks only.
    """

    strategies: tuple[str, str]
    part: MeasuredPart
    accuracies: tuple[float, float]
    difference: float
    low: float
    high: float
    images: int
    groups: int
    runs: int
    seeds: int
    folds: int
    discordant: tuple[int, int]
    mcnemar_p: float | None
    corrected_t_p: float | None
    p: float
    p_adjusted: float
    different: bool
    images_needed: int | None
    method: str
    loss_difference: float
    loss_low: float | None
    loss_high: float | None


def turned(pair: PairedDifference) -> PairedDifference:
    """The second strategy less the first."""
    return replace(
        pair,
        strategies=pair.strategies[::-1],
        accuracies=pair.accuracies[::-1],
        difference=-pair.difference,
        low=-pair.high,
        high=-pair.low,
        discordant=pair.discordant[::-1],
        loss_difference=-pair.loss_difference,
        loss_low=None if pair.loss_high is None else -pair.loss_high,
        loss_high=None if pair.loss_low is None else -pair.loss_low,
    )
