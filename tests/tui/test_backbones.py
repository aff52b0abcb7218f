"""What is said of a backbone where one is chosen: its size, and where its weights are."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.models import weights
from engine.models.backbones import default_weights
from engine.models.weight_files import default_files, hub_cache, is_here
from engine.models.weights import FoundWeights
from engine.specs.presets import named, presets
from engine.specs.spec import DataSource, changed, default_experiment
from tests.tui.conftest import text_of, until
from tests.tui.test_setup import SIZES, App, settled, typed
from tui.screens.add_strategy import AddStrategy
from tui.work.backbones import BackboneQuery, facts

FILE = default_weights("resnet18").url.rpartition("/")[2]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return hub_cache()


async def opened(pilot: Pilot[None], app: App) -> None:
    await settled(pilot)
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.screen, AddStrategy))


@pytest.fixture
def app(image_folder: Callable[..., Path], hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    data = DataSource(path=str(image_folder()))
    return App(experiment=changed(default_experiment(presets()), data=data))


def test_where_weights_are_is_said_of_the_choice_in_setup(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = facts(BackboneQuery("resnet18", "default"))
    assert said.size == "11.7 M parameters with ImageNet's last layer, images of 224 × 224"
    assert said.weights.startswith("weights: torchvision IMAGENET1K_V1, not here yet: download") and not said.problem
    assert facts(BackboneQuery("resnet18", "none")).weights == "weights: none (random initialisation)"
    for folder in (hub, tmp_path / "folder"):
        folder.mkdir(parents=True)
    assert f"no {FILE} in this folder" in facts(BackboneQuery("resnet18", str(tmp_path / "folder"))).problem
    (tmp_path / "folder" / FILE).write_bytes(b"other")
    assert "damaged" in facts(BackboneQuery("resnet18", str(tmp_path / "folder"))).problem
    (hub / FILE).write_bytes(b"other")
    assert "is damaged" in facts(BackboneQuery("resnet18", "default")).weights
    monkeypatch.setattr(weights, "sha256_of", lambda path: FILE.removesuffix(".pth").rpartition("-")[2] + 56 * "0")
    (hub / FILE).write_bytes(b"whole")
    assert facts(BackboneQuery("resnet18", "default")).weights == "weights: torchvision IMAGENET1K_V1, torch hub cache"
    assert "no such file" in facts(BackboneQuery("resnet18", str(tmp_path / "nowhere"))).problem
    assert "no classification model 'resnet17'; did you mean" in facts(BackboneQuery("resnet17", "none")).problem


@pytest.mark.parametrize("size", SIZES)
async def test_it_follows_what_is_typed_and_the_weights_in_setup(app: App, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: "11.7 M parameters with ImageNet's last layer, images of 224 × 224" in text_of(app))
        assert "not here yet: download" in text_of(app)
        await typed(pilot, "vit_b_16")
        await until(pilot, lambda: "86.6 M parameters" in text_of(app))
        await typed(pilot, "vit_b_1")
        assert "parameters with" not in text_of(app)
        await pilot.press("escape")
        app.setup.options.weights.focus()
        await typed(pilot, "none")
        await pilot.press("escape", "a")
        await until(pilot, lambda: "weights: none (random initialisation)" in text_of(app))
        await pilot.press("escape")
        app.setup.options.weights.focus()
        await typed(pilot, "/nowhere")
        await pilot.press("escape", "a")
        await until(pilot, lambda: "! /nowhere: no such file or folder" in text_of(app))


async def test_a_large_file_that_is_checked_holds_up_no_key_and_only_the_latest_is_told(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    asked: list[str] = []

    def find(backbone: str, choice: str) -> FoundWeights:
        asked.append(backbone)
        if backbone == "resnet18":
            begun.set()
            may_end.wait(60)
        return FoundWeights(None, f"found of {backbone}")

    monkeypatch.setattr(weights, "find", find)
    try:
        async with app.run_test(size=SIZES[0]) as pilot:
            await opened(pilot, app)
            assert await asyncio.to_thread(begun.wait, 30)
            assert "looking for weights" in text_of(app)
            for name in ("resnet34", "resnet50"):
                await typed(pilot, name)
                assert f"Add {name}-probe" in text_of(app)
            may_end.set()
            await until(pilot, lambda: "weights: found of resnet50" in text_of(app))
            assert asked == ["resnet18", "resnet50"], "what was typed in between is not looked for"
            may_end.clear()
            await typed(pilot, "resnet18")
            await pilot.press("escape")
            assert app.screen is app.setup
    finally:
        may_end.set()


@pytest.mark.parametrize("size", SIZES)
async def test_a_ticked_strategy_whose_weights_are_not_here_says_so(
    app: App, hub: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    hub.mkdir(parents=True)
    (hub / FILE).touch()
    resnet, mobilenet = presets()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await until(pilot, lambda: f"[x] {mobilenet}  to download" in text_of(app))
        assert text_of(app).count("to download") == 1 and f"[x] {resnet} " in text_of(app)
        await pilot.press("down", "space")
        assert "to download" not in text_of(app), "it is not asked for"
        app.setup.strategies.add(named("wide_resnet101_2-last-stage", {}))
        await until(pilot, lambda: "to download" in text_of(app))
        assert re.search(r"\[x\] wide_\S+ +to download", text_of(app)), "also where the name has to be cut"
        app.setup.options.weights.focus()
        await typed(pilot, "none")
        await until(pilot, lambda: "to download" not in text_of(app))
        await typed(pilot, str(hub))
        await until(pilot, lambda: re.search(r"wide_\S+ +no weights", text_of(app)) is not None)
        (hub / default_files()["wide_resnet101_2"]).touch()
        await pilot.press("escape", "4")
        await until(pilot, lambda: app.current_mode == "runs")
        await pilot.press("1")
        await until(pilot, lambda: "no weights" not in text_of(app))


async def test_a_disk_that_does_not_answer_holds_up_no_key(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    def found(backbone: str, choice: str) -> bool:
        return may_end.wait(60) and is_here(backbone, choice)

    monkeypatch.setattr("tui.work.backbones.is_here", found)
    try:
        async with app.run_test(size=SIZES[0]) as pilot:
            await settled(pilot)
            await pilot.press("space")
            assert text_of(app).count("[x]") == 1 and "to download" not in text_of(app)
            may_end.set()
            await until(pilot, lambda: "to download" in text_of(app))
    finally:
        may_end.set()
