"""Backbones ranked in the app, before anything trains: by keys, from Setup."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from textual.pilot import Pilot

from engine.progress import WorkDone
from engine.ranking import Ranked
from engine.specs.presets import on_rung, presets
from engine.specs.spec import DataSource, changed, default_experiment
from engine.specs.strategy import Strategy
from tests.engine.training.runs import warmed_up
from tests.tui.conftest import text_of, until
from tests.tui.test_setup import SIZES, App, settled, typed
from tui.screens import ranking
from tui.screens.add_strategy import AddStrategy
from tui.screens.ranking import Ranking
from tui.work.hosting import Hosting
from tui.work.latest import Latest
from tui.work.ranking_work import RankingQuery, rank_for

SMALL, OTHER = "mobilenet_v3_small", "shufflenet_v2_x0_5"


@pytest.fixture
def images(image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tui.screens.adding.BACKBONES", (SMALL, OTHER))
    return image_folder("ants-bees")


def app_on(data: Path, weights: str = "none") -> App:
    asked = changed(default_experiment(presets()), data=DataSource(path=str(data)), weights=weights, device="cpu")
    return App(experiment=asked)


async def opened(pilot: Pilot[None], app: App) -> Ranking:
    await settled(pilot)
    await pilot.press("r")
    await until(pilot, lambda: isinstance(app.screen, Ranking))
    assert isinstance(app.screen, Ranking)
    return app.screen


async def over(pilot: Pilot[None], app: App) -> list[str]:
    await until(pilot, lambda: "esc close" in text_of(app))
    return text_of(app).splitlines()


def row(lines: list[str], start: str) -> int:
    return next(number for number, line in enumerate(lines) if line.strip(" │").startswith(start))


def words(app: App) -> str:
    """What the screen says, however it is wrapped."""
    return " ".join(text_of(app).replace("│", " ").split())


async def test_the_backbone_that_is_chosen_is_added_on_a_rung(images: Path) -> None:
    app = app_on(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        window = await opened(pilot, app)
        lines = await over(pilot, app)
        ranked = window.listing.done
        assert {one.backbone for one in ranked} == {SMALL, OTHER}
        assert ranked[0].logme is not None and ranked[1].logme is not None and ranked[0].logme >= ranked[1].logme
        assert row(lines, ranked[0].backbone) < row(lines, ranked[1].backbone)
        assert f"{ranked[0].logme:.3f}" in lines[row(lines, ranked[0].backbone)]
        assert "seconds" in lines[row(lines, "backbone")], "every column has room"
        assert "All weights are random" in " ".join(lines)
        assert f"weights of {ranked[0].backbone}: none (random initialisation)" in text_of(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, AddStrategy))
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.setup.strategies.chosen[-1] == on_rung(ranked[1].backbone, "extract")


async def test_what_has_no_weights_is_listed_last_with_why(images: Path, tmp_path: Path) -> None:
    save_file(warmed_up(OTHER), tmp_path / "mine.safetensors")
    app = app_on(images, str(tmp_path / "mine.safetensors"))
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot, app)
        lines = await over(pilot, app)
        assert row(lines, OTHER) < row(lines, f"{SMALL}  skipped: ")
        assert "All weights are random" not in text_of(app)
        await pilot.press("end")
        assert f"give a file of {SMALL}" in words(app)
        await pilot.press("escape")
        assert app.screen is app.setup and app.setup.strategies.chosen == tuple(presets().values())


async def test_a_line_says_why_without_the_folder_that_a_person_named(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    app = app_on(images, str(folder))
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot, app)
        lines = await over(pilot, app)
        assert f"{SMALL}  skipped: no mobilenet_v3_small-047dcff4.pth in this fo" in lines[row(lines, SMALL)]


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], threading.Event]:
    """Features are extracted without end: of which backbones that was begun, and that it was ended."""
    begun: list[str] = []
    ended = threading.Event()

    def extract(_store: object, _images: object, strategy: Strategy, *_rest: Any) -> Generator[WorkDone, None, Any]:
        begun.append(strategy.backbone)
        try:
            for step in range(6000):
                yield WorkDone("extracting", step, 6000, images=True)
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr("engine.ranking.extracted", extract)
    return begun, ended


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_leaving_in_the_middle_ends_the_work(
    images: Path, endless: tuple[list[str], threading.Event], key: str
) -> None:
    begun, ended = endless
    app = app_on(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: "extracting" in text_of(app) and " of 6,000" in text_of(app))
        assert "queued" in text_of(app) and not ended.is_set()
        await pilot.press(key)
        assert app._exit or app.screen is app.setup
    assert await asyncio.to_thread(ended.wait, 10)
    assert begun == [SMALL], "the next backbone was not begun"


async def test_it_can_be_opened_again(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, ...]] = []

    def rank(_data: object, backbones: tuple[str, ...], *_rest: str) -> Iterator[WorkDone | Ranked]:
        begun.append(backbones)
        while len(begun) == 1:  # until it is left
            yield WorkDone("extracting")
            time.sleep(0.01)
        yield from (made_up(backbone, 0.1) for backbone in backbones)

    monkeypatch.setattr("engine.ranking.rank", rank)
    app = app_on(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot, app)
        await until(pilot, lambda: "extracting" in text_of(app))
        await pilot.press("escape")
        window = await opened(pilot, app)
        await over(pilot, app)
        assert len(window.listing.done) == 2
        assert begun == [(SMALL, OTHER)] * 2


def test_what_was_left_before_its_turn_does_nothing(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, loaded = threading.Event(), list[object]()
    left.set()
    monkeypatch.setattr("tui.work.ranking_work.load_for_backbones", lambda: loaded.append(True))
    asked = RankingQuery(DataSource(path=str(images)), (SMALL,), "none", "cpu", loaded.append, left)
    assert rank_for(asked) == "" and not loaded


async def test_data_that_cannot_be_used_are_not_ranked(images: Path) -> None:
    app = app_on(images / "nowhere")
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("r")
        assert app.screen is app.setup and "the data cannot be used" in text_of(app)
        await pilot.press("slash")
        await typed(pilot, str(images))
        await settled(pilot)
        await pilot.press("escape")
        shutil.rmtree(images)
        await pilot.press("r")
        await over(pilot, app)
        assert "no such file or folder" in words(app)
        assert text_of(app).count("not ranked") == 2
        await pilot.press("q")
        assert app.screen is app.setup


async def test_a_device_that_is_not_there_is_told_in_a_line(images: Path) -> None:
    app = app_on(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        app.setup.options.device.focus()
        await typed(pilot, "cuda:99")
        await pilot.press("escape", "r")
        await over(pilot, app)
        assert "! device: " in text_of(app)


async def test_it_is_refused_beside_an_experiment_and_with_weights_that_are_not_there(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_on(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        with monkeypatch.context() as patch:
            patch.setattr(Hosting, "is_training", True)
            await pilot.press("r")
            assert app.screen is app.setup
            assert "an experiment is already running; stop it first" in text_of(app)
        app.setup.options.weights.focus()
        await typed(pilot, "/nowhere/at/all")
        await pilot.press("escape", "r")
        assert app.screen is app.setup and "! weights: no such path" in text_of(app)


def made_up(backbone: str, logme: float) -> Ranked:
    return Ranked(
        backbone=backbone, logme=logme, accuracy=0.9 + logme / 9, loss=0.2 - logme / 9, features=1024,
        parameters=11_200_000, seconds=12.34, weights="torchvision IMAGENET1K_V1, torch hub cache",
    )  # fmt: skip


@pytest.fixture
def halfway(images: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[App], Any]]:
    """Opens the window on a ranking that stands still in the middle."""
    names = ("resnet18", "resnet50", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny")
    monkeypatch.setattr("tui.screens.adding.BACKBONES", names)
    why = "no pretrained weights for resnet50: download: no answer. Put resnet50.pth into [b]/x[/b], or say where it is"
    may_end = threading.Event()

    def half(asked: RankingQuery) -> str:
        first, skipped = made_up("resnet18", -0.103), Ranked(backbone="resnet50", skipped=why)
        asked.tell((first,))
        asked.tell((first, skipped))
        asked.tell((made_up("mobilenet_v3_large", 0.224), first, skipped))
        asked.tell(WorkDone("efficientnet_b0: every image once", 1000, 3970, images=True))
        may_end.wait(60)
        return ""

    monkeypatch.setattr(ranking, "working", Latest(half, "half"))

    async def open_(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app, App)
        await opened(pilot, pilot.app)
        await until(pilot, lambda: "every image once 1,000 of 3,970" in text_of(pilot.app))

    yield open_
    may_end.set()


async def test_the_cursor_is_on_the_best_until_it_is_moved_then_stays(
    images: Path, halfway: Callable[[Pilot[None]], Any]
) -> None:
    app = app_on(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await halfway(pilot)
        listing = app.screen.query_one(ranking.RankingList)
        assert ranking.backbone_of(listing.current) == "mobilenet_v3_large"
        await pilot.press("down")
        listing.take((made_up("efficientnet_b0", 0.5), *listing.done))
        await pilot.pause()
        assert "convnext_tiny       starting" in text_of(app), "nothing of the one before"
        assert listing.cursor == 2 and ranking.backbone_of(listing.current) == "resnet18"
        await pilot.press("end")
        assert "[b]/x[/b], or say where it is" in words(app), "whole, below the list, and no markup"


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
def test_ranking_looks_right(
    snap_compare: Callable[..., bool], images: Path, halfway: Callable[[Pilot[None]], Any], size: tuple[int, int]
) -> None:
    assert snap_compare(app_on(images, "default"), terminal_size=size, run_before=halfway)


def test_ranking_in_ascii_without_colour(
    snap_compare: Callable[..., bool],
    images: Path,
    halfway: Callable[[Pilot[None]], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TL_TUI_ASCII", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app_on(images, "default"), terminal_size=SIZES[0], run_before=halfway)


async def test_columns_that_have_no_room_go_and_all_lines_stay(
    images: Path, halfway: Callable[[Pilot[None]], Any]
) -> None:
    app = app_on(images)
    async with app.run_test(size=(60, 16)) as pilot:
        await halfway(pilot)
        lines = text_of(app).splitlines()
        assert "probe accuracy" in lines[row(lines, "backbone")] and "seconds" not in lines[row(lines, "backbone")]
        assert row(lines, "convnext_tiny") < row(lines, "resnet50            skipped: no pretrained weights")
