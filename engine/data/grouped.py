"""Dividing images so that groups stay whole and classes stay balanced. Imports without torch."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from engine.data.dataset import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

MANY_GROUPS = 2000
"""Groups from which on they are dealt by their most frequent class alone: StratifiedGroupKFold, which counts every
class of every group, takes 0.6 ms for each, and with so many chance evens out what it would."""
SHUFFLES = 16
MOST_PARTS = 10


def deal(strata: Sequence[Hashable], groups: Sequence[str], count: int, seed: int) -> Numbers:
    """The part, 0 … ``count`` - 1, that each image belongs to: groups whole, strata spread evenly; int64 (N,).

    An image without a group is a group of its own. ``DataError`` where there are too few for so many parts.
    """
    # Imported here because scikit-learn takes a second to import and most data sets come divided.
    import numpy as np  # noqa: PLC0415
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # noqa: PLC0415

    # For good, not with catch_warnings: that is not safe where other threads run.
    warnings.filterwarnings("ignore", message="The least populated class", module="sklearn")
    table, group_of = _table(strata, groups)
    numbers = np.empty(len(strata), np.int64)
    try:
        if len(table) == len(strata) or len(table) >= MANY_GROUPS:
            most, dealt = table.argmax(axis=1), np.empty(len(table), np.int64)
            parts = StratifiedKFold(count, shuffle=True, random_state=seed % 2**32).split(most, most)
            for part, (_, places) in enumerate(parts):
                dealt[places] = part
            return dealt[group_of]
        whole = StratifiedGroupKFold(count, shuffle=True, random_state=seed % 2**32)
        for part, (_, places) in enumerate(whole.split(group_of, numbered(strata), group_of)):
            numbers[places] = part
    except ValueError:  # fewer groups, or fewer images of each class, than parts
        raise DataError(f"{len(table):,} groups or images are too few to be divided into {count} parts") from None
    return numbers


def set_apart(strata: Sequence[Hashable], groups: Sequence[str], fraction: float, seed: int) -> set[int]:
    """The indices of images to set apart: whole groups, in all as near as possible to ``fraction`` of each stratum.

    Of a stratum with several groups at least one is set apart and one kept, where other strata do not forbid it; of
    a stratum with one group nothing is set apart. An image without a group is a group of its own. Depends on the
    order of the images and on ``seed`` alone. Empty where nothing can be set apart.
    """
    import numpy as np  # noqa: PLC0415

    table, group_of = _table(strata, groups)
    wanted = fraction * table.sum(axis=0)

    def cost(chosen: NDArray[np.bool_]) -> float:
        held = table[chosen].sum(axis=0)
        return float(np.abs(held - wanted).sum() / len(strata) + abs(held.sum() / len(strata) - fraction))

    candidates = list(_candidates(strata, groups, table, group_of, fraction, seed))
    best = min((_both_sides(chosen, table) for chosen in candidates), key=cost)
    return set(np.flatnonzero(best[group_of]).tolist())


def numbered(values: Sequence[Hashable]) -> Numbers:
    """Each value's number, counted in the order in which they first come; int64 (N,)."""
    import numpy as np  # noqa: PLC0415

    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def _table(strata: Sequence[Hashable], groups: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Images by group and stratum (groups, strata), and each image's group (N,)."""
    import numpy as np  # noqa: PLC0415

    group_of = numbered([group or index for index, group in enumerate(groups)])
    stratum_of = numbered(strata)
    table = np.zeros((int(group_of.max()) + 1, int(stratum_of.max()) + 1), np.int64)
    np.add.at(table, (group_of, stratum_of), 1)
    return table, group_of


def _candidates(
    strata: Sequence[Hashable], groups: Sequence[str], table: Numbers, group_of: Numbers, fraction: float, seed: int
) -> Iterator[NDArray[np.bool_]]:
    """Ways to choose groups, bool (groups,): runs of evenly dealt parts, and some by chance for where none fits."""
    import numpy as np  # noqa: PLC0415

    share = Fraction(fraction).limit_denominator(MOST_PARTS)
    first = np.zeros(len(table), np.int64)
    first[group_of] = np.arange(len(strata))  # an image of each group
    if 0 < share < 1 and len(table) >= share.denominator:
        try:
            part_of = deal(strata, groups, share.denominator, seed)[first]
            for start in range(share.denominator):
                run = [(start + step) % share.denominator for step in range(share.numerator)]
                yield np.isin(part_of, run)
        except DataError:  # a few images of each of many classes
            pass
    rng, wanted = np.random.default_rng(seed), fraction * table.sum(axis=0)
    for _ in range(SHUFFLES):
        order = rng.permutation(len(table))
        yield _filled(order, table, wanted) if len(table) < MANY_GROUPS else order < fraction * len(table)


def _filled(order: Numbers, table: Numbers, wanted: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Groups taken in this order, each that brings the images of every stratum nearer to those wanted."""
    import numpy as np  # noqa: PLC0415

    chosen, missing = np.zeros(len(table), np.bool_), wanted.copy()
    for group in order:
        after = missing - table[group]
        if np.abs(after).sum() < np.abs(missing).sum():
            chosen[group], missing = True, after
    return chosen


def _both_sides(chosen: NDArray[np.bool_], table: Numbers) -> NDArray[np.bool_]:
    """The choice with as few groups moved as it takes for every stratum to be kept, and then to be set apart, too."""
    chosen, sizes = chosen.copy(), table.sum(axis=1)

    def smallest(side: NDArray[np.bool_], stratum: int) -> list[int]:
        holders = (side & (table[:, stratum] > 0)).nonzero()[0]
        return [int(group) for group in holders[sizes[holders].argsort(kind="stable")]]

    for stratum in (table[~chosen].sum(axis=0) == 0).nonzero()[0]:
        if not table[~chosen, stratum].any():
            chosen[smallest(chosen, stratum)[0]] = False
    for stratum in range(table.shape[1]):
        if table[chosen, stratum].any():
            continue
        kept = table[~chosen].astype(bool).sum(axis=0)  # groups that hold each stratum
        movable = [group for group in smallest(~chosen, stratum) if (kept[table[group] > 0] > 1).all()]
        if movable:
            chosen[movable[0]] = True
    return chosen


def alone(strata: Sequence[Hashable], groups: Sequence[str]) -> list[int]:
    """The index of an image of each stratum that only one group holds."""
    holders: dict[Hashable, set[Hashable]] = {}
    for index, (stratum, group) in enumerate(zip(strata, groups, strict=True)):
        holders.setdefault(stratum, set()).add(group or index)
    return [strata.index(stratum) for stratum, held in holders.items() if len(held) == 1]
