"""The confidence interval of an accuracy, also where images come in groups. Imports without numpy."""

from __future__ import annotations

import math

from engine.comparison.difference import CONFIDENCE


def accuracy_interval(accuracy: float, images: int, groups: int = 0, design_effect: float = 1.0) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy (0..1) measured on so many images; of none, all there is.

    Images of one group (a patient, a scene) are right or wrong together more often than others. Where there are fewer
    ``groups`` than images (0: not known), the images count as the fewer that would tell as much, by the design effect,
    and the normal quantile is Student's t with groups - 1 degrees of freedom; of a single group, all there is. As in
    Korn & Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data", with Wilson's interval.
    """
    if images < 1 or groups == 1 < images:  # no images, as a damaged log may tell
        return 0.0, 1.0
    from scipy.stats import binomtest, t  # noqa: PLC0415 - half a second that only a comparison needs

    if 0 < groups < images:
        count, squared = images / design_effect, float(t.ppf((1 + CONFIDENCE) / 2, groups - 1)) ** 2
        centre = (accuracy + squared / (2 * count)) / (1 + squared / count)
        half = math.sqrt(squared * (accuracy * (1 - accuracy) + squared / (4 * count)) / count) / (1 + squared / count)
        # the ends are exact, as scipy's: an accuracy of 1 is not above its own interval
        return (0.0 if accuracy <= 0 else centre - half), (1.0 if accuracy >= 1 else centre + half)
    right = min(images, round(accuracy * images))  # a float is not as exact as so many images as a damaged log may tell
    interval = binomtest(right, images).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)
