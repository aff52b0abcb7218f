"""Differences of paired counts, resampled: pure numerics on units, each an image or a group of images.

A unit is what is drawn independently: a group (a patient, a scene) where groups are known, else an image. Of each only
two whole numbers matter: how often one strategy was right more than the other, and how many predictions that is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.comparison.difference import CONFIDENCE

RESAMPLES = 4999
ALIKE = 10
"""Where there are more units of the same values than this on average, they are drawn by their number."""
BLOCK = 256
"""Resamples at a time, so that they stay in the processor's cache."""


class Units(NamedTuple):
    """``sums`` (U,): correct predictions of the first strategy less those of the second, in each unit; ``sizes`` (U,):
    the predictions of either that the sum is of. In no order.
    """

    sums: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def difference(self) -> float:
        """The difference of the two accuracies, -1..1."""
        return int(self.sums.sum()) / int(self.sizes.sum())


def smoothed(units: Units) -> Units:
    """The units and two more of one prediction each: in one only the first strategy is right, in one the second.

    As in Bonett & Price (2012), "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data". Few units that differ say too little of how often units do: of none, resampling makes an interval of
    no width.
    """
    return Units(np.append(units.sums, (1, -1)), np.append(units.sizes, (1, 1)))


def bootstrap(units: Units, rng: np.random.Generator) -> NDArray[np.float64]:
    """The difference in ``RESAMPLES`` bootstrap samples of the units (at least 2), with replacement.

    Few units vary too little among themselves; their spread is widened as in Hesterberg (2015), "What teachers should
    know about the bootstrap", by sqrt(U / (U - 1)) and from the normal to Student's t with U - 1 degrees of freedom.
    """
    kinds, counts = np.unique(np.stack(units, axis=1), axis=0, return_counts=True)
    count = len(units.sums)
    if len(kinds) * ALIKE < count:  # as of images; those alike are drawn together: 10,000 cost no more than ten
        drawn = rng.multinomial(count, counts / count, size=RESAMPLES).astype(float)
        sums, sizes = (drawn @ kinds).T
    else:
        each = np.repeat(kinds[:, 0] + 1j * kinds[:, 1], counts).astype(np.complex64)  # both numbers in one sum; exact
        blocks = (min(BLOCK, RESAMPLES - done) for done in range(0, RESAMPLES, BLOCK))
        rows = (rng.integers(count, size=(block, count), dtype=np.uint32) for block in blocks)
        totals = np.concatenate([each.take(chosen).sum(axis=1) for chosen in rows]).astype(complex)
        sums, sizes = totals.real, totals.imag
    differences = sums / sizes
    tail = (1 + CONFIDENCE) / 2
    wider = np.sqrt(count / (count - 1)) * stats.t.ppf(tail, count - 1) / stats.norm.ppf(tail)
    centre = units.difference
    return np.asarray(centre + wider * (differences - centre))


def interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval of draws of a difference, within -1..1."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return max(-1.0, float(low)), min(1.0, float(high))


def two_sided_p(draws: NDArray[np.float64], tail: float) -> float:
    """The smallest level at which the percentile interval of the draws leaves out 0.

    ``tail``: the p-value where all draws lie on one side of 0, of which counting them tells no more than that it is
    less than 2 in their number.
    """
    beyond = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    counted = float(min(1.0, 2 * (beyond + 1) / (len(draws) + 1)))
    return counted if beyond else min(counted, tail)


def welch_p(difference: float, variances: Sequence[tuple[float, float]]) -> float:
    """Two-sided p-value of a difference whose error is the sum of independent ones, by Student's t.

    ``variances``: of each error, with its degrees of freedom, which are joined as in Welch (1947), "The generalization
    of 'Student's' problem when several different population variances are involved".
    """
    total = sum(variance for variance, _ in variances)
    if total == 0:
        return 1.0 if difference == 0 else 0.0
    freedom = 1 / sum((variance / total) ** 2 / of_one for variance, of_one in variances)
    return float(2 * stats.t.sf(abs(difference) / np.sqrt(total), freedom))


def sign_flip_p(sums: NDArray[np.int64]) -> float:
    """Two-sided exact p-value of the sign-flip permutation test (Fisher's randomisation test for pairs).

    Were the strategies alike, each unit's sum could as well have had the other sign. The chance of a total at least as
    far from 0 is computed exactly, from the characteristic function of the total of random signs. For single images
    and one run each, this is McNemar's exact test.
    """
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    most = int(sizes @ counts)
    total = abs(int(sums.sum()))
    length = 2 * most + 1
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    characteristic = np.ones(len(angles))
    for size, count in zip(sizes, counts, strict=True):
        characteristic *= np.cos(size * angles) ** count
    chances = np.fft.irfft(characteristic, length)  # index i: a total of i, or of i - length
    return float(np.clip(1.0 - chances[:total].sum() - chances[length - total + 1 :].sum() if total else 1.0, 0.0, 1.0))


def corrected_t_p(differences: Sequence[float], test_share: float) -> tuple[float, float]:
    """The corrected resampled t-test of Nadeau & Bengio (2003), "Inference for the generalization error".

    ``differences``: of the accuracies, one a run (folds times seeds; repeated folds as Bouckaert & Frank, 2004), J in
    all; ``test_share``: images tested by images trained on. t = mean / sqrt((1/J + test_share) variance), with J - 1
    degrees of freedom. Returns the two-sided p-value and the half width of the 95 % interval; 1 and infinity of a
    single difference.
    """
    count = len(differences)
    if count < 2:
        return 1.0, float("inf")
    error = float(np.sqrt((1 / count + test_share) * np.var(differences, ddof=1)))
    mean = float(np.mean(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    if error == 0:
        return (1.0 if mean == 0 else 0.0), half
    return float(2 * stats.t.sf(abs(mean) / error, count - 1)), half


def images_needed(difference: float, discordance: float, design_effect: float = 1.0) -> int | None:
    """Images to show a difference of this size at the 5 % level with 80 % power; None of none.

    Connor (1987), "Sample size for testing differences in proportions for the paired-sample design":
    n = (z_0.975 sqrt(discordance) + z_0.8 sqrt(discordance - difference²))² / difference². ``discordance``: the share
    of images that exactly one strategy gets right, at least the difference. Times the design effect of groups.
    """
    if difference == 0:
        return None
    spread = np.sqrt(max(0.0, discordance - difference**2))
    root = stats.norm.ppf(0.975) * np.sqrt(discordance) + stats.norm.ppf(0.8) * spread
    return int(np.ceil(max(1.0, design_effect) * (root / difference) ** 2))


def design_effect(units: Units, alone: float) -> float:
    """How many times ``alone``, the difference's variance were every image a unit, it is with these units; >= 1.

    Where nothing varies the data do not tell how alike the images of a unit are: then what it is if they are wholly so
    (Kish, 1965, "Survey Sampling": 1 + (size - 1) times the intraclass correlation, here 1), which is the most it is.
    """
    count = len(units.sums)
    if count < 2:
        return 1.0
    if alone <= 0:
        return float(np.sum(units.sizes**2) / np.sum(units.sizes))
    deviations = units.sums - units.difference * units.sizes
    among = float(np.sum(deviations**2)) / int(units.sizes.sum()) ** 2 * count / (count - 1)
    return max(1.0, among / alone)
