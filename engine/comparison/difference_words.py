"""A paired difference as a sentence. Imports without numpy."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

from engine.comparison.difference import LEVEL, PairedDifference, turned
from engine.comparison.measured_parts import PART_WORDS
from engine.text import counted
from engine.units import percent

MOST_IMAGES = 1_000_000


def oriented(pairs: Sequence[PairedDifference], first: str, second: str) -> PairedDifference | None:
    """The difference of two strategies, the first less the second; None where there is none."""
    for pair in pairs:
        if pair.strategies == (first, second):
            return pair
        if pair.strategies == (second, first):
            return turned(pair)
    return None


def sentence(pair: PairedDifference, pairs: int, shared: str = "", *, seeds_matter: bool = True) -> str:
    """How much more accurate the first strategy is, how sure that is, and what would make it surer.

    ``pairs``: how many differences were looked at together. ``shared``: what runs the two have in common where either
    has others too, ``seeds`` or ``seeds and folds``. ``seeds_matter``: whether more seeds could tell more.
    """
    if pair.difference < 0:  # over the seeds both have, it can be the other way round
        return sentence(turned(pair), pairs, shared, seeds_matter=seeds_matter)
    numbers = in_numbers(pair, shared)
    if pair.discordant == (0, 0):
        return f"{numbers}: too close to call on this data, as both are right on the same images."
    if not pair.different:
        missing = _what_is_missing(pair, pairs, seeds_matter)
        return "; ".join([f"{numbers}: too close to call on this data", *missing]) + "."
    if pair.seeds == 1:
        return (
            f"{numbers}: more than chance explains on these images, and more than another seed usually changes; "
            f"several seeds would confirm it."
        )
    return f"{numbers}: more than chance explains on these images{' and these seeds' if seeds_matter else ''}."


def in_numbers(pair: PairedDifference, shared: str = "") -> str:
    """By how much the one is more accurate that is, with the interval, and nothing of what that shows. ``shared`` as of
    :func:`sentence`.
    """
    if pair.difference < 0:
        return in_numbers(turned(pair), shared)
    first, second = pair.strategies
    one, other = (percent(accuracy) for accuracy in pair.accuracies)
    both = f" over the {shared} both have" if shared else ""
    where = f"on the same {same_images(pair)}"
    low, high = (round(100 * bound, 1) + 0.0 for bound in (pair.low, pair.high))  # never -0.0
    interval = f"(95 % interval {low:+.1f} to {high:+.1f} points, {_runs(pair)})"
    if pair.difference == 0:
        return f"{first} and {second} are equally accurate, {one}{both}, {where} {interval}"
    size = f"{points_of(pair.difference)} more accurate than {second}"
    return f"{first} is {size} {where}, {one} against {other}{both} {interval}"


def same_images(pair: PairedDifference) -> str:
    """How many images the two were measured on: ``153 validation images``, ``validation image``."""
    return f"{PART_WORDS[pair.part]} image" if pair.images == 1 else f"{pair.images:,} {PART_WORDS[pair.part]} images"


def points_of(difference: float) -> str:
    """A difference above 0 of two shares (0..1) as ``1.3 points``."""
    return f"{100 * difference:.1f} points" if reads_as_one(difference) else "less than 0.1 points"


def reads_as_one(difference: float) -> bool:
    """Whether a difference of two shares (0..1) is more than 0.0 points where it is shown."""
    return round(100 * difference, 1) > 0


def about(count: int) -> str:
    """A number of images without false digits: 1,873 as ``1,900``."""
    if count >= MOST_IMAGES:
        return "more than a million"
    digits = max(0, floor(log10(count)) - 1)
    return f"about {-(-count // 10**digits) * 10**digits:,}"


def _runs(pair: PairedDifference) -> str:
    """What the interval is of; of a single run each it tells nothing of other seeds."""
    seeds = "one seed each" if pair.seeds == 1 else f"{pair.seeds} seeds each"
    folds = f", {pair.folds} folds" if pair.folds > 1 else ""
    groups = f", {counted(pair.groups, 'group', 'groups')}" if pair.groups else ""
    only = ": these two networks only" if pair.runs == 1 else ""
    return f"{seeds}{folds}{groups}{only}"


def _what_is_missing(pair: PairedDifference, pairs: int, seeds_matter: bool) -> list[str]:
    """Why it is not shown where the interval alone would seem to, and what would show one of this size."""
    missing: list[str] = []
    if pair.difference == 0:
        return missing
    if pair.groups == 1:
        return ["images of a single group say nothing about other groups"]
    if pair.p < LEVEL:
        missing.append(f"with {pairs} comparisons, one this large can arise by chance")
    elif pair.low > 0 and pair.seeds == 1:
        missing.append("with one seed each, another seed could change it by as much")
    elif pair.low > 0:
        missing.append("an exact test cannot rule out chance")
    needed = pair.images_needed
    if needed is not None and needed > pair.images:
        seeds = " and several seeds" if pair.seeds == 1 else ""  # which the number of images knows nothing of
        groups = f" of {about(round(needed * pair.groups / pair.images))} groups" if pair.groups else ""
        missing.append(f"confirming a difference this size would take {about(needed)} images{groups}{seeds}")
    elif seeds_matter and (not missing or pair.seeds == 1):
        missing.append("more seeds would help")
    return missing
