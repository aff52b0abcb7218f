"""A data set whose images are decoded: what runs train on and are measured on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.cached_rows import Digests
from engine.data.dataset import Sample, Unreadable
from engine.data.pixels import Pixels


@dataclass(frozen=True)
class PreparedPart:
    """The images of a part that can be read, in the order of the data set.

    ``rows``: int64 (N,), their places among the prepared images. ``labels``: int64 (N,). ``samples``: N.
    ``unreadable``: those left out.
    """

    rows: Tensor
    labels: Tensor
    samples: tuple[Sample, ...]
    unreadable: tuple[Unreadable, ...]


NO_IMAGES = PreparedPart(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), (), ())


@dataclass(frozen=True)
class Prepared:
    """A data set's images as squares, each content once.

    ``contents``: the digest of each row's file; ``recipe`` names the way from files to pixels. ``fingerprint``: a
    digest of what they show in their order, their labels and their split; the same at every size. ``test`` is empty
    where no part is set apart for it. ``pool``: the rows of all images that some run of the experiment trains on, where
    those are more than the ones of ``train``.
    """

    pixels: Pixels
    train: PreparedPart
    val: PreparedPart
    contents: Digests
    recipe: str
    fingerprint: str
    test: PreparedPart = NO_IMAGES
    pool: Tensor | None = None

    @property
    def count(self) -> int:
        """How many rows there are, those among them that cannot be read."""
        return len(self.contents)

    def copies(self, *, folded: bool) -> tuple[int, int]:
        """How many validation images, and how many test images, other parts have too; of folds, which divide training
        and validation anew, how many of these images there are more than once.
        """
        train, val = self.train.rows.tolist(), self.val.rows.tolist()
        trained, others = set(train), {*train, *val}
        in_test = sum(row in others for row in self.test.rows.tolist())
        if folded:
            return sum(count for count in Counter(train + val).values() if count > 1), in_test
        return sum(row in trained for row in val), in_test

    def conflicts(self, *, folded: bool) -> tuple[int, int]:
        """How many validation images, and how many test images, have the bytes of an image of another class, whatever
        its part; of folds, which divide training and validation anew, how many of these images do.
        """
        parts = (self.train, self.val, self.test)
        rows, labels = torch.cat([part.rows for part in parts]), torch.cat([part.labels for part in parts])
        none = torch.zeros(self.count, dtype=torch.int64)
        lowest, highest = (none.scatter_reduce(0, rows, labels, end, include_self=False) for end in ("amin", "amax"))
        train, val, test = (int((lowest != highest)[part.rows].sum()) for part in parts)
        return (train + val if folded else val), test

    def conflicting_pairs(self) -> int:
        """How many images, of all parts, have another label than the first one of the same bytes."""
        label_of: dict[int, int] = {}
        parts = (self.train, self.val, self.test)
        placed = (pair for part in parts for pair in zip(part.rows.tolist(), part.labels.tolist(), strict=True))
        return sum(label_of.setdefault(row, label) != label for row, label in placed)

    @property
    def trained(self) -> Tensor:
        """The rows of all images that some run trains on: int64."""
        return self.train.rows if self.pool is None else self.pool
