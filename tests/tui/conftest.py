"""The app on made-up logs, with a clock that stands still."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from textual._context import active_app
from textual.app import App
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.message_pump import MessagePump
from textual.pilot import Pilot, WaitForScreenTimeout

from engine.data import demo
from engine.logs.events import AnyEvent
from engine.logs.log import EventLog
from engine.models.weight_files import default_files, hub_cache
from engine.specs.presets import presets
from engine.specs.spec import Experiment
from engine.states.state import ExperimentState
from tests.tui import logs
from tests.tui.real_terminal import Terminal
from tui.app import TlTui
from tui.screens.frame import Mode
from tui.widgets.run_pane import RunPane

NAME = "ants-bees-20261123-120000"


@pytest.fixture(autouse=True)
def plain_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person's own settings counts, the app's log is the test's, and files with the names of the
    presets' weights are here.
    """
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    hub_cache().mkdir(parents=True)
    for strategy in presets().values():
        (hub_cache() / default_files()[strategy.backbone]).touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "TL_TUI_ASCII"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def demo_set_drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Setup begins with the demo set, and every test has a cache of its own: drawing it took most of such a test."""
    drawn, draw, alone = tmp_path_factory.mktemp("demo") / "set", demo.draw, threading.Lock()

    def copied(folder: Path) -> None:
        with alone:  # the thread of a test that is over may be at it
            if not (drawn / demo.README).exists():  # which is written last
                shutil.rmtree(drawn, ignore_errors=True)
                draw(drawn)
        shutil.copytree(drawn, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "draw", copied)
        yield


@pytest.fixture(autouse=True, scope="session")
def styles_parsed_once() -> Iterator[None]:
    """Every app has the same styles, which are read and never changed: a sixth of what an app costs."""
    parse = Stylesheet._parse_rules
    known: dict[object, list[RuleSet]] = {}

    def parsed_once(styles: Stylesheet, css: str, *place: Any, **kind: Any) -> list[RuleSet]:
        key = (frozenset(styles._variables.items()), css, place, frozenset(kind.items()))
        if key not in known:
            known[key] = parse(styles, css, *place, **kind)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parsed_once)
        patch.setattr(RuleSet, "__hash__", object.__hash__)  # as its own, but not in Python: many are asked a widget
        yield


def is_busy(pump: MessagePump) -> bool:
    """Whether it has messages, or is not yet done with one; what is closed does nothing any more."""
    queue = pump._message_queue
    waits = pump._pending_message is None and queue.empty() and bool(queue.ready_event._waiters)
    return not (waits or pump._closing or pump._closed)


async def nothing_ready() -> None:
    """Waits until nothing can go on but what waits for time, a thread or a file."""
    await asyncio.sleep(0)
    while asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]
        await asyncio.sleep(0)


@pytest.fixture(autouse=True, scope="session")
def waits_for_messages() -> Iterator[None]:
    """A key and a pause wait until everything that they set off is done and drawn.

    Textual's own wait sleeps 20 ms at a time, a quarter of these tests' time, and takes a process that gets no
    processor for an idle one; before, it has every widget of a screen answer a message. What threads and timers do is
    waited for by ``until``.
    """

    async def all_taken(pilot: Pilot[Any], timeout: float = 30) -> bool:
        app, end = pilot.app, monotonic() + timeout
        while True:
            await nothing_ready()
            if app._exception_event.is_set() or not app.is_running or not app.screen_stack:
                return False
            if not any(map(is_busy, (app, *app.screen.walk_children(with_self=True)))):
                return True
            if monotonic() > end:
                raise WaitForScreenTimeout("widgets have messages that they do not take")
            await asyncio.sleep(0.002)

    async def all_done(min_sleep: float = 0, max_sleep: float = 0) -> None:
        del min_sleep, max_sleep
        app = active_app.get()
        for _ in range(400):
            await nothing_ready()
            if not app.is_running or not app.screen_stack:
                return
            screen = app.screen
            if app._resize_timer is not None or app._batch_count:
                await asyncio.sleep(0.005)
            elif screen._layout_required or screen._repaint_required or screen._dirty_widgets or screen._callbacks:
                screen._on_timer_update()  # as a pause does: without waiting for the next frame
            else:
                return

    with pytest.MonkeyPatch.context() as patch:
        for place in ("textual.app", "textual.pilot"):
            patch.setattr(f"{place}.wait_for_idle", all_done)
        patch.setattr(Pilot, "_wait_for_screen", all_taken)
        yield


class NoSetup(Mode):
    """Stands in for Setup where a test is about another mode: mounting its many fields takes a second."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.experiment = experiment

    def show(self, state: ExperimentState) -> None:
        """Nothing."""


@pytest.fixture
def whole_app(tmp_path: Path) -> TlTui:
    """The app; it is 12:04:31."""
    return TlTui(tmp_path, clock=lambda: datetime(2026, 11, 23, 12, 4, 31))


@pytest.fixture
def app(whole_app: TlTui, monkeypatch: pytest.MonkeyPatch) -> TlTui:
    """The app with an empty Setup."""
    monkeypatch.setattr("tui.app.SetupScreen", NoSetup)
    return whole_app


@pytest.fixture
def past(tmp_path: Path) -> Callable[[list[AnyEvent]], Path]:
    """Writes a log that nobody goes on writing, and returns its folder."""
    return lambda events: logs.write(tmp_path / NAME, events)


@pytest.fixture
def present(tmp_path: Path) -> Iterator[Callable[[list[AnyEvent]], Path]]:
    """Writes to a log that is being written as long as the test runs, and returns its folder."""
    folder = tmp_path / NAME
    folder.mkdir()
    with EventLog(folder):
        yield lambda events: logs.write(folder, events)


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts ``tl-tui`` in a terminal, as :class:`Terminal` does, and sees to it that it ends with the test."""
    with ExitStack() as opened:

        def start(arguments: list[str], **how: bool) -> Terminal:
            terminal = Terminal(arguments, tmp_path, **how)
            opened.callback(terminal.kill)
            return terminal

        yield start


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Waits until the condition holds, then until the screen shows it."""
    for _ in range(3000):
        if condition():
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("it did not come true in 30 seconds")
    if not pilot.app._exit:  # else its widgets answer no more
        await pilot.pause()


async def idle(pilot: Pilot[None]) -> None:
    """Waits until what was begun in threads has ended, all but following a log."""
    await until(pilot, lambda: all(worker.is_finished for worker in pilot.app.workers if worker.group != "follow"))


async def opened(pilot: Pilot[None], app: TlTui, folder: Path, mode: str = "live") -> None:
    """Opens an experiment and waits until the mode shows it."""
    assert mode in ("live", "compare")
    app.call_later(app.open_experiment, folder, mode)  # after Setup, which opens at first
    await until(pilot, lambda: bool(app.state.runs) and app.current_mode == mode)
    await until(pilot, lambda: all(worker.is_finished for worker in app.workers if worker.group == "compare"))
    if mode == "live":  # the panes are added now, and learn only some frames later how much room they have
        await until(pilot, lambda: all(pane._room for pane in app.screen.query(RunPane)))
    frames: list[str] = []
    while len(frames) < 4 or len(set(frames[-4:])) > 1:
        assert len(frames) < 600, "the screen does not come to rest"
        await pilot.pause(0.02)
        frames.append(text_of(app))


def text_of(app: App[None]) -> str:
    """What the screen shows, line by line, blanks at the ends left out."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())
