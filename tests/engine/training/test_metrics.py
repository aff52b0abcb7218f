"""What is measured of many images at once."""

import pytest
import torch
from torch.nn import functional

from engine.training import metrics as module
from engine.training.metrics import evaluate


def test_many_are_measured_a_few_at_a_time_as_all_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 7, generator=random), torch.randint(7, (50,), generator=random)
    whole = evaluate(logits, labels)
    assert whole.loss == pytest.approx(float(functional.cross_entropy(logits.double(), labels)), rel=1e-12)
    seen: list[int] = []
    measure = functional.cross_entropy
    monkeypatch.setattr(module, "AT_ONCE", 7 * 20)
    monkeypatch.setattr(
        module.functional, "cross_entropy", lambda some, of: seen.append(len(some)) or measure(some, of)
    )
    pieces = evaluate(logits, labels)
    assert seen == [20, 20, 10]
    assert pieces.loss == pytest.approx(whole.loss, rel=1e-12)
    assert (pieces.accuracy, pieces.images) == (whole.accuracy, 50)
