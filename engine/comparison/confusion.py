"""Confusion matrices, and the pairs of classes that are confused most. Imports without numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from engine.comparison.columns import Column, scored
from engine.comparison.measured_parts import PART_WORDS, MeasuredPart

if TYPE_CHECKING:
    from engine.comparison.scores import Scores

LARGEST = 6
"""Classes of which the whole matrix is shown; of more, the pairs that are confused most."""
MOST_PAIRS = 6


class Cell(NamedTuple):
    """A cell of a confusion matrix: images of the class ``true`` that were taken for ``predicted``."""

    true: str
    predicted: str


class Confused(Struct, frozen=True):
    """Images of the class ``true`` that were taken for ``predicted``; ``images``: how many, ``of``: of how many."""

    true: str
    predicted: str
    images: int
    of: int

    @property
    def cell(self) -> Cell:
        """The cell of the matrix that counts these images."""
        return Cell(self.true, self.predicted)


class Matrix(Struct, frozen=True):
    """Images by true class (row) and predicted class (column), added up over a column's ``runs``, those of which it
    is known.
    """

    column: Column
    part: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    runs: int

    @property
    def confused(self) -> tuple[Confused, ...]:
        """The pairs of classes that are confused, the largest share of the true class first."""
        return confused(self.classes, self.counts)

    @property
    def most_confused(self) -> tuple[Confused, ...]:
        """The first few of them."""
        return self.confused[:MOST_PAIRS]


def confused(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> tuple[Confused, ...]:
    """The pairs of classes that are confused, by images of a true class (row) and a predicted one (column), the largest
    share of the true class first.
    """
    found = [
        Confused(classes[true], classes[predicted], images, of)
        for true, (row, of) in enumerate(zip(counts, map(sum, counts), strict=True))
        for predicted, images in enumerate(row)
        if images and predicted != true
    ]
    return tuple(sorted(found, key=lambda one: -one.images / one.of))


def matrices(shown: Sequence[Column]) -> tuple[Matrix, ...]:
    """A confusion matrix a column that has one: of the test part where every run was tested, else of validation."""
    part, by_column = scored(shown)
    return tuple(matrix(column, part, known) for column, known in zip(shown, by_column, strict=True) if known)


def matrix(column: Column, part: MeasuredPart, known: Sequence[Scores]) -> Matrix:
    """The confusion matrix of a column of whose runs these scores, of that part, are known."""
    return Matrix(column, PART_WORDS[part], tuple(one.name for one in known[0].classes), _sum(known), len(known))


def _sum(scores: Sequence[Scores]) -> tuple[tuple[int, ...], ...]:
    if len(scores) == 1:
        return scores[0].confusion
    rows = zip(*(one.confusion for one in scores), strict=True)
    return tuple(tuple(map(sum, zip(*row, strict=True))) for row in rows)
