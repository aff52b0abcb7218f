"""Live, Compare and Help as pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.logs.events import AnyEvent
from engine.specs import spec
from tests.tui import logs
from tests.tui.conftest import opened, until
from tui.app import TlTui
from tui.widgets.dialogs import Reading

Log = Callable[[list[AnyEvent]], Path]
Snap = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


def showing(app: TlTui, folder: Path, mode: str = "live", *keys: str) -> Callable[[Pilot[None]], object]:
    async def show(pilot: Pilot[None]) -> None:
        await opened(pilot, app, folder, mode)
        await pilot.press(*keys)
        await pilot.pause()

    return show


@SIZES
@pytest.mark.parametrize("cuda", [False, True], ids=["cpu", "cuda"])
def test_live_while_it_trains(snap_compare: Snap, app: TlTui, present: Log, size: tuple[int, int], cuda: bool) -> None:
    folder = present(logs.until("Progress", 16, logs.events(cuda=cuda)))
    assert snap_compare(app, terminal_size=size, run_before=showing(app, folder))


@SIZES
def test_live_in_the_first_epoch(snap_compare: Snap, app: TlTui, present: Log, size: tuple[int, int]) -> None:
    folder = present(logs.until("LossMeasured", 11, logs.slow_epochs()))
    assert snap_compare(app, terminal_size=size, run_before=showing(app, folder))


@SIZES
def test_live_when_it_is_over(snap_compare: Snap, app: TlTui, past: Log, size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=showing(app, past(logs.events())))


@SIZES
def test_live_with_seeds_and_folds(snap_compare: Snap, app: TlTui, present: Log, size: tuple[int, int]) -> None:
    asked = spec.changed(logs.two_strategies(), seeds=[0, 1, 2, 3, 4], folds=5)
    folder = present(logs.until("EpochFinished", 400, logs.events(asked)))
    assert snap_compare(app, terminal_size=size, run_before=showing(app, folder))


@SIZES
def test_compare(snap_compare: Snap, app: TlTui, past: Log, size: tuple[int, int]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=showing(app, past(logs.events()), "compare"))


def test_help(snap_compare: Snap, app: TlTui, past: Log) -> None:
    folder = past(logs.events())

    async def show(pilot: Pilot[None]) -> None:
        await opened(pilot, app, folder)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Reading))

    assert snap_compare(app, terminal_size=(80, 24), run_before=show)


def test_ascii_without_colour(
    snap_compare: Snap, tmp_path: Path, past: Log, monkeypatch: pytest.MonkeyPatch, app: TlTui
) -> None:
    monkeypatch.setenv("TL_TUI_ASCII", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = TlTui(tmp_path, clock=app.clock)
    assert snap_compare(plain, terminal_size=(80, 24), run_before=showing(plain, past(logs.events())))
