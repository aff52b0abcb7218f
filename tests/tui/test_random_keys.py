"""Whatever is pressed, the app goes on, and nothing lies beyond the terminal's edge."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from engine.logs.folder import EVENTS
from engine.logs.log import EventLog
from engine.specs import spec
from engine.specs.presets import presets
from engine.specs.spec import DataSource, changed, default_experiment
from tests.tui import logs
from tests.tui.conftest import until
from tui.app import TlTui

KEYS = (
    *set(string.ascii_lowercase) - {"q"},
    *string.digits,
    *("up", "down", "left", "right", "tab", "shift+tab", "enter", "escape", "space", "backspace") * 3,
    *("home", "end", "pageup", "pagedown", "slash", "question_mark", "A", "full_stop", "minus"),
    *("ctrl+r", "ctrl+o", "ctrl+u", "ctrl+w", "ctrl+a", "ctrl+e", "f5"),
    *("1", "2", "3", "4") * 2,
)
"""All but those that quit."""


class App(TlTui):
    """The app, which trains nothing."""

    CSS_PATH = str(Path(TlTui.CSS_PATH))

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.hosting.start = self.hosting.resume = lambda *_given, **_named: None  # type: ignore[method-assign]


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """Experiments of every kind, one of them being written."""
    everything = logs.events(spec.changed(logs.two_strategies(), seeds=(0, 1)))
    logs.write(tmp_path / "runs" / "a-20261123-120000", everything)
    logs.write(tmp_path / "runs" / "b-20261122-120000", logs.until("EpochFinished", 3, everything))
    (tmp_path / "runs" / "c-20261121-120000").mkdir()
    (tmp_path / "runs" / "c-20261121-120000" / EVENTS).write_bytes(b"\x00\xff\n")
    going_on = tmp_path / "runs" / "d-20261120-120000"
    going_on.mkdir()
    with EventLog(going_on):
        logs.write(going_on, logs.until("Progress", 10, everything))
        yield tmp_path / "runs"


def beyond_the_edge(app: TlTui) -> list[Widget]:
    """What is drawn beyond the terminal's edge though nothing scrolls there."""
    screen = app.screen
    return [
        widget
        for widget in screen.walk_children(Widget)
        if widget.display
        and widget.region
        and not widget.is_scrollable
        and not any(isinstance(one, Widget) and one is not screen and one.is_scrollable for one in widget.ancestors)
        and all(isinstance(one, Widget) and one.display for one in widget.ancestors if one is not app)
        and not screen.region.contains_region(widget.region)
    ]


async def pressed_at_random(app: TlTui, pilot: Pilot[None], seed: int, times: int) -> None:
    """Presses so many keys, and looks at the screen now and then."""
    chance = random.Random(seed)
    done: list[str] = []
    for number in range(times):
        key = chance.choice(KEYS)
        done.append(key)
        app.simulate_key(key)
        if chance.random() < 0.02:
            await pilot.resize_terminal(chance.choice((60, 80, 100, 120, 200)), chance.choice((16, 24, 40, 60)))
        if number % 5 == 0:  # several arrive together, as they do over a slow connection
            await pilot.pause()
            assert not beyond_the_edge(app), (app.size, done[-30:])
        assert app.is_running, done[-30:]
    await pilot.pause()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "size", "mode"),
    [(1, (80, 24), "1"), (2, (60, 16), "2"), (3, (120, 40), "3"), (4, (80, 24), "4")],
    ids=["setup", "live", "compare", "runs"],
)
async def test_any_keys_in_any_order(
    out: Path, image_folder: Callable[..., Path], seed: int, size: tuple[int, int], mode: str
) -> None:
    asked = changed(default_experiment(presets()), data=DataSource(path=str(image_folder("images"))))
    app = App(out, asked, clock=lambda: datetime(2026, 11, 23, 12, 0))
    async with app.run_test(size=size, notifications=True) as pilot:
        await app.open_experiment(out / "a-20261123-120000")
        await until(pilot, lambda: bool(app.state.runs))
        await pilot.press(mode)
        await pressed_at_random(app, pilot, seed, 40)
