"""Finding images that are nearly the same among many, by perceptual hashes that differ in few bits.

Multi-index hashing (Norouzi, Punjani & Fleet 2012): if two hashes of 64 bits differ in at most 11, they differ in at
most 2 bits in one of their four quarters. So only hashes that share a bucket of a quarter with up to 2 bits flipped
are compared, not all with all.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.data.looks import Hashes

COARSE_WITHIN, FINE_WITHIN = 11, 60
"""Bits of 64 and of 256 that two hashes of nearly the same image may differ by.

Measured on 396 photographs and on the demo set: different images differ by at least 82 of 256. Copies that were resized
to a quarter, saved as JPEG of quality 30, made grey, 30 % brighter or darker, or cropped by 3 % differ by at most 42
and 11; of those cropped by 5 % it is true of 98 in 100.
"""
QUARTERS, QUARTER_BITS = 4, 16
FLIPPED = COARSE_WITHIN // QUARTERS
MOST_PAIRS = 100_000
AT_ONCE = 4_000_000
Places = NDArray[np.int64]


class NearPairs(NamedTuple):
    """Pairs of images that are nearly the same: int64 (P, 2), first smaller, and the bits of 256 they differ by (P,).

    ``all``: whether these are all there are; more than :data:`MOST_PAIRS` are not collected.
    """

    pairs: Places
    bits: Places
    all: bool


def near_pairs(hashes: Hashes) -> Generator[None, None, NearPairs]:
    """The pairs, sorted by the images' numbers; yields whenever some of the search is done.

    Of images with the very same hash each is paired with the first of them alone, which stands for them all.
    """
    _, first, stands_for = np.unique(hashes.fine, axis=0, return_index=True, return_inverse=True)
    stands_for = first[stands_for.ravel()]
    same = np.flatnonzero(stands_for != np.arange(len(stands_for)))
    found = {(int(stands_for[place]), int(place)): 0 for place in same[:MOST_PAIRS]}
    whole = len(same) <= MOST_PAIRS
    standing = np.sort(first)
    coarse, fine = hashes.coarse[standing], hashes.fine[standing]
    for one, other in _candidates(coarse):
        yield
        near = np.bitwise_count(coarse[one] ^ coarse[other]) <= COARSE_WITHIN
        one, other = one[near], other[near]  # noqa: PLW2901
        bits = np.bitwise_count(fine[one] ^ fine[other]).sum(axis=1, dtype=np.int64)
        close = bits <= FINE_WITHIN
        pairs = np.stack((standing[one[close]], standing[other[close]]), axis=1)
        for (left, right), difference in zip(pairs.tolist(), bits[close].tolist(), strict=True):
            found[left, right] = difference
        if len(found) > MOST_PAIRS:
            whole = False
            break
    order = sorted(found)[:MOST_PAIRS]
    pairs = np.asarray(order, np.int64).reshape(-1, 2)
    return NearPairs(pairs, np.asarray([found[pair] for pair in order], np.int64), whole)


def _candidates(coarse: NDArray[np.uint64]) -> Iterator[tuple[Places, Places]]:
    """Blocks of pairs, first smaller, that agree in a quarter but for few bits; a pair may come several times."""
    for quarter in range(QUARTERS):
        values = ((coarse >> np.uint64(quarter * QUARTER_BITS)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(values, kind="stable")
        starts = np.searchsorted(values[order], np.arange(2**QUARTER_BITS + 1))
        for mask in _masks():
            wanted = values ^ mask
            begin, counts = starts[wanted], starts[wanted + 1] - starts[wanted]
            for block in _blocks(counts):
                one = np.repeat(block, counts[block])
                within = np.arange(len(one)) - np.repeat(np.cumsum(counts[block]) - counts[block], counts[block])
                other = order[np.repeat(begin[block], counts[block]) + within]
                ahead = one < other
                yield one[ahead], other[ahead]


@cache
def _masks() -> tuple[int, ...]:
    """Every way to flip up to :data:`FLIPPED` bits of a quarter."""
    return tuple(
        sum(1 << bit for bit in bits)
        for count in range(FLIPPED + 1)
        for bits in combinations(range(QUARTER_BITS), count)
    )


def _blocks(counts: Places) -> Iterator[Places]:
    """The images with candidates, in blocks of about as many candidates as are compared at once."""
    there = np.flatnonzero(counts)
    if not len(there):
        return
    number = np.cumsum(counts[there]) // AT_ONCE
    yield from np.split(there, np.flatnonzero(np.diff(number)) + 1)
