"""Every backbone on every rung, reached with keys; and strategies in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.specs.presets import on_rung, presets, rungs
from engine.specs.spec import DataSource
from engine.specs.strategy import LBFGS, SGD, AdamW, Constant, StepLR, changed_strategy, settings
from engine.states.state import RunState
from tests.tui.conftest import text_of, until
from tests.tui.test_setup import SIZES, App, post, settled, typed
from tui.cli import status
from tui.drawing import curves
from tui.screens.add_strategy import AddStrategy, no_backbone
from tui.widgets.strategy_form import with_value
from tui.widgets.strategy_list import StrategyList
from tui.words.strategies import described, rates, what_trains


@pytest.fixture
def images(image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSource:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    image_folder("ants-bees")
    return DataSource(path="ants-bees")


async def test_any_backbone_on_any_rung_is_added_with_keys(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("a")
        await pilot.pause()
        assert isinstance(app.screen, AddStrategy)
        for rung in rungs().values():
            assert rung.name in text_of(app)
            assert rung.about in text_of(app), "whole, also at 80 columns"
        await pilot.press("end", *("backspace",) * 8, *"vit_b_16")
        await pilot.press("tab", "end", "up", "up", "up")
        assert "Add vit_b_16-bn" in text_of(app)
        await pilot.press("enter")
        await pilot.pause()
        chosen = app.setup.strategies.chosen
        assert chosen[-1] == app.setup.strategies.current == on_rung("vit_b_16", "bn")
        await pilot.press("ctrl+r")
        assert app.started[0].strategies == (*presets().values(), on_rung("vit_b_16", "bn"))
        await pilot.press("a", "down", *"resnet34", "down", "enter")
        await pilot.pause()
        added = app.setup.strategies.current
        assert added == on_rung("resnet34", tuple(rungs())[2]), "letters are the backbone, arrows the rung"


async def test_in_the_smallest_window_a_mistake_is_explained_beside_all_rungs_and_keys(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=(60, 16)) as pilot:
        await settled(pilot)
        await pilot.press("a")
        assert "Add resnet18-probe" in text_of(app)
        for name, explained in (
            ("wide_resnet1", "tab completes wide_resnet101_2"),
            ("resnet99", "did you mean resnet"),
        ):
            await typed(pilot, name)
            inside = [line.split("│")[1] for line in text_of(app).splitlines() if line.count("│") > 1]
            said = " ".join(" ".join(inside).split())
            assert "! not a torchvision model;" in said and explained in said
            assert all(rung in said for rung in rungs())
            assert "enter add · esc cancel" in text_of(app)


async def test_what_was_added_can_be_removed_and_nothing_else(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        strategies = app.setup.strategies
        for rung in ("probe", "bn"):
            strategies.add(on_rung("resnet50", rung))
        await pilot.press("up")
        await pilot.pause()
        assert "del Remove" in text_of(app)
        await pilot.press("delete")
        await pilot.pause()
        assert strategies.chosen == (*presets().values(), on_rung("resnet50", "bn"))
        assert app.setup.form.strategy == strategies.current == list(presets().values())[-1]
        assert "3 runs" in text_of(app) and "del Remove" not in text_of(app)
        await pilot.press("delete", "down", "backspace", "backspace", "backspace")
        assert strategies.chosen == tuple(presets().values())
        strategies.add(on_rung("resnet50", "probe"))
        assert strategies.current == on_rung("resnet50", "probe")
        for rung in ("bn", "last-stage"):
            strategies.add(on_rung("resnet50", rung))
        await pilot.pause()
        for _ in range(3):  # keys that arrive together
            strategies.action_remove()
        await pilot.pause()
        assert list(strategies.strategies) == list(presets())
        assert app.setup.form.strategy == strategies.current


async def test_a_duplicate_is_a_strategy_of_its_own(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("d")
        await pilot.pause()
        strategies, first = app.setup.strategies, next(iter(presets().values()))
        assert strategies.current is not None
        strategies.put(with_value(strategies.current, "epochs", 7))
        await pilot.press("d", "d")
        await pilot.pause()
        second, third, fourth = strategies.chosen[-3:]
        assert [one.name for one in (second, third, fourth)] == [f"{first.name}-v{number}" for number in (2, 3, 4)]
        assert second.epochs == third.epochs == fourth.epochs == 7 != first.epochs == strategies.chosen[0].epochs
        assert strategies.current == fourth and strategies.is_changed(second) and not strategies.is_changed(fourth)
        assert "5 runs" in text_of(app)
        await pilot.press("delete")
        assert strategies.chosen[-1] == third


async def test_what_is_there_already_is_ticked_and_of_what_is_typed_only_models_are_added(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("space", "a", "down", "down", "enter")
        await pilot.pause()
        names = [one.name for one in app.setup.strategies.chosen]
        assert names == list(presets())
        await until(pilot, lambda: len(app._notifications) > 0)
        (said,) = app._notifications
        assert said.message == "resnet18-finetune is in the list already; d duplicates it."
        await pilot.press("a", "escape")
        await pilot.pause()
        assert list(app.setup.strategies.strategies) == list(presets())
        await pilot.press("a", "home", "X", "enter")
        assert "not a torchvision model" in text_of(app)
        assert isinstance(app.screen, AddStrategy)
        await typed(pilot, "resnet99")
        assert "! not a torchvision model; did you mean resnet" in text_of(app)
        await pilot.press("enter")
        assert isinstance(app.screen, AddStrategy)
        await typed(pilot, "resnet5")
        assert "! not a torchvision model; tab completes resnet50" in text_of(app)
        await typed(pilot, "wide_resnet1")
        await until(pilot, lambda: getattr(app.focused, "_suggestion", "") == "wide_resnet101_2")
        await pilot.press("right", "enter")
        await pilot.pause()
        assert app.setup.strategies.chosen[-1] == on_rung("wide_resnet101_2", "probe")


async def test_tab_takes_the_name_wherever_the_hint_stands_and_else_goes_on(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await post(pilot, "a", *"shufflenet_v2_x1", "tab", "x")  # together, before anything can be suggested
        assert isinstance(window := app.screen, AddStrategy)
        assert window.backbone.value == "shufflenet_v2_x1_0x"
        for rest in ("", "X1"):  # what is suggested tells capital letters apart, the hint does not
            await typed(pilot, f"shufflenet_v2_{rest}")
            await pilot.press("shift+tab")
            assert app.focused is window.rungs and "tab completes shufflenet_v2_x" in text_of(app)
            await pilot.press("tab")
            assert app.focused is window.rungs and "Add shufflenet_v2_x" in text_of(app)
            await pilot.press("tab")
            assert app.focused is window.backbone and "tab completes" not in text_of(app)
        await typed(pilot, "resnet99")
        await pilot.press("tab")
        assert app.focused is window.rungs and window.backbone.value == "resnet99"


def test_any_name_that_may_be_a_model_is_taken_where_none_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert no_backbone("resnet99")
    monkeypatch.setattr("engine.models.names.model_names", lambda: ())
    assert not no_backbone("resnet99")
    assert no_backbone("a model")


async def test_the_parameters_are_those_of_the_kinds_that_were_chosen(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        form = app.setup.form

        def displayed() -> set[str]:
            return {key for key, field in form.fields.items() if field.display}

        async def chosen(key: str, *keys: str) -> None:
            form.fields[key].control.focus()
            await pilot.press(*keys)

        assert {"schedule.step_size", "schedule.gamma", "layer_decay"} < displayed()
        assert "augmentation.views" not in displayed()
        await chosen("schedule.name", "enter", "end", "enter")
        assert form.strategy.schedule == Constant()
        assert not {"schedule.step_size", "schedule.gamma"} & displayed()
        await chosen("schedule.name", "enter", "home", "enter")
        assert form.strategy.schedule == StepLR()
        assert "schedule.gamma" in displayed() and "augmentation.views" not in displayed()

        await chosen("class_weights", "enter", "end", "enter")
        assert form.strategy.class_weights == "balanced"
        await chosen("trains", "enter", "end", "enter")
        assert form.strategy.trains == "head" and "augmentation.views" in displayed()
        form.fields["augmentation.views"].control.focus()
        await typed(pilot, "0")
        assert "! at least 1" in text_of(app)
        await typed(pilot, "4")
        assert form.strategy.augmentation.views == 4
        await chosen("trains", "enter", "home", "enter")
        assert form.strategy.trains == "all" and "augmentation.views" not in displayed()

        await chosen("optimizer.name", "space", "down", "enter")
        assert form.strategy.optimizer == AdamW(lr=1e-3)
        assert "optimizer.momentum" not in displayed()
        await chosen("optimizer.name", "space", "end", "enter")
        assert form.strategy.is_probe
        assert form.strategy.trains == "head"
        assert {"optimizer.l2", "optimizer.folds", "class_weights"} < displayed()
        assert not displayed() & {"epochs", "batch_size", "optimizer.lr", "schedule.name", "layer_decay", "head"}
        form.fields["optimizer.l2"].control.focus()
        await typed(pilot, "0.1 x")
        assert "! a number" in text_of(app)
        await typed(pilot, "0.1, 0.01")
        assert form.strategy.optimizer == LBFGS(l2=(0.1, 0.01))
        await chosen("trains", "enter", "home", "enter")
        assert isinstance(form.strategy.optimizer, SGD)
        assert "epochs" in displayed()
        assert form.strategy.epochs == 5
        await pilot.press("ctrl+r")
    assert app.started[0].strategies[0] == form.strategy and form.strategy.trains == "all"


def test_what_trains_stands_in_a_column_and_only_what_was_changed_has_a_star() -> None:
    probe, tuned = on_rung("resnet18", "probe"), on_rung("resnet18", "extract")
    chosen = [changed_strategy(one, epochs=6) for one in (probe, tuned)]
    lines = [prompt.plain for prompt in StrategyList(presets(), chosen)._prompts().values()]
    assert "resnet18-probe " in lines[-2], "a probe has no epochs"
    assert "resnet18-extract* " in lines[-1]
    at = {line.index(words) for line in lines for words in ("every layer", "last layer") if words in line}
    assert len(lines) == 4 and len(at) == 1
    assert all(line.startswith("[x]" if "-probe" in line or "-extract*" in line else "[ ]") for line in lines)


def test_values_that_belong_together_change_together() -> None:
    tuned = presets()["resnet18-finetune"]
    probe = with_value(tuned, "optimizer.name", "LBFGS")
    assert (probe.is_probe, probe.trains, probe.epochs) == (True, "head", 1)
    assert settings(probe)["optimizer.folds"] == 5
    assert with_value(probe, "optimizer.name", "AdamW").epochs == 5
    assert with_value(probe, "trains", "last-stage").learning_rate == 1e-3
    assert with_value(tuned, "layer_decay", 0.5).layer_decay == 0.5


def test_classes_that_count_alike_are_told() -> None:
    plain = presets()["resnet18-finetune"]
    assert ("class weights", "balanced") in described(changed_strategy(plain, class_weights="balanced"))
    assert "class weights" not in dict(described(plain))


def test_strategies_in_words() -> None:
    said = {rung: what_trains(on_rung("resnet18", rung)) for rung in rungs()}
    assert said == {
        "probe": "last layer (probe)",
        "extract": "last layer",
        "finetune": "every layer",
        "bn": "norm layers",
        "last-stage": "last stage",
        "lpft": "every layer, head init: probe",
        "layerwise": "every layer, layer decay 0.5",
    }
    assert rates(()) == ""
    assert rates((1e-3, 5e-4, 3.125e-5)) == "3 learning rates: 0.001 for the head down to 3.1e-05"


def test_the_chart_of_rates_says_whose_they_are() -> None:
    layered = RunState("r", on_rung("resnet18", "layerwise"), 0, learning_rates=(1e-3,), stage_rates=(1e-3, 5e-4))
    assert curves.learning_rate(layered).title == "head learning rate"
    probe = RunState("r", on_rung("resnet18", "probe"), 0)
    assert "L-BFGS" in curves.learning_rate(probe).empty
    assert what_trains(probe.strategy) == "last layer (probe)"


def test_presets_lists_the_ladder_and_how_to_name_a_strategy(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["presets"]) == 0
    printed = capsys.readouterr().out
    for rung in rungs().values():
        assert rung.about in printed
    assert "BACKBONE-RUNG" in printed
    assert all(name in printed for name in presets())


def test_a_rate_for_all_leaves_the_probe_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("tui.commands.run.run_headless", lambda asked, *_args, **_values: started.append(asked) or 0)
    names = ["-s", "resnet50-probe", "-s", "resnet50-lpft", "--lr", "0.5", "--epochs", "3"]
    assert status(["run", str(tmp_path), *names]) == 0
    probe, tuned = started[0].strategies
    assert probe == on_rung("resnet50", "probe")
    assert tuned == changed_strategy(on_rung("resnet50", "lpft"), epochs=3, optimizer={"lr": 0.5})
