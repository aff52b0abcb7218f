"""A fold is another view of the same prepared images."""

from __future__ import annotations

import torch

from engine.data.cross_validation import fold_of, pooled
from engine.data.splits import folds
from tests.engine.training.runs import prepared


def test_a_fold_keeps_what_belongs_together() -> None:
    images = prepared(8, 6)
    pool = pooled(images)
    assert pool.samples == (*images.train.samples, *images.val.samples)
    division = folds(pool.samples, 3, 0)
    seen = []
    for number, (train, val) in enumerate(division, start=1):
        fold = fold_of(images, division, number)
        assert fold.pixels is images.pixels
        for part, indices in ((fold.train, train), (fold.val, val)):
            assert part.rows.tolist() == sorted(indices), "in file order; row and place are the same in these images"
            assert part.labels.tolist() == [sample.label for sample in part.samples]
            assert part.samples == tuple(pool.samples[place] for place in sorted(indices))
        groups = [{sample.group for sample in part.samples} for part in (fold.train, fold.val)]
        assert not groups[0] & groups[1]
        assert torch.equal(fold.trained, pool.rows), "views of an image are drawn for all folds alike"
        seen += fold.val.rows.tolist()
    assert sorted(seen) == list(range(14))


def test_every_fold_has_a_fingerprint_of_its_own() -> None:
    images = prepared(8, 6)
    division = folds(pooled(images).samples, 3, 0)
    found = {fold_of(images, division, number).fingerprint for number in (1, 2, 3)} | {images.fingerprint}
    assert len(found) == 4
    other = folds(pooled(images).samples, 3, 1)
    assert fold_of(images, other, 1).fingerprint not in found
