"""The confidence interval of an accuracy, also where images come in groups. Imports without numpy."""

from __future__ import annotations

import math
from statistics import NormalDist

from engine.comparison.difference import CONFIDENCE


def accuracy_interval(accuracy: float, images: int, groups: int = 0, design_effect: float = 1.0) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy (0..1) measured on so many images; of none, all there is.

    Images of one group (a patient, a scene) are right or wrong together more often than others. Where there are fewer
    ``groups`` than images (0: not known), the images count as the fewer that would tell as much, by the design effect,
    and the normal quantile is Student's t with groups - 1 degrees of freedom; of a single group, all there is. As in
    Korn & Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data", with Wilson's interval; for an accuracy of 0 or 1, of which they have no design effect,
    see :func:`engine.comparison.resampling.design_effect`.
    """
    if images < 1 or groups == 1 < images:  # no images, as a damaged log may tell
        return 0.0, 1.0
    count, quantile = float(images), NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    if 0 < groups < images:
        from scipy.stats import t  # noqa: PLC0415 - half a second that only such data need

        count, quantile = images / design_effect, float(t.ppf((1 + CONFIDENCE) / 2, groups - 1))
    squared = quantile**2
    centre = (accuracy + squared / (2 * count)) / (1 + squared / count)
    half = math.sqrt(squared * (accuracy * (1 - accuracy) + squared / (4 * count)) / count) / (1 + squared / count)
    # the ends are exact: an accuracy of 1 is not above its own interval
    return (0.0 if accuracy <= 0 else centre - half), (1.0 if accuracy >= 1 else centre + half)
