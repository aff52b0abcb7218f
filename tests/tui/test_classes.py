"""The images of each class, before anything is trained: by keys, from Setup."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.specs.spec import DataSource
from tests.tui.conftest import text_of, until
from tests.tui.test_setup import App, settled
from tui.drawing.pictures import Drawn
from tui.screens.classes import Classes
from tui.widgets import picture

COLD = "[bold]cold[b]\x1b[2J"


@pytest.fixture
def source(tmp_path: Path, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> DataSource:
    """Six training and four validation images of each of two classes; of warm no validation image, and an empty one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = image_folder()
    for part in ("train", "val"):
        (root / part / "cold").rename(root / part / COLD)
    shutil.rmtree(root / "val" / "warm")
    (root / "train" / "warm" / "0[b]\x1b]0;x\x07.png").touch()
    return DataSource(path=str(root))


async def opened(pilot: Pilot[None], app: App) -> Classes:
    await until(pilot, lambda: app.setup.data.found is not None)
    await pilot.press("c")
    await until(pilot, lambda: isinstance(app.screen, Classes))
    assert isinstance(app.screen, Classes)
    return app.screen


def in_view(window: Classes) -> list[str]:
    """The files of the pictures that are shown."""
    places = [place for place in window.places if place.display and place.visible]
    return [Path(place.picture.path).name for place in places]


async def test_the_images_of_a_class_are_looked_through(source: DataSource) -> None:
    app = App(source)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot)
        assert "12 train · 4 val · c 2 classes" in text_of(app)
        window = await opened(pilot, app)
        await until(pilot, lambda: "train 48×40" in text_of(app))
        lines = text_of(app).splitlines()
        assert "2 classes, 17 images" in lines[0]
        assert "[bold]cold[b]\\x1b[2J" in lines[2] and lines[2].split()[2:4] == ["6", "4"]
        assert "1–4 of 10 images" in lines[1] and in_view(window) == ["0.png", "1.png", "2.png", "3.png"]
        await pilot.press("right", "right", "right", "left", "right")
        assert in_view(window) == ["2.png", "3.png"], "the last page, of validation images"
        await pilot.press("o")
        assert app.clipboard.split("\n")[:2] == [f"{source.path}/val/{COLD}/{number}.png" for number in (2, 3)]
        await pilot.press("p", "enter")
        await until(pilot, lambda: "1–1 of 6 images" in text_of(app) and "only train · " in text_of(app))
        await pilot.press("right")
        assert in_view(window) == ["1.png"]
        await pilot.press("enter", "p", "down")
        await until(pilot, lambda: "no image" in text_of(app) and "only val" in text_of(app))
        assert in_view(window) == []
        await pilot.press("p")
        await until(pilot, lambda: "cannot be shown" in text_of(app) and "train 0 B" in text_of(app))
        assert "0[b]\\x1b]0;x\\x07.png" in text_of(app)
        await pilot.press("escape")
        assert app.screen is app.setup


async def test_escape_goes_from_an_image_to_its_page_of_its_class_and_then_closes(source: DataSource) -> None:
    app = App(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        window = await opened(pilot, app)
        await until(pilot, lambda: "train 48×40" in text_of(app))
        assert "enter larger" in text_of(app) and "esc close" in text_of(app)
        await pilot.press("down", "right")
        await until(pilot, lambda: "5–7 of 7 images" in text_of(app))
        page = in_view(window)
        await pilot.press("enter", "right")
        await until(pilot, lambda: "6–6 of 7 images" in text_of(app))
        assert "esc page" in text_of(app) and "q close" in text_of(app) and "esc close" not in text_of(app)
        await pilot.press("escape")
        await until(pilot, lambda: "5–7 of 7 images" in text_of(app))
        assert app.screen is window and window.listing.cursor == 1 and in_view(window) == page
        assert "esc close" in text_of(app)
        await pilot.press("escape")
        assert app.screen is app.setup


async def test_copies_are_marked(source: DataSource, tmp_path: Path) -> None:
    assert source.path is not None
    root = Path(source.path)
    shutil.copy(root / "train" / "warm" / "1.png", root / "val" / COLD / "copy.png")
    app = App(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await opened(pilot, app)
        await until(pilot, lambda: "train 48×40" in text_of(app))
        await pilot.press("p", "p")
        await until(pilot, lambda: "labels differ val 48×40" in text_of(app))
        assert text_of(app).count("labels differ") == 1


@pytest.mark.parametrize("what", ["data", "picture"])
async def test_a_disk_that_does_not_answer_holds_up_no_key_and_no_end(
    source: DataSource, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    held: set[threading.Thread] = set()

    def hangs() -> None:
        held.add(threading.current_thread())
        begun.set()
        may_end.wait(60)

    def draw(*_: object) -> Drawn:
        hangs()
        return Drawn()

    def find(source: DataSource) -> DataSet:
        hangs()
        return discover(source)

    app = App(source)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            if what == "data":
                monkeypatch.setattr("engine.data.discover.discover", find)
            else:
                monkeypatch.setattr(picture, "draw", draw)
            await opened(pilot, app)
            assert await asyncio.to_thread(begun.wait, 30)
            await until(pilot, lambda: "reading …" in text_of(app))
            assert ("p part" in text_of(app)) == (what == "picture") and "esc close" in text_of(app)
            if what == "data":  # which has no page yet, and no image that could be larger
                await pilot.press("p", "right", "enter", "o")
            else:
                for _ in range(5):
                    await pilot.press("right", "left")
            await pilot.press("escape")
            assert app.screen is app.setup
            assert [thread.daemon for thread in held] == [True], "a single one, that no end waits for"
    finally:
        may_end.set()
