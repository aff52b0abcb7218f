"""What Setup plans, as a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from engine.history.summaries import Summary
from engine.logs.events import Forecast
from engine.specs.presets import on_rung
from engine.specs.spec import DataSource, Experiment, changed
from engine.specs.strategy import changed_strategy
from engine.states.forecast import DataSize
from tests.tui import logs
from tui.words.plan import plan, reached_before
from tui.work.foretelling import earlier_reader

ASKED = changed(logs.two_strategies(), data=DataSource(path="/data/ants-bees"))
TUNED, EXTRACTED = (one.name for one in ASKED.strategies)
IMAGES = DataSize("/data/ants-bees", 2, 244, 153, 0, None)


def summary(asked: Experiment, **reached: tuple[float, ...]) -> Summary:
    return Summary(Path("x"), "x", spec=asked, reached={name.replace("_", "-"): some for name, some in reached.items()})


def test_steps_time_and_earlier_accuracy_of_each_strategy() -> None:
    before = {TUNED: (0.941, 0.954)}
    said = plan(ASKED, IMAGES, Forecast({TUNED: 240.0}), before, 80).plain.splitlines()
    assert [line.split() for line in said] == [
        ["epochs", "steps", "time", "earlier", "val", "acc"],
        [TUNED, "12", "192", "4", "min", "94.1–95.4", "%", "(2)"],  # 244 images in 16 batches of 16
        [EXTRACTED, "12", "96", "–", "–"],
    ]
    folds = changed(ASKED, seeds=[0, 1], folds=5)
    said = plan(folds, IMAGES._replace(folds=5), Forecast(), {}, 80).plain.splitlines()
    assert said[1].split()[1:5] == ["10", "×", "12", "2,400"]  # 318 images in 20 batches
    odd = plan(ASKED, IMAGES._replace(train=241), Forecast(), {}, 80).plain.splitlines()
    assert odd[1].split()[:3] == [TUNED, "12", "180"]  # the last of 15 batches has 17 images, since none may have one
    probe = replace(ASKED, strategies=(on_rung("resnet18", "probe"),))
    assert plan(probe, IMAGES, Forecast(), {}, 80).plain.splitlines()[1].split()[1:] == ["–"] * 4


@pytest.mark.parametrize("width", [20, 30, 45, 58])
def test_a_plan_fits_its_width(width: int) -> None:
    many = replace(ASKED, strategies=tuple(replace(ASKED.strategies[0], name=f"三{'x' * 40}{n}") for n in range(9)))
    lines = plan(many, IMAGES, Forecast(), {}, width).plain.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(set(lines)) == len(lines) == 8 and lines[-1] == "… 3 more"


def test_only_runs_with_the_same_settings_on_the_same_data_tell_what_was_reached() -> None:
    def found(before: Experiment) -> dict[str, tuple[float, ...]]:
        return reached_before([summary(before, resnet18_finetune=(0.9,), mobilenetv3_extract=())], ASKED)

    assert found(ASKED) == {TUNED: (0.9,)}
    assert found(changed(ASKED, seeds=[1, 2], precision="fp32", weights="/weights")) == {TUNED: (0.9,)}
    for other in (
        changed(ASKED, folds=5),
        changed(ASKED, weights="none"),
        changed(ASKED, data=DataSource(path="/data/other")),
        changed(ASKED, data=DataSource(path="/data/ants-bees", test_fraction=0.2)),
        replace(ASKED, strategies=tuple(changed_strategy(one, epochs=13) for one in ASKED.strategies)),
    ):
        assert found(other) == {}, other
    assert reached_before([Summary(Path("x"), "x")], ASKED) == {}


def test_paths_may_be_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    there = changed(ASKED, data=DataSource(path=str(tmp_path / "ants")))
    before = [summary(there, resnet18_finetune=(0.9,))]
    assert reached_before(before, changed(ASKED, data=DataSource(path="ants"))) == {TUNED: (0.9,)}


def test_logs_of_earlier_experiments_are_read_again_only_where_something_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    is_empty, earlier = False, earlier_reader()
    monkeypatch.setattr("engine.cache.limit", lambda: 2**30)
    monkeypatch.setattr("engine.cache.entries", lambda: [] if is_empty else ["one"])
    logs.write(tmp_path / "a", logs.events())
    first = earlier(tmp_path)
    assert [one.name for one in first.summaries] == ["a"] and len(first.costs) == 2
    assert earlier(tmp_path).costs is first.costs
    logs.write(tmp_path / "b", logs.events())
    second = earlier(tmp_path)
    assert len(second.summaries) == 2 and len(second.costs) == 4
    assert second.costs[0].data.path
    is_empty = True  # the cache was emptied: what it held is not found again
    assert not earlier(tmp_path).costs[0].data.path


def test_devices_are_looked_for_only_where_earlier_runs_tell_of_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looked: list[None] = []
    monkeypatch.setattr("tui.work.foretelling.devices_here", lambda: looked.append(None) or [])
    earlier = earlier_reader()
    assert earlier(tmp_path).costs == [] and not looked
    logs.write(tmp_path / "a", logs.events())
    assert len(earlier(tmp_path).costs) == 2 and len(looked) == 1


def test_a_running_experiment_tells_more_once_a_run_has_finished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its log grows all the time, and no other is read again for that; what it has reached is known at once."""
    monkeypatch.setattr("engine.history.experiment_state.is_being_written", lambda _: True)
    earlier, everything = earlier_reader(), logs.events()
    logs.write(tmp_path / "a", everything)
    parts = [logs.until("EpochFinished", 2, everything), logs.until("EpochFinished", 3, everything)]
    parts += [logs.until("RunFinished", 1, everything), everything]
    found, written = [], 0
    for part in parts:
        logs.write(tmp_path / "b", part[written:])
        written = len(part)
        found.append(earlier(tmp_path))
    assert found[0].costs is found[1].costs
    assert found[0].summaries[0].reached != found[1].summaries[0].reached
    assert [len(one.costs) for one in found] == [2, 2, 3, 4]
