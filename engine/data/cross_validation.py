"""Prepared images seen as a fold of cross-validation: other parts for training and validation, the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine import cache
from engine.data.prepared import Prepared, PreparedPart

Division = Sequence[tuple[Sequence[int], Sequence[int]]]
"""For each fold the indices of its training and of its validation images in :func:`pooled`."""


def pooled(prepared: Prepared) -> PreparedPart:
    """The images that folds are made of: those of training, then those of validation. The test part stays apart."""
    train, val = prepared.train, prepared.val
    return PreparedPart(
        torch.cat((train.rows, val.rows)),
        torch.cat((train.labels, val.labels)),
        (*train.samples, *val.samples),
        (*train.unreadable, *val.unreadable),
    )


def fold_of(prepared: Prepared, division: Division, number: int) -> Prepared:
    """The images as the fold of this number, counted from 1, trains and validates on them, in file order."""
    images = pooled(prepared)
    train, val = (sorted(indices) for indices in division[number - 1])
    fingerprint = cache.key("fold", prepared.fingerprint, repr(val))
    return replace(
        prepared, train=_taken(images, train), val=_taken(images, val), fingerprint=fingerprint, pool=images.rows
    )


def _taken(part: PreparedPart, indices: list[int]) -> PreparedPart:
    index = torch.tensor(indices, dtype=torch.int64)
    return PreparedPart(part.rows[index], part.labels[index], tuple(part.samples[place] for place in indices), ())
