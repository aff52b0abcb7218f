"""Dividing images so that groups stay whole and classes stay balanced. Imports without torch."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from engine.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    Numbers = NDArray[np.int64]

MANY_GROUPS = 2000
"""Groups from which on they are dealt by their most frequent class alone: StratifiedGroupKFold, which counts every
class of every group, takes 0.6 ms for each, and with so many chance evens out what it would."""
SHUFFLES = 16
MOST_PARTS = 10


def assign_folds(strata: Sequence[Hashable], groups: Sequence[str], count: int, seed: int) -> Numbers:
    """The part, 0 … ``count`` - 1, that each image belongs to: groups whole, strata spread evenly; int64 (N,).

    An image without a group is a group of its own. ``DataError`` where there are too few for so many parts.
    """
    # Imported here because scikit-learn takes a second to import and most data sets come divided.
    import numpy as np  # noqa: PLC0415
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # noqa: PLC0415

    # For good, not with catch_warnings: that is not safe where other threads run.
    warnings.filterwarnings("ignore", message="The least populated class", module="sklearn")
    table, group_of = _table(strata, groups)
    many, numbers = table.shape[0], np.empty(len(strata), np.int64)
    try:
        if many == len(strata) or many >= MANY_GROUPS:
            most, dealt = np.asarray(table.argmax(axis=1)).ravel(), np.empty(many, np.int64)
            parts = StratifiedKFold(count, shuffle=True, random_state=seed % 2**32).split(most, most)
            for part, (_, places) in enumerate(parts):
                dealt[places] = part
            return dealt[group_of]
        whole = StratifiedGroupKFold(count, shuffle=True, random_state=seed % 2**32)
        for part, (_, places) in enumerate(whole.split(group_of, numbered(strata), group_of)):
            numbers[places] = part
    except ValueError:  # fewer groups, or fewer images of each class, than parts
        raise DataError(f"{many:,} groups or images are too few to be divided into {count} parts") from None
    return numbers


def hold_out(strata: Sequence[Hashable], groups: Sequence[str], fraction: float, seed: int) -> set[int]:
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


def _table(strata: Sequence[Hashable], groups: Sequence[str]) -> tuple[csr_array, Numbers]:
    """Images by group and stratum (groups, strata), and each image's group (N,).

    Sparse, since where no groups are known it has a row for each image: a million by a thousand classes.
    """
    import numpy as np  # noqa: PLC0415
    from scipy.sparse import coo_array  # noqa: PLC0415

    group_of = numbered([group or index for index, group in enumerate(groups)])
    ones = np.ones(len(strata), np.int64)
    return coo_array((ones, (group_of, numbered(strata)))).tocsr(), group_of


def _candidates(
    strata: Sequence[Hashable], groups: Sequence[str], table: csr_array, group_of: Numbers, fraction: float, seed: int
) -> Iterator[NDArray[np.bool_]]:
    """Ways to choose groups, bool (groups,): runs of evenly dealt parts, and some by chance for where none fits."""
    import numpy as np  # noqa: PLC0415

    share = Fraction(fraction).limit_denominator(MOST_PARTS)
    many = table.shape[0]
    first = np.zeros(many, np.int64)
    first[group_of] = np.arange(len(strata))  # an image of each group
    if 0 < share < 1 and many >= share.denominator:
        try:
            part_of = assign_folds(strata, groups, share.denominator, seed)[first]
            for start in range(share.denominator):
                run = [(start + step) % share.denominator for step in range(share.numerator)]
                yield np.isin(part_of, run)
        except DataError:  # a few images of each of many classes
            pass
    rng = np.random.default_rng(seed)
    rows = table.toarray() if many < MANY_GROUPS else None
    for _ in range(SHUFFLES):
        order = rng.permutation(many)
        yield order < fraction * many if rows is None else _filled(order, rows, fraction * rows.sum(axis=0))


def _filled(order: Numbers, rows: Numbers, wanted: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Groups taken in this order, each that brings the images of every stratum nearer to those wanted.

    ``rows``: images by group and stratum.
    """
    import numpy as np  # noqa: PLC0415

    chosen, missing = np.zeros(len(rows), np.bool_), wanted.copy()
    for group in order:
        after = missing - rows[group]
        if np.abs(after).sum() < np.abs(missing).sum():
            chosen[group], missing = True, after
    return chosen


def _both_sides(chosen: NDArray[np.bool_], table: csr_array) -> NDArray[np.bool_]:
    """The choice with as few groups moved as it takes for every stratum to be kept, and then to be set apart, too."""
    sizes: Numbers = table.sum(axis=1)
    chosen, columns = chosen.copy(), table.tocsc()

    def holders(stratum: int, *, apart: bool) -> Numbers:
        """The groups with images of the stratum that are set apart, or kept, from the smallest on."""
        groups: Numbers = columns.indices[columns.indptr[stratum] : columns.indptr[stratum + 1]]
        groups = groups[chosen[groups] == apart]
        return groups[sizes[groups].argsort(kind="stable")]

    for stratum in range(table.shape[1]):
        if not len(holders(stratum, apart=False)):
            chosen[holders(stratum, apart=True)[0]] = False
    for stratum in range(table.shape[1]):
        if len(holders(stratum, apart=True)):
            continue
        for group in holders(stratum, apart=False):
            strata = table.indices[table.indptr[group] : table.indptr[group + 1]]
            if all(len(holders(other, apart=False)) > 1 for other in strata):
                chosen[group] = True
                break
    return chosen


def single_group_strata(strata: Sequence[Hashable], groups: Sequence[str]) -> list[int]:
    """The index of an image of each stratum that only one group holds."""
    holders: dict[Hashable, set[Hashable]] = {}
    for index, (stratum, group) in enumerate(zip(strata, groups, strict=True)):
        holders.setdefault(stratum, set()).add(group or index)
    return [strata.index(stratum) for stratum, held in holders.items() if len(held) == 1]
