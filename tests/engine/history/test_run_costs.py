"""What earlier runs took, from the logs in a folder of experiments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine import cache
from engine.history import run_costs
from engine.history.run_costs import earlier_costs
from engine.logs.folder import EVENTS
from engine.specs.strategy import Strategy
from tests.engine.known_costs import DATA, log
from tests.tui import logs

TUNED, EXTRACTED = Strategy("tuned"), Strategy("extracted", trains="head")


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """A cache of the test's own; what puts something there."""
    monkeypatch.setenv("TL_TUI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TL_TUI_CACHE_GIB", raising=False)
    return lambda: cache.remember("decoded", "0" * 40, "x", 1, lambda folder: (folder / "x").write_bytes(b"x"))


def test_the_newest_come_first_and_what_cannot_be_read_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "runs"
    logs.write(out / "a-20260101-000000", log(TUNED))
    logs.write(out / "a-20260103-000000", log(EXTRACTED, seeds=(0, 1)))
    (out / "a-20260102-000000" / EVENTS).mkdir(parents=True)
    (out / "a-20260104-000000").mkdir()
    (out / "a-20260104-000000" / EVENTS).write_bytes(b'{"event":"ExperimentStarted"\n\xff\n' * 3)
    assert [cost.strategy.name for cost in earlier_costs(out)] == ["extracted", "extracted", "tuned"]
    monkeypatch.setattr(run_costs, "NEWEST", 3)
    assert [cost.strategy.name for cost in earlier_costs(out)] == ["extracted", "extracted"]
    assert earlier_costs(tmp_path / "nowhere") == []


def test_nothing_is_found_again_in_a_cache_that_is_empty_or_not_wanted(
    tmp_path: Path, kept: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.write(tmp_path / "runs" / "a-20260101-000000", log(TUNED))

    def path() -> str:
        [cost] = earlier_costs(tmp_path / "runs")
        return cost.data.path

    assert path() == ""
    kept()
    assert path() == DATA.path
    monkeypatch.setenv("TL_TUI_CACHE_GIB", "0")
    assert path() == ""
    monkeypatch.setenv("TL_TUI_CACHE_GIB", "much")
    assert path() == ""  # the experiment will say so
