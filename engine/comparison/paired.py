"""The difference of two strategies on the same images: how large, how sure, and whether this data shows it."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple, TypedDict

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import stats

from engine.comparison.difference import CONFIDENCE, LEVEL, PairedDifference, turned
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.paired_runs import PairedRuns, PerImage, Whole, paired_runs, summed
from engine.comparison.predictions import Outcomes
from engine.comparison.resampling import (
    RESAMPLES,
    Units,
    bootstrap,
    corrected_t_p,
    design_effect,
    images_needed,
    interval,
    sign_flip_p,
    smoothed,
    two_sided_p,
    welch_p,
)

ONE_SEED_IMAGES = 1000
"""What the seed adds where each strategy had one only: as much as measuring on so many images does."""
ONE_SEED_STRICTER = 5
"""Times the exact p-value of one run each: it has to be below 1 %, since images alone do not tell of the seed."""


def paired_difference(
    one: Sequence[Outcomes],
    other: Sequence[Outcomes],
    strategies: tuple[str, str],
    *,
    seeds: Sequence[int],
    folds: int,
    divided: int,
) -> PairedDifference | None:
    """The difference of two ``strategies``; None where their runs are not of the same images.

    ``one``, ``other``: what came of the runs of each, at least one, the i-th of both with the same fold and the i-th of
    the ``seeds``, on the same images; runs on other images than the first are other folds. ``folds``: how many the runs
    of each are of, as it is told. ``divided``: how many images there are to train on and to validate, which folds
    divide.

    The interval is a bootstrap of whole groups where any group is known, of images otherwise, smoothed by one
    prediction more on either side and widened by how much the accuracies of several seeds vary. ``different`` says that
    p is below 5 %, where p is the largest of

    - the sign-flip permutation test of the units (McNemar's exact test for a single pair of runs without groups),
      five times over where that is all there is: one run each;
    - the bootstrap with the spread of seeds: with one seed each as much as 1,000 images would add, since the images
      cannot tell; with several, Student's t of their standard error, 2 (seeds - 1) degrees of freedom (in each fold);
    - over folds, each measured on its own images, the corrected resampled t-test, whose interval is taken where it is
      the wider one.

    Of folds that were all measured on one test part, those of a seed share the seed and most of their training images,
    so they are not as many independent runs, and how much alike they are is not known (the corrected t-test's share of
    test images tells nothing of it). So their mean is one run: of several seeds the spread of these means counts, of
    one seed as much is allowed for as of one run, and no less than the spread of its folds. What other training images
    would change is then not measured, as it is not without folds.

    How often two strategies that are truly equal are called different in simulations (``benchmarks.calibration``, 153
    to 2,000 images, 1 to 5 seeds, with groups and without, a seed worth up to half a point): in 0 to 4 % of cases, 1 %
    in the mean. Where a seed is worth a point, in 0 to 5 % with several seeds, 2 % in the mean, but in up to 14 % with
    one seed each, from which no rule could know. One that is 5 points better than another of 89 % is found on 153, 500
    and 2,000 images in 25, 86 and 100 % with one seed each, in 55, 98 and 100 % with three. The percentile interval,
    smoothed, holds the true difference in 93 to 100 % of simulations with few images on which the two differ; without
    that in 80 to 96.
    """
    paired = paired_runs(one, other, seeds, divided)
    if paired is None:
        return None
    swapped = summed(paired.right, paired.units).difference < 0  # so that either way round gives the same numbers
    if swapped:
        strategies = strategies[::-1]
        paired = paired._replace(
            right=tuple(right[::-1] for right in paired.right), losses=tuple(losses[::-1] for losses in paired.losses)
        )
    found = _difference(paired, one[0].part, strategies, len(set(seeds)), folds)
    return turned(found) if swapped else found


def holm(pairs: Sequence[PairedDifference]) -> tuple[PairedDifference, ...]:
    """The pairs in their order, ``p_adjusted`` and ``different`` corrected for how many they are (Holm, 1979), so that
    the best of six is not called better by chance.
    """
    adjusted, largest = list(pairs), 0.0
    for rank, index in enumerate(sorted(range(len(pairs)), key=lambda index: pairs[index].p)):
        largest = max(largest, min(1.0, (len(pairs) - rank) * pairs[index].p))
        adjusted[index] = replace(pairs[index], p_adjusted=largest, different=largest < LEVEL)
    return tuple(adjusted)


def _difference(
    paired: PairedRuns, part: MeasuredPart, strategies: tuple[str, str], seeds: int, folds: int
) -> PairedDifference:
    units, images = summed(paired.right, paired.units), summed(paired.right, paired.images)
    difference, count = units.difference, len(images.sums)
    sure = _sure(paired, units)
    discordance = float(np.sum(images.sums**2 / images.sizes) / np.sum(images.sizes))
    clustered = design_effect(units, (discordance - difference**2) / count) if paired.grouped else 1.0
    single = paired.runs == 1 and not paired.grouped
    return PairedDifference(
        strategies=strategies,
        part=part,
        accuracies=paired.accuracies,
        difference=difference,
        low=sure.low,
        high=sure.high,
        images=count,
        groups=len(units.sums) if paired.grouped else 0,
        runs=paired.runs,
        seeds=seeds,
        folds=folds,
        discordant=paired.discordant,
        mcnemar_p=_mcnemar(*paired.discordant) if single else None,
        corrected_t_p=sure.corrected_t_p,
        p=sure.p,
        p_adjusted=sure.p,
        different=sure.p < LEVEL,
        images_needed=images_needed(difference, discordance, clustered),
        method=_method(paired, len(units.sums)),
        **_loss_difference(paired, units),
    )


class _Sure(NamedTuple):
    """The 95 % interval of a difference, the largest p-value, and over folds that of the corrected t-test."""

    low: float
    high: float
    p: float
    corrected_t_p: float | None = None


def _sure(paired: PairedRuns, units: Units) -> _Sure:
    resampled = _resampled(paired, units)
    if len(paired.right) == 1:
        return resampled
    p, mean, half = _over_folds(paired.right, paired.divided)
    low, high = min(resampled.low, max(-1.0, mean - half)), max(resampled.high, min(1.0, mean + half))
    return _Sure(low, high, max(resampled.p, p), corrected_t_p=p)


def _resampled(paired: PairedRuns, units: Units) -> _Sure:
    """What the bootstrap and the permutation of the units tell, with the spread of seeds."""
    count = len(units.sums)
    if count < 2:  # a single unit tells nothing
        return _Sure(-1.0, 1.0, p=1.0)
    rng = np.random.default_rng(0)  # the same runs always give the same interval
    draws = bootstrap(smoothed(units), rng)
    variance, freedom = _of_seeds(paired)
    with_seeds = draws + _noise(variance, freedom, rng)
    low, high = interval(draws if paired.repeats == 1 else with_seeds)
    exact = sign_flip_p(units.sums) * (ONE_SEED_STRICTER if paired.trained_apart == 1 else 1)
    tail = welch_p(units.difference, [(float(draws.var()), count - 1), (variance, freedom)])
    return _Sure(low, high, p=max(min(1.0, exact), two_sided_p(with_seeds, tail)))


class _Losses(TypedDict):
    loss_difference: float
    loss_low: float | None
    loss_high: float | None


def _loss_difference(folds: PairedRuns, units: Units) -> _Losses:
    """The difference of the mean cross-entropies and its 95 % interval: Student's t of the units' sums (of a ratio, as
    cluster-robust errors are), with the spread of seeds where there are several; over folds no narrower than the
    corrected resampled t-test's.
    """
    sums = sum(
        np.bincount(owner, (losses[0] - losses[1]).sum(axis=0), len(units.sums))
        for losses, owner in zip(folds.losses, folds.units, strict=True)
    )
    total, count = int(units.sizes.sum()), len(units.sums)
    difference = float(np.sum(sums)) / total
    if count < 2:
        return {"loss_difference": difference, "loss_low": None, "loss_high": None}
    among = float(np.sum((sums - difference * units.sizes) ** 2)) / total**2 * count / (count - 1)
    of_seeds, freedom = _seed_variance(folds.losses, folds.seeds) if folds.repeats > 1 else (0.0, count - 1)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, min(freedom, count - 1))) * float(np.sqrt(among + of_seeds))
    if len(folds.losses) > 1:
        half = max(half, _over_folds(folds.losses, folds.divided)[2])
    return {"loss_difference": difference, "loss_low": difference - half, "loss_high": difference + half}


def _of_seeds(folds: PairedRuns) -> tuple[float, float]:
    """The variance of what other seeds would add to the difference, with its degrees of freedom; with one seed each it
    is assumed, with infinitely many, and no less than what folds on the same images show.
    """
    assumed = sum(share * (1 - share) for share in folds.accuracies) / ONE_SEED_IMAGES / folds.trained_apart, inf
    if folds.repeats == 1:
        return assumed
    measured = _seed_variance(folds.right, folds.seeds)
    return measured if folds.repeated_seeds > 1 else max(assumed, measured)


def _noise(variance: float, freedom: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws of Student's t, or of the normal distribution, with this variance (of the normal one that t widens)."""
    if freedom == inf:
        return rng.normal(0.0, np.sqrt(variance), RESAMPLES)
    return np.asarray(rng.standard_t(freedom, RESAMPLES) * np.sqrt(variance))


def _seed_variance(measured: Sequence[PerImage], seeds: Sequence[Whole]) -> tuple[float, int]:
    """The variance that the seeds cause in the difference of means of what was ``measured`` in each fold, with its
    degrees of freedom. Of one seed alone, the variance among its runs.
    """
    total = sum(fold.shape[2] for fold in measured)
    variance, freedom = 0.0, 0
    for fold, of in zip(measured, seeds, strict=True):
        _, owners, counts = np.unique(of, return_inverse=True, return_counts=True)
        if len(counts) == 1:
            owners, counts = np.arange(len(of)), np.ones_like(of)
        runs = fold.mean(axis=2)
        means = np.stack([runs[:, owners == owner].mean(axis=1) for owner in range(len(counts))], axis=1)
        weights = counts / counts.sum() * fold.shape[2] / total
        variance += float(means.var(axis=1, ddof=1).sum() * np.sum(weights**2))
        freedom += 2 * (len(counts) - 1)
    return variance, freedom


def _over_folds(measured: Sequence[PerImage], divided: int) -> tuple[float, float, float]:
    """The corrected t-test's p-value, and the mean and half width of its interval.

    Each fold was trained on all other images of those that were divided, also where not every fold is done. Folds of
    unequal size count alike in this mean.
    """
    differences = [float(one - other) for fold in measured for one, other in fold.mean(axis=2).T]
    tested = float(np.mean([fold.shape[2] for fold in measured for _ in range(fold.shape[1])]))
    p, half = corrected_t_p(differences, tested / max(1.0, divided - tested))
    return p, float(np.mean(differences)), half


def _mcnemar(first: int, second: int) -> float:
    """The exact test of McNemar (1947): whether discordant images are as often one strategy's as the other's."""
    return float(stats.binomtest(first, first + second).pvalue) if first + second else 1.0


def _method(folds: PairedRuns, units: int) -> str:
    what = f"{units:,} groups" if folds.grouped else f"{units:,} images"
    parts = [f"bootstrap of {what}"]
    if folds.repeats > folds.repeated_seeds > 1:
        parts.append(f"spread of {folds.repeated_seeds} seeds, each the mean of its folds, by Student's t")
    elif folds.repeated_seeds > 1:
        parts.append(f"spread of {folds.repeats} runs on the same images by Student's t")
    elif folds.repeats > 1:
        parts.append(f"an allowance for the seed, no less than the spread of its {folds.repeats} folds")
    single = folds.runs == 1 and not folds.grouped
    parts.append("McNemar's exact test" if single else "sign-flip permutation test")
    if len(folds.right) > 1:
        parts.append(f"corrected resampled t-test over {folds.runs} runs in {len(folds.right)} folds")
    return ", ".join(parts)
