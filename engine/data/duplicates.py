"""The same image twice, or nearly: which pairs, whether the split parts them, whether their labels agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from msgspec import Struct

from engine.data.dataset import DataSet, Sample
from engine.data.near import NearPairs
from engine.data.splits import Part

Spot = int | str
"""What images have in common: a number where they are compared by their looks, else a digest."""


class Copy(Struct, frozen=True):
    """An image of a pair: its absolute path, its part and the name of its class."""

    path: str
    part: Part
    label: str


class Pair(Struct, frozen=True):
    """Two images that are the same, ``exact``, by their bytes or their decoded pixels, or that look alike: then
    ``bits`` of 256 differ between their hashes, and nobody can tell without a look whether they are one.
    """

    first: Copy
    second: Copy
    exact: bool
    bits: int = 0

    @property
    def across(self) -> bool:
        """Whether they are in different parts."""
        return self.first.part != self.second.part

    @property
    def conflict(self) -> bool:
        """Whether their labels differ."""
        return self.first.label != self.second.label


class Duplicates(Struct, frozen=True):
    """Images that are there more than once; pairs with two labels come first, then those across parts.

    ``exact``: each copy, paired with the first image of the same bytes or pixels. ``near``: images that look alike, one
    pair for all copies of each. ``val_copies`` of the validation images have a copy in training, ``test_copies`` of the
    test images in training or validation; ``val_alike``, ``test_alike`` others have none there, but one that they look
    like. ``within``: the bits of 256 that such images may differ by, fewer where all images are alike. ``all``: whether
    these are all that look alike; there may be too many to list.
    """

    exact: tuple[Pair, ...]
    near: tuple[Pair, ...]
    val_copies: int
    test_copies: int
    within: int
    all: bool = True
    val_alike: int = 0
    test_alike: int = 0

    @property
    def conflicts(self) -> int:
        """Pairs of the same image with two labels."""
        return sum(pair.conflict for pair in self.exact)

    @property
    def doubtful(self) -> int:
        """Pairs that look alike and have two labels."""
        return sum(pair.conflict for pair in self.near)

    @property
    def across(self) -> int:
        """Pairs whose images are in different parts."""
        return sum(pair.across for pair in (*self.exact, *self.near))

    @property
    def harmless(self) -> int:
        """Pairs of one label within one part: to the split they do no harm, but they count twice."""
        return sum(not pair.across and not pair.conflict for pair in (*self.exact, *self.near))


def duplicates(dataset: DataSet, digests: Mapping[str, str], seen: Sequence[str], near: NearPairs) -> Duplicates:
    """The pairs of a data set. ``digests``: of each path, one and the same where images are the same; ``seen``: those
    that ``near`` numbers; pairs of one that no path has any more are left out.
    """
    placed = _placed(dataset)
    holders: dict[str, list[Copy]] = {}
    for part, sample in placed:
        if digest := digests.get(sample.path):
            holders.setdefault(digest, []).append(Copy(sample.path, part, dataset.classes[sample.label]))
    exact = [Pair(first, other, True) for first, *others in holders.values() for other in others]
    alike = [
        Pair(*_most_telling(holders[seen[one]], holders[seen[other]]), False, bits)
        for (one, other), bits in zip(near.pairs.tolist(), near.bits.tolist(), strict=True)
        if seen[one] in holders and seen[other] in holders
    ]
    place = {digest: number for number, digest in enumerate(seen)}
    spots = [digests.get(sample.path, "") for _, sample in placed]
    parts = [part for part, _ in placed]
    val_copies, test_copies = _elsewhere(parts, spots, {})
    val_all, test_all = _elsewhere(parts, *_looking_alike([place.get(spot, spot) for spot in spots], near))
    return Duplicates(
        exact=tuple(sorted(exact, key=_order)),
        near=tuple(sorted(alike, key=_order)),
        val_copies=val_copies,
        test_copies=test_copies,
        within=near.within,
        all=near.all,
        val_alike=val_all - val_copies,
        test_alike=test_all - test_copies,
    )


def _placed(dataset: DataSet) -> list[tuple[Part, Sample]]:
    parts: tuple[tuple[Part, tuple[Sample, ...]], ...] = (
        ("train", dataset.train),
        ("val", dataset.val),
        ("test", dataset.test),
    )
    return [(part, sample) for part, samples in parts for sample in samples]


def _most_telling(ones: Sequence[Copy], others: Sequence[Copy]) -> tuple[Copy, Copy]:
    """Of all copies of two images the two that differ most: in label, then in part."""
    pairs = product(_one_of_each_kind(ones), _one_of_each_kind(others))  # there may be thousands of copies
    return max(pairs, key=lambda both: (both[0].label != both[1].label, both[0].part != both[1].part))


def _one_of_each_kind(copies: Sequence[Copy]) -> Iterable[Copy]:
    """The first of each label and part."""
    kinds: dict[tuple[str, Part], Copy] = {}
    for one in copies:
        kinds.setdefault((one.label, one.part), one)
    return kinds.values()


def _order(pair: Pair) -> tuple[bool, bool, int, str, str]:
    return not pair.conflict, not pair.across, pair.bits, pair.first.path, pair.second.path


def _looking_alike(spots: Sequence[Spot], near: NearPairs) -> tuple[list[Spot], dict[Spot, set[Spot]]]:
    """The spots with one for all images of one hash, which stand for each other, and those that look like each."""
    pairs = near.pairs.tolist()
    same = {other: one for (one, other), bits in zip(pairs, near.bits.tolist(), strict=True) if not bits}
    beside: dict[Spot, set[Spot]] = {}
    for pair in pairs:
        one, other = (same.get(number, number) for number in pair)
        beside.setdefault(one, set()).add(other)
        beside.setdefault(other, set()).add(one)
    return [same.get(spot, spot) if isinstance(spot, int) else spot for spot in spots], beside


def _elsewhere(parts: Sequence[Part], spots: Sequence[Spot], beside: Mapping[Spot, set[Spot]]) -> tuple[int, int]:
    """Validation images with another on their spot, or beside it, in training; test images with one in training or
    validation. An empty spot is none.
    """
    parts_at: dict[Spot, set[Part]] = {}
    for part, spot in zip(parts, spots, strict=True):
        if spot != "":
            parts_at.setdefault(spot, set()).add(part)
    counts = {"val": 0, "test": 0}
    for part, spot in zip(parts, spots, strict=True):
        if part == "train" or spot == "":
            continue
        around = set[Part]().union(*(parts_at.get(one, ()) for one in {spot, *beside.get(spot, ())}))
        counts[part] += bool(around & ({"train"} if part == "val" else {"train", "val"}))
    return counts["val"], counts["test"]
