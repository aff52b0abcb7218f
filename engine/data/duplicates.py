"""The same image twice, or nearly: which pairs, whether the split parts them, whether their labels agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from msgspec import Struct

from engine.data.dataset import DataSet, Sample
from engine.data.near import NearPairs
from engine.data.splits import Part


class Picture(Struct, frozen=True):
    """An image of a pair: its absolute path, its part and the name of its class."""

    path: str
    part: Part
    label: str


class Pair(Struct, frozen=True):
    """Two images of the same bytes, or that look nearly the same: then ``bits`` of 256 differ between their hashes."""

    first: Picture
    second: Picture
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

    ``exact``: each copy, paired with the first image of the same bytes. ``near``: images that look nearly the same,
    different bytes, one pair for all copies of each. ``val_copies`` of the validation images have a copy or a nearly
    same image in training, ``test_copies`` of the test images in training or validation. ``within``: the bits of 256
    that nearly the same images may differ by, fewer where all images are alike. ``all``: whether these are
    all nearly same pairs; there may be too many to list.
    """

    exact: tuple[Pair, ...]
    near: tuple[Pair, ...]
    val_copies: int
    test_copies: int
    within: int
    all: bool = True

    @property
    def conflicts(self) -> int:
        """Pairs with two labels."""
        return sum(pair.conflict for pair in (*self.exact, *self.near))

    @property
    def across(self) -> int:
        """Pairs whose images are in different parts."""
        return sum(pair.across for pair in (*self.exact, *self.near))

    @property
    def harmless(self) -> int:
        """Pairs of one label within one part: to the split they do no harm, but they count twice."""
        return sum(not pair.across and not pair.conflict for pair in (*self.exact, *self.near))


def duplicates(dataset: DataSet, digests: Mapping[str, str], seen: Sequence[str], near: NearPairs) -> Duplicates:
    """The pairs of a data set. ``digests``: of each path's bytes; ``seen``: the digests that ``near`` numbers."""
    placed = _placed(dataset)
    holders: dict[str, list[Picture]] = {}
    for part, sample in placed:
        if digest := digests.get(sample.path):
            holders.setdefault(digest, []).append(Picture(sample.path, part, dataset.classes[sample.label]))
    exact = [Pair(first, other, True) for first, *others in holders.values() for other in others]
    alike = [
        Pair(*_most_telling(holders[seen[one]], holders[seen[other]]), False, bits)
        for (one, other), bits in zip(near.pairs.tolist(), near.bits.tolist(), strict=True)
    ]
    val_copies, test_copies = _copies(placed, digests, seen, near)
    return Duplicates(
        exact=tuple(sorted(exact, key=_order)),
        near=tuple(sorted(alike, key=_order)),
        val_copies=val_copies,
        test_copies=test_copies,
        within=near.within,
        all=near.all,
    )


def _placed(dataset: DataSet) -> list[tuple[Part, Sample]]:
    parts: tuple[tuple[Part, tuple[Sample, ...]], ...] = (
        ("train", dataset.train),
        ("val", dataset.val),
        ("test", dataset.test),
    )
    return [(part, sample) for part, samples in parts for sample in samples]


def _most_telling(ones: Sequence[Picture], others: Sequence[Picture]) -> tuple[Picture, Picture]:
    """Of all copies of two images the two that differ most: in label, then in part."""
    pairs = product(_one_of_each_kind(ones), _one_of_each_kind(others))  # there may be thousands of copies
    return max(pairs, key=lambda both: (both[0].label != both[1].label, both[0].part != both[1].part))


def _one_of_each_kind(copies: Sequence[Picture]) -> Iterable[Picture]:
    """The first of each label and part."""
    kinds: dict[tuple[str, Part], Picture] = {}
    for one in copies:
        kinds.setdefault((one.label, one.part), one)
    return kinds.values()


def _order(pair: Pair) -> tuple[bool, bool, int, str, str]:
    return not pair.conflict, not pair.across, pair.bits, pair.first.path, pair.second.path


def _copies(
    placed: Sequence[tuple[Part, Sample]], digests: Mapping[str, str], seen: Sequence[str], near: NearPairs
) -> tuple[int, int]:
    """Validation images with a copy in training; test images with one in training or validation."""
    # Images with one and the same hash stand for each other, so they are one place here.
    place = {digest: number for number, digest in enumerate(seen)}
    same = {other: one for (one, other), bits in zip(near.pairs.tolist(), near.bits.tolist(), strict=True) if not bits}
    beside: dict[int, set[int]] = {}
    for one, other in near.pairs.tolist():
        beside.setdefault(one, set()).add(other)
        beside.setdefault(other, set()).add(one)

    def where(sample: Sample) -> int | str:
        digest = digests.get(sample.path, "")
        number = place.get(digest)
        return digest if number is None else same.get(number, number)

    parts: dict[int | str, set[Part]] = {}
    for part, sample in placed:
        if (spot := where(sample)) != "":
            parts.setdefault(spot, set()).add(part)
    counts = {"val": 0, "test": 0}
    for part, sample in placed:
        if part == "train" or (spot := where(sample)) == "":
            continue
        around: set[int | str] = {spot}
        if isinstance(spot, int):
            around |= {same.get(number, number) for number in beside.get(spot, ())}
        elsewhere = set[Part]().union(*(parts.get(one, ()) for one in around))
        counts[part] += bool(elsewhere & ({"train"} if part == "val" else {"train", "val"}))
    return counts["val"], counts["test"]
