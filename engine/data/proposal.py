"""Names that visibly share an identifier across images, read as groups: a proposal, never applied by itself.

Three ways in which people name images are tried, the clearest first: a word such as ``patient`` before a number, a
folder below the class's, and a beginning that several names share. What counts is what the names do: an identifier
has to come back in several images, be many, and not be another word for the class or the part.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from engine.data.dataset import DataSet, Sample
from engine.data.groups import below, compiled, group_in
from engine.text import shown

WORDS = (
    *("patient", "patientid", "subject", "subj", "participant", "person", "donor", "animal", "mouse", "individual"),
    *("pat", "pid", "sub", "case", "study", "exam", "specimen", "slide", "biopsy", "lesion", "plant", "tree", "nest"),
    *("video", "vid", "movie", "clip", "scene", "sequence", "seq", "series", "session", "burst", "track", "p", "s"),
)
"""What stands before an identifier, those that reach further first."""
PLACES = ("site", "center", "centre", "hospital", "clinic", "scanner", "camera", "cam", "device", "cohort", "lab")
"""What an identifier may be counted within; alone too coarse to be a group."""
LEAST_GROUPS = 4
LARGEST_SHARE = 1 / 3
LARGEST_MEAN = 200
"""Images a group, on average; more is a site or a day rather than one patient or scene."""
EXPLAINED_BY_WORD, EXPLAINED = 0.1, 0.3
"""Least share of the images that must be in groups of several."""
EXAMPLES = 3
MOST_TOKENS = 8
SEPARATORS = "-_. "
NAMES_LOOKED_AT = 3000
"""To see how they are made; what a pattern finds is then counted in all."""


class Proposal(Struct, frozen=True):
    """A pattern to find groups by: how many there would be, and how many of all ``images`` share theirs with another.

    ``examples``: some groups, and the paths below the data folder of a few of their images.
    """

    pattern: str
    groups: int
    explained: int
    images: int
    examples: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        return f"{self.groups:,} groups, shared by {self.explained:,} of {self.images:,} images"


def propose(dataset: DataSet, root: str) -> Proposal | None:
    """The pattern that names suggest, for paths below ``root``; None where they suggest none."""
    samples = (*dataset.train, *dataset.val, *dataset.test)
    names = [below(sample.path, root) for sample in samples]
    some = names[:: math.ceil(len(names) / NAMES_LOOKED_AT)]
    for pattern, least in _candidates(some):
        if proposal := _tried(pattern, names, samples, least):
            return proposal
    return None


def _candidates(names: Sequence[str]) -> Iterator[tuple[str, float]]:
    for pattern in _by_word(names):
        yield pattern, EXPLAINED_BY_WORD
    for depth in range(1, max(name.count("/") for name in names) + 1):
        folders = {name.split("/")[depth - 1] for name in names if name.count("/") >= depth}
        if sum(any(map(str.isdigit, folder)) for folder in folders) > len(folders) / 2:
            yield f"^{'[^/]+/' * (depth - 1)}([^/]+)/", EXPLAINED
    for pattern in _by_beginning(names):
        yield pattern, EXPLAINED


def _by_word(names: Sequence[str]) -> Iterator[str]:
    """``patient-(\\d+)`` for ``patient-003-view-1.png``, ``(site\\d+_case\\d+)`` for ``site1_case7_slice003.png``."""
    word = re.compile(rf"(?i)(?<![A-Za-z0-9])({'|'.join(sorted(WORDS, key=len, reverse=True))})([-_ .]?)[A-Za-z]?\d+")
    place = re.compile(rf"(?i)(?<![A-Za-z])({'|'.join(PLACES)})([-_ .]?)(?:\d+|[A-Z])(?![A-Za-z0-9])")
    seen: Counter[tuple[str, str]] = Counter()
    inside: dict[tuple[str, str], Counter[str]] = {}
    for name in names:
        stem = _stem(name)
        for found in word.finditer(stem):
            key = found[1], found[2]
            seen[key] += 1
            if within := place.search(stem, 0, found.start()):
                written = f"{_literal(within[1])}{_literal(within[2])}[A-Za-z0-9]+[-_ ./]+"
                inside.setdefault(key, Counter())[written] += 1
    order = {one: rank for rank, one in enumerate(WORDS)}
    for (one, separator), count in sorted(seen.items(), key=lambda item: (order[item[0][0].lower()], -item[1])):
        pattern = rf"{_literal(one)}{_literal(separator)}[A-Za-z]?\d+"
        if (places := inside.get((one, separator))) and places.most_common(1)[0][1] > count / 2:
            yield f"({places.most_common(1)[0][0]}{pattern})"
        letter = any(re.search(rf"(?<![A-Za-z0-9]){_literal(one + separator)}[A-Za-z]\d", name) for name in names)
        bare = rf"{_literal(one)}{_literal(separator)}"
        yield rf"(?<![A-Za-z0-9])({bare}[A-Za-z]?\d+)" if letter else _short(bare)


def _short(word: str) -> str:
    """The number after a word; a word of a letter or two must not be the end of another."""
    return rf"{word}(\d+)" if len(word) > 3 else rf"(?<![A-Za-z0-9]){word}(\d+)"


def _by_beginning(names: Sequence[str]) -> Iterator[str]:
    """``(?:^|/)(IMG_\\d+)_[^/]*$`` for ``IMG_0012_a.jpg``: what stands before each separator, the shortest first.

    Only where names are made alike: the beginning with its digits taken out comes back in a third of them.
    """
    stems = [_stem(name).rsplit("/", 1)[-1] for name in names]
    for count in range(1, MOST_TOKENS):
        shapes: Counter[str] = Counter()
        for stem in stems:
            pieces = re.split(f"([{re.escape(SEPARATORS)}]+)", stem)
            start, rest = pieces[: 2 * count - 1], pieces[2 * count - 1 :]
            if rest and all(start) and any(map(str.isdigit, "".join(start))):
                shapes["".join(map(_shape, start)) + ")" + _literal(rest[0])] += 1
        yield from (
            f"(?:^|/)({shape}[^/]*$" for shape, found in shapes.most_common(2) if found > EXPLAINED * len(stems)
        )
    yield r"(?:^|/)([A-Za-z_-]*\d+)[A-Za-z]\.[^/]*$"


def _shape(piece: str) -> str:
    """A piece of a name as a pattern: separators and words as they are, digits as digits, mixtures as both."""
    if piece.isdigit():
        return r"\d+"
    if found := re.fullmatch(r"([A-Za-z]+)(\d+)", piece):
        return rf"{found[1]}\d+" if len(found[1]) > 1 else r"[A-Za-z]\d+"
    if piece.isalpha() and len(piece) <= 2:  # a side, a view, a kind
        return "[A-Za-z]+"
    if piece.isalpha() or not any(map(str.isalnum, piece)):
        return _literal(piece)
    return r"[^/_.-]+"


def _tried(pattern: str, names: Sequence[str], samples: Sequence[Sample], least: float) -> Proposal | None:
    """The proposal, where what the pattern finds in the names looks like groups."""
    expression = compiled(pattern)
    members: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if group := group_in(expression, name):
            members.setdefault(group, []).append(index)
    shared = {group: found for group, found in members.items() if len(found) > 1}
    explained = sum(map(len, shared.values()))
    if len(shared) < LEAST_GROUPS or explained < least * len(names):
        return None
    largest, mean = max(map(len, shared.values())), explained / len(shared)
    if largest > LARGEST_SHARE * len(names) or mean > LARGEST_MEAN:
        return None
    of_class: dict[int, set[str]] = {}
    for group, found in shared.items():
        for index in found:
            of_class.setdefault(samples[index].label, set()).add(group)
    if all(len(groups) < 2 for groups in of_class.values()):  # another word for the class
        return None
    examples = sorted(shared.items(), key=lambda item: (-len({samples[i].label for i in item[1]}), item[0]))[:EXAMPLES]
    shown_examples = tuple(
        (shown(group, 60), tuple(shown(names[index], 120) for index in found[:EXAMPLES])) for group, found in examples
    )
    return Proposal(pattern, len(members), explained, len(names), shown_examples)


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def _literal(text: str) -> str:
    """The text as a pattern that finds it, readable: a space and a hyphen mean themselves outside of brackets."""
    return re.escape(text).replace(r"\-", "-").replace(r"\ ", " ")
