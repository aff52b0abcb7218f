"""Finding images that look alike among many: their perceptual hashes differ in few bits, and tiny pictures agree.

Multi-index hashing (Norouzi, Punjani & Fleet 2012): if two hashes of 64 bits differ in at most 15, they differ in at
most 3 bits in one of their four quarters. So only hashes that share a bucket of a quarter with up to 3 bits flipped
are compared, not all with all.

Of a shape on a plain ground the hash has little to go by: it forgets colours, and takes a disc for a square. So the
colours of each place are compared too, by the correlation of two tiny pictures, which brightness and contrast leave
as it is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.data.looks import Hashes

COARSE_WITHIN, FINE_WITHIN = 15, 72
"""Bits of 64 and of 256 that two hashes of nearly the same image may differ by, at most.

Measured on 396 photographs and on the demo set: different images differ by at least 82 of 256. All copies that were
resized to a quarter, saved as JPEG of quality 30, made grey, 30 % brighter or darker, or cropped by 2.5 % at each side
are within reach, and 99 in 100 of those cropped by 3 % at one side.
"""
DEVIATIONS, LEAST = 6, 20
"""Where all images are much alike (radiographs, frames of one camera), nearly the same has to mean more: so many
deviations less than two of them usually differ by. Copies that were resized or recompressed differ by less than 20."""
CORRELATED = 0.91
"""What two tiny pictures correlate by at least (-1..1); without colours where one is grey.

Measured on 242 drawn images, a random shape on a plain noisy ground: of 74 different pairs with near hashes 4 are left.
Of the copies of photographs, of the demo set and of drawn images all are, but for 3 of 54 cropped by 5 % at each side.
"""
FLAT = 1.0
"""Levels of 255 that a picture may vary by (standard deviation) for nothing to be seen in it."""
SAMPLED = 20_000
QUARTERS, QUARTER_BITS = 4, 16
FLIPPED = COARSE_WITHIN // QUARTERS
MOST_PAIRS = 100_000
AT_ONCE = 4_000_000
TINY_AT_ONCE = 10_000
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
Places = NDArray[np.int64]


class NearPairs(NamedTuple):
    """Pairs of images that look alike: int64 (P, 2), first smaller, and the bits of 256 they differ by (P,).

    ``all``: whether these are all there are; more than :data:`MOST_PAIRS` are not collected.
    """

    pairs: Places
    bits: Places
    all: bool
    within: int


def near_pairs(hashes: Hashes) -> Generator[None, None, NearPairs]:
    """The pairs, sorted by the images' numbers; yields whenever some of the search is done.

    Of images with the very same hash each that looks like the first of them is paired with that alone, which stands
    for them all.
    """
    _, first, stands_for = np.unique(hashes.fine, axis=0, return_index=True, return_inverse=True)
    stands_for = first[stands_for.ravel()]
    same = np.flatnonzero(stands_for != np.arange(len(stands_for)))
    same = same[_correlated(hashes, stands_for[same], same)]
    found = {(int(stands_for[place]), int(place)): 0 for place in same[:MOST_PAIRS]}
    whole = len(same) <= MOST_PAIRS
    standing = np.setdiff1d(np.arange(len(stands_for)), same)
    coarse, fine = hashes.coarse[standing], hashes.fine[standing]
    within = reach(hashes.fine[np.sort(first)])
    for one, other in _candidates(coarse):
        yield
        near = np.bitwise_count(coarse[one] ^ coarse[other]) <= COARSE_WITHIN
        one, other = one[near], other[near]  # noqa: PLW2901
        bits = np.bitwise_count(fine[one] ^ fine[other]).sum(axis=1, dtype=np.int64)
        close = bits <= within
        lefts, rights, bits = standing[one[close]], standing[other[close]], bits[close]
        alike = _correlated(hashes, lefts, rights)
        pairs = np.stack((lefts[alike], rights[alike]), axis=1)
        for (left, right), difference in zip(pairs.tolist(), bits[alike].tolist(), strict=True):
            found[left, right] = difference
        if len(found) > MOST_PAIRS:
            whole = False
            break
    order = sorted(found)[:MOST_PAIRS]
    pairs = np.asarray(order, np.int64).reshape(-1, 2)
    return NearPairs(pairs, np.asarray([found[pair] for pair in order], np.int64), whole, within)


def reach(fine: NDArray[np.uint64]) -> int:
    """The bits by which hashes of nearly the same image may differ among these images, uint64 (N, 4)."""
    if len(fine) < 2:
        return FINE_WITHIN
    one, other = np.random.default_rng(0).integers(0, len(fine), (2, SAMPLED))
    one, other = one[one != other], other[one != other]
    bits = np.bitwise_count(fine[one] ^ fine[other]).sum(axis=1, dtype=np.int64)
    usual = float(np.median(bits))
    deviation = 1.4826 * float(np.median(np.abs(bits - usual)))  # of a normal distribution, its standard deviation
    return int(min(FINE_WITHIN, max(LEAST, usual - DEVIATIONS * deviation)))


def _correlated(hashes: Hashes, one: Places, other: Places) -> NDArray[np.bool_]:
    """Whether the tiny pictures of each of these pairs agree, bool (P,)."""
    found = np.zeros(len(one), np.bool_)
    for start in range(0, len(one), TINY_AT_ONCE):
        part = slice(start, start + TINY_AT_ONCE)
        left, right = (hashes.tiny[places[part]].astype(np.float32) for places in (one, other))
        colourless = hashes.grey[one[part]] | hashes.grey[other[part]]
        for pictures in (left, right):
            pictures[colourless] = (pictures[colourless] @ LUMINANCE)[:, :, None]
        difference = np.abs(left - right).mean(axis=(1, 2))
        left, right = (pictures - pictures.mean(axis=(1, 2), keepdims=True) for pictures in (left, right))
        spread = np.sqrt((left**2).mean(axis=(1, 2)) * (right**2).mean(axis=(1, 2)))
        agreeing = (left * right).mean(axis=(1, 2)) >= CORRELATED * spread
        found[part] = np.where(spread < FLAT**2, difference < FLAT, agreeing)
    return found


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
