"""The difference of two strategies on the same images: how large, how sure, and whether this data shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.comparison.difference import PairedDifference as PairedDifference

if TYPE_CHECKING:
    from engine.comparison.predictions import Predictions


def paired_difference(
    one: Sequence[Predictions], other: Sequence[Predictions], strategies: tuple[str, str] | None = None
) -> PairedDifference | None:
    """The difference of two strategies; None where their runs are not of the same images.

    ``one``, ``other``: the runs of each, the i-th of both with the same seed and fold, on the same images.
    ``strategies``: their names, those in the runs' names where None.
    """
    raise NotImplementedError


def holm(pairs: Sequence[PairedDifference]) -> tuple[PairedDifference, ...]:
    """The pairs with ``p_adjusted`` and ``different`` corrected for how many they are."""
    raise NotImplementedError
