"""The benchmark of what bounds training, on small work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import bounds
from engine.specs.presets import presets
from engine.specs.spec import Arithmetic
from engine.specs.strategy import changed_strategy


@pytest.mark.parametrize("precision", bounds.PRECISIONS)
def test_a_step_is_timed_and_its_convolutions_counted(precision: Arithmetic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PIXELS", 32)
    small = {bounds.STRATEGY: changed_strategy(presets()[bounds.STRATEGY], batch_size=2)}
    monkeypatch.setattr(bounds, "presets", lambda: small)
    step = bounds.step(precision)
    assert 20 < step.share < 100
    assert step.milliseconds > 0
    assert 0 < step.forward < 10_000
    assert 0 < step.backward < 10_000


@pytest.mark.parametrize("precision", bounds.PRECISIONS)
def test_passes_forward_are_timed_by_the_images_at_once(precision: Arithmetic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PIXELS", 32)
    monkeypatch.setattr(bounds, "AT_ONCE", (1, 2))
    found = bounds.forward_only(precision)
    assert set(found) == {(backbone, at_once) for backbone in bounds.FORWARD_ONLY for at_once in (1, 2)}
    assert all(milliseconds > 0 for milliseconds in found.values())


def test_products_and_decoding_are_timed(monkeypatch: pytest.MonkeyPatch, image_folder: Callable[..., Path]) -> None:
    monkeypatch.setattr(bounds, "MATRIX", 64)
    assert bounds.matrix_product("fp32") > 0
    assert bounds.decoding(image_folder()) > 0
