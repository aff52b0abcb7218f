"""Runs in the app: earlier experiments, from their logs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from textual.events import Key
from textual.pilot import Pilot

import tui.app
from engine.history import summaries as history
from engine.history.experiment_state import read_state
from engine.history.note import read_note, write_note
from engine.history.summaries import Summary
from engine.logs import events as ev
from engine.logs.folder import NOTE
from engine.logs.log import EventLog
from engine.specs.spec import changed
from engine.states.state import ExperimentState
from engine.units import duration, percent_range
from tests.tui import logs
from tests.tui.conftest import NoSetup, idle, text_of, until
from tui.app import TlTui
from tui.cli import status
from tui.screens import runs
from tui.screens.runs import RunsScreen
from tui.widgets import runs_table
from tui.widgets.dialogs import LineEditor, Question, Reading
from tui.widgets.runs_table import pieces
from tui.words.preview import preview
from tui.words.summaries import beside_earlier, matching, when
from tui.work import reading_runs
from tui.work.latest import Latest

SIZES = [(80, 24), (120, 40)]
WITH_PREVIEW = [(120, 40), (160, 24)]
OUT = Path("runs")
NAMES = {"[": "left_square_bracket", "]": "right_square_bracket", "/": "slash", " ": "space"}


class App(TlTui):
    """The app, which keeps what it was asked to open."""

    CSS_PATH = str(Path(tui.app.__file__).with_name("app.tcss"))

    def __init__(self) -> None:
        super().__init__(OUT, clock=lambda: datetime(2026, 11, 23, 12, 0))
        self.opened: list[tuple[str, str]] = []
        self.resumed: list[str] = []
        self.lifecycle.resume = self._resume  # type: ignore[method-assign]

    async def _resume(self, folder: Path) -> None:
        self.resumed.append(folder.name)

    async def open_experiment(self, folder: Path, mode: str = "live") -> None:
        self.opened.append((folder.name, mode))

    @property
    def runs(self) -> RunsScreen:
        screen = self.screen_stack[0]
        assert isinstance(screen, RunsScreen)
        return screen


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything relative to a folder of the test's own, in one time zone, in one year."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for module in (runs, runs_table):
        monkeypatch.setattr(module, "this_year", lambda: 2026)
    monkeypatch.setattr("tui.app.SetupScreen", NoSetup)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_all() -> None:
    """Experiments that ended in every way, the newest first by name."""
    told = logs.events()
    end = told[-1]
    assert isinstance(end, ev.ExperimentFinished)
    out_of_memory = ev.RunFailed(
        run="resnet18-finetune-0", kind="OutOfMemory", message="out of memory [red]x[/red] \x1b[31m", time=logs.BEGAN
    )
    logs.write(OUT / "a-20261123-120000", told)
    logs.write(OUT / "b-20261122-120000", logs.until("EpochFinished", 3, told))
    logs.write(OUT / "c-20261121-120000", logs.events(changed(logs.two_strategies(), seeds=(0, 1, 2))))
    logs.write(
        OUT / "d-20261120-120000", [*logs.until("EpochFinished", 14, told), msgspec.structs.replace(end, end="stopped")]
    )
    logs.write(OUT / "e-20261119-120000", [*logs.until("EpochFinished", 2, told), out_of_memory, end])
    broken = OUT / "[bold]broken[bold]"
    broken.mkdir()
    write_note(
        OUT / "c-20261121-120000",
        "is it luck? 三個種子, as the first comparison had only one seed and could not say which is better",
    )
    write_note(OUT / "e-20261119-120000", "[red]x[/red] \x1b[31m")
    (broken / "events.jsonl").write_bytes(b"\x00\xff\n")


def post(app: App, *keys: str) -> None:
    """Keys that arrive together."""
    for key in keys:
        app.post_message(Key(NAMES.get(key, key), key if len(key) == 1 else None))


async def opened(pilot: Pilot[None]) -> None:
    """Goes to Runs and waits until the logs are read."""

    def has_read() -> bool:
        screen = pilot.app.screen_stack[0]
        return isinstance(screen, RunsScreen) and screen.has_read

    await pilot.pause()
    await pilot.press("4")
    await until(pilot, has_read)
    await idle(pilot)  # of many logs, or on a slow machine, the first are shown while the others are read


async def test_every_end_is_told() -> None:
    write_all()
    app = App()
    async with app.run_test(size=SIZES[1]) as pilot:
        await opened(pilot)
        assert [found.status for found in app.runs.known] == [
            "finished",
            "interrupted",
            "finished",
            "stopped",
            "failed",
            "damaged",
        ]
        screen = text_of(app)
        for words in ("11-23 12:00", "ants-bees", "seed 0", "3 seeds", "mobilenetv3-extract", "95.4 %", "42.3 s"):
            assert words in screen
        assert "[bold]broken[bold]" in screen
        await pilot.press("down", "down", "down", "down")
        await pilot.pause()
        assert r"resnet18-finetune-0: out of memory [red]x[/red] \x1b[31m" in text_of(app)


async def test_enter_is_about_the_experiment_that_was_highlighted_then() -> None:
    write_all()
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        first = app.runs.table.current
        assert first is not None
        post(app, "enter", "down")
        await until(pilot, lambda: bool(app.opened))
        assert [name for name, _ in app.opened] == [first.name]


async def test_enter_on_an_interrupted_one_asks_whether_to_go_on() -> None:
    write_all()
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("down", "enter")
        await pilot.pause()
        assert isinstance(app.screen, Question)
        assert "was interrupted" in text_of(app) and "Best validation accuracy so far" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert (app.opened, app.resumed) == ([], [])
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("enter")  # unthinking: only looks
        await pilot.pause()
        assert (app.opened, app.resumed) == ([("b-20261122-120000", "live")], [])
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("y")
        await pilot.pause()
        assert app.resumed == ["b-20261122-120000"]


async def test_the_question_fits_however_many_runs_there_are() -> None:
    asked = changed(logs.two_strategies(), seeds=tuple(range(40)))
    logs.write(OUT / "many-20261121-120000", logs.until("ExperimentFinished", 1, logs.events(asked))[:-1])
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert "exactly where it stopped" in text_of(app) and "Resume (y)" in text_of(app)


async def test_where_drawing_takes_long_it_is_done_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (OUT / f"{number:02}-20261121-120000").mkdir(parents=True)
        (OUT / f"{number:02}-20261121-120000" / "events.jsonl").touch()
    now, drawn, begun = [0.0], list[int](), list[RunsScreen]()
    put, each = RunsScreen._put, history.iter_summaries

    def drawn_slowly(screen: RunsScreen, summaries: tuple[Summary, ...]) -> None:
        drawn.append(len(summaries))
        now[0] += 1.0
        put(screen, summaries)

    def one_by_one(*arguments: Any) -> Iterator[Summary]:
        begun.append(app.runs)
        app.call_from_thread(app.runs.show, ExperimentState(name="an epoch ended meanwhile"))
        for summary in each(*arguments):
            now[0] += 0.1
            yield summary

    monkeypatch.setattr(reading_runs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(RunsScreen, "_put", drawn_slowly)
    monkeypatch.setattr(history, "iter_summaries", one_by_one)
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: 30 in drawn)
        assert len(begun) == 1, "what is being read is not read anew for every epoch"
    assert len(drawn) < 10, "after 0.3 s, then not for 4 s"


async def test_enter_opens_what_is_wanted_of_an_experiment_and_other_keys_the_other() -> None:
    write_all()
    waited = logs.until("EpochFinished", 1, logs.events())[:-1]
    logs.write(OUT / "f-20261118-120000", [*waited, ev.ExperimentFinished(end="stopped", time=logs.BEGAN)])
    running = OUT / "g-20261117-120000"
    running.mkdir()
    with EventLog(running):
        logs.write(running, logs.until("EpochFinished", 3, logs.events()))
        app = App()
        async with app.run_test(size=SIZES[1]) as pilot:
            await opened(pilot)
            found = {}
            for one in app.runs.known:
                await pilot.press("enter")
                await pilot.pause()
                found[one.name[0]] = [*(mode for _, mode in app.opened), *(["asks"] if app.screen != app.runs else [])]
                app.opened.clear()
                await pilot.press(*(["escape"] if app.screen != app.runs else []), "down")
            done = {name: ["compare"] for name in "acd"}
            assert found == {**done, "b": ["asks"], "e": ["live"], "f": ["live"], "g": ["live"], "[": []}
            await pilot.press("home", "l", "down", "c")
            assert app.opened == [("a-20261123-120000", "live"), ("b-20261122-120000", "compare")]


async def test_enter_does_not_open_a_comparison_of_others() -> None:
    write_all()
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        app.marks = {OUT / "a-20261123-120000": None}
        await pilot.press("enter", "down", "down", "enter")
        assert app.opened == [("a-20261123-120000", "compare"), ("c-20261121-120000", "live")]


async def test_nothing_there_says_what_to_do() -> None:
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        assert "No experiments in runs yet." in text_of(app)
        await pilot.press("enter", "c")
        assert app.opened == []
        logs.write(OUT / "a-20261123-120000", logs.events())
        await pilot.press("r")
        await until(pilot, lambda: bool(app.runs.known))
        await pilot.press("enter")
        assert app.opened == [("a-20261123-120000", "compare")]


async def test_a_running_experiment_is_followed() -> None:
    told = logs.events()
    folder = OUT / "a-20261123-120000"
    folder.mkdir(parents=True)
    app = App()
    with EventLog(folder) as log:
        log.append(told[0])
        async with app.run_test(size=SIZES[0]) as pilot:
            await opened(pilot)
            assert [found.status for found in app.runs.known] == ["running"]
            first_epoch = next(event for event in told if isinstance(event, ev.EpochFinished))
            log.append(first_epoch)
            app.runs.show(ExperimentState(name="a", end=None))
            await until(pilot, lambda: bool(app.runs.known[0].best))
            assert app.runs.known[0].best == {first_epoch.run: first_epoch.val.accuracy}


async def test_the_cursor_stays_with_its_experiment() -> None:
    logs.write(OUT / "a-20261120-120000", logs.events())
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        logs.write(OUT / "b-20261121-120000", logs.events())
        await pilot.press("r")
        await until(pilot, lambda: len(app.runs.known) == 2)
        assert app.runs.table.cursor_row == 1
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert app.runs.table.cursor_row == 1
        await pilot.press("enter")
        assert app.opened == [("a-20261120-120000", "compare")]


async def test_what_others_begin_and_go_on_with_appears_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.runs.READ_EVERY", 0.1)
    told = logs.events()
    begun = logs.until("EpochFinished", 3, told)
    folder = OUT / "b-20261122-120000"
    folder.mkdir(parents=True)
    logs.write(OUT / "a-20261121-120000", told)
    with EventLog(folder):
        logs.write(folder, begun)
        app = App()
        async with app.run_test(size=SIZES[0], notifications=True) as pilot:
            await opened(pilot)
            await pilot.press("end")
            table = app.runs.table
            assert table.current is not None and table.current.name == "a-20261121-120000"
            logs.write(folder, told[len(begun) :])
            await until(pilot, lambda: [one.status for one in table.summaries] == ["finished", "finished"])
            logs.write(OUT / "c-20261123-120000", told)
            await until(pilot, lambda: len(table.summaries) == 3)
            assert table.current is not None and table.current.name == "a-20261121-120000"
            post(app, "up", "n", *"rn[/] /x")  # to the one that another process writes; nothing of it is a key of Runs
            await until(pilot, lambda: isinstance(app.screen, LineEditor))
            await pilot.resize_terminal(50, 12)  # too small to show it
            await pilot.resize_terminal(*SIZES[0])
            await pilot.press("2", "enter")
            await until(pilot, lambda: text_of(app).count("rn[/] /x2") == 2)
            assert table.current is not None and read_note(folder) == table.current.note == "rn[/] /x2"
            await pilot.press("n", "3", "escape")
            write_note(folder, f"\x1b[31m from elsewhere {'x' * 99} ends here")
            await until(pilot, lambda: text_of(app).count(r"\x1b[31m from elsewhere") == 2)
            await pilot.press("n")
            await until(pilot, lambda: "ends here" in text_of(app))  # where the cursor is
            await pilot.press("escape")
            (folder / NOTE).unlink()
            (folder / NOTE).mkdir()
            await pilot.press("n", *"more", "enter")
            await until(pilot, lambda: "Note not saved:" in text_of(app) and isinstance(app.screen, LineEditor))
            (folder / NOTE).rmdir()
            await pilot.press("enter")
            await until(pilot, lambda: read_note(folder).endswith("more"))  # what was typed is not lost
            write_note(folder, "last")
            await until(pilot, lambda: "last" in text_of(app))
            await pilot.press("n", "ctrl+u", "enter")
            await until(pilot, lambda: not (folder / NOTE).exists() and "last" not in text_of(app))


@pytest.mark.parametrize(("cursor", "scrolled"), [(14, 35), (0, 22)], ids=["in sight", "scrolled away from"])
async def test_a_list_stays_where_it_is_scrolled_to_while_something_trains_or_begins(
    monkeypatch: pytest.MonkeyPatch, cursor: int, scrolled: int
) -> None:
    monkeypatch.setattr(runs, "READ_EVERY", 1000)
    told = logs.events()
    begun, later = logs.until("EpochFinished", 2, told), logs.until("EpochFinished", 5, told)
    for number in range(30):
        logs.write(OUT / f"a-20261121-1200{number:02}", told)
    folder = OUT / "b-20261122-120000"
    folder.mkdir()
    app = App()

    def in_sight() -> list[str]:
        return [line[:78].rstrip() for line in text_of(app).splitlines()[2:-3]]  # not the scrollbar

    with EventLog(folder):
        logs.write(folder, begun)
        async with app.run_test(size=SIZES[0]) as pilot:
            await opened(pilot)
            table = app.runs.table
            table.move_cursor(row=cursor)
            await pilot.pause()
            table.scroll_to(y=scrolled, animate=False)
            await until(pilot, lambda: table.scroll_offset.y == scrolled)
            seen, current, drawings = in_sight(), table.current, list[bool]()
            assert current is not None
            clear = table.clear
            monkeypatch.setattr(table, "clear", lambda **how: drawings.append(True) or clear(**how))
            logs.write(folder, later[len(begun) :])
            app.runs.action_refresh()
            await until(pilot, lambda: app.runs.known[0].seconds == later[-1].elapsed)
            await idle(pilot)
            assert not drawings and duration(later[-1].elapsed) in table.get_row_at(0)[-1].plain
            assert in_sight() == seen and table.current is not None and table.current.folder == current.folder
            logs.write(OUT / "c-20261123-120000", told)
            app.runs.action_refresh()
            await until(pilot, lambda: len(table.summaries) == 32)
            await idle(pilot)
            await until(pilot, lambda: table.scroll_offset.y > scrolled)
            assert in_sight() == seen and table.current.folder == current.folder


async def test_every_key_of_runs_is_explained() -> None:
    write_all()
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        keys = {key: active.binding for key, active in app.screen.active_bindings.items()}
    for key in ("enter", "c", "r", "slash", "u", "n", "delete"):
        assert keys[key].id, key
        assert keys[key].tooltip, key


@pytest.mark.parametrize("size", [*SIZES, WITH_PREVIEW[1]], ids=lambda size: f"{size[0]}x{size[1]}")
def test_runs_look_right(snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    write_all()

    async def third(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await pilot.press("down", "down")
        await idle(pilot)  # the preview's curves have been read

    assert snap_compare(App(), terminal_size=size, run_before=third)


def test_no_runs_look_right(snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(App(), terminal_size=SIZES[0], run_before=opened)


async def test_a_filter_narrows_while_typing_and_outlasts_reading_again() -> None:
    write_all()
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        table = app.runs.table
        await pilot.press("end", "slash", *"FINISHED ants")
        assert [one.name[0] for one in table.summaries] == ["a", "c"] and "2 of 6" in text_of(app)
        logs.write(OUT / "f-20261124-120000", logs.events())
        app.runs.action_refresh()
        await until(pilot, lambda: len(app.runs.known) == 7)
        assert [one.name[0] for one in table.summaries] == ["f", "a", "c"] and "3 of 7" in text_of(app)
        await pilot.press("x", "x")
        assert "No experiment matches" in text_of(app) and table.current is None
        await pilot.press("backspace", "backspace", "down", "enter")
        await pilot.pause()
        logs.write(OUT / "g-20261125-120000", logs.until("EpochFinished", 3, logs.events()))
        app.runs.action_refresh()
        await until(pilot, lambda: len(app.runs.known) == 8)
        assert table.has_focus and len(table.summaries) == 3, "Enter goes to the list and leaves it narrowed"
        await pilot.press("enter")
        assert app.opened == [("a-20261123-120000", "compare")]
        await pilot.press("escape")
        await pilot.pause()
        assert len(table.summaries) == 8 and "filter" not in text_of(app)
        assert table.has_focus and table.current is not None and table.current.name == "a-20261123-120000"


@pytest.mark.parametrize("key", ["down", "enter"])
async def test_a_long_list_narrows_in_a_pause_or_at_the_key_that_uses_it(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr("tui.widgets.filter_line.AT_ONCE", 5)
    monkeypatch.setattr("tui.widgets.filter_line.TYPING_PAUSE", 3600)
    write_all()
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        table = app.runs.table
        await pilot.press("slash", *"finished")
        assert len(table.summaries) == 6
        await pilot.press(key)
        assert [one.name[0] for one in table.summaries] == ["a", "c"] and "2 of 6" in text_of(app)
        monkeypatch.setattr("tui.widgets.filter_line.TYPING_PAUSE", 0.01)
        await pilot.press("slash", *"xyz")
        await until(pilot, lambda: "No experiment matches" in text_of(app))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", "ab"),
        ("A-2026", "a"),
        ("WIDER", "b"),
        ("photographs", "b"),
        ("probe interrupted", "b"),
        ("probe failed", ""),
    ],
)
def test_a_filter_looks_at_names_notes_paths_strategies_and_states(words: str, found: str) -> None:
    one = Summary(OUT / "a", "a-2026", strategies=("resnet18-finetune",), status="failed")
    other = Summary(
        OUT / "b", "b-2026", data_path="/Photographs", note="wider crops", strategies=("r-probe",), status="interrupted"
    )
    assert "".join(summary.name[0] for summary in matching((one, other), words.casefold().split())) == found


async def test_deleting_asks_and_closes_what_was_open() -> None:
    write_all()
    folder = OUT / "b-20261122-120000"
    (folder / "notes.txt").touch()
    app = App()
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        await opened(pilot)
        app.folder, app.state, app.marks = folder, read_state(folder), {folder: None}
        await pilot.press("down", "delete")
        await until(pilot, lambda: isinstance(app.screen, Question))
        for words in (str(folder), "1 file, < 1 MiB, no trained network", "notes.txt is not tl-tui's", "be resumed"):
            assert words in text_of(app)
        await pilot.press("enter")  # unthinking: keeps it
        await pilot.pause()
        assert (folder / "events.jsonl").is_file() and app.screen is app.runs
        await pilot.press("backspace")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: len(app.runs.known) == 5)
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]
        assert (app.folder, app.state, app.marks) == (None, ExperimentState(), {})
        current = app.runs.table.current
        assert current is not None and current.name == "c-20261121-120000", "the one in its place"


async def test_one_that_runs_is_not_deleted() -> None:
    folder = logs.write(OUT / "a-20261123-120000", logs.until("EpochFinished", 1, logs.events()))
    app = App()
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        await opened(pilot)
        with EventLog(folder):
            await pilot.press("delete")
            await until(pilot, lambda: "stop it first" in text_of(app).replace("\n", " "))
            assert app.screen is app.runs
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(app.screen, Question))
        with EventLog(folder):  # it was resumed before the answer
            await pilot.press("y")
            await until(pilot, lambda: text_of(app).count("Not deleted") == 1)
        assert (folder / "events.jsonl").is_file()


def test_accuracy_of_one_seed_and_of_several() -> None:
    assert percent_range([]) == "–"
    assert percent_range([0.9542]) == "95.4 %"
    assert percent_range([0.93, 0.9542, 0.94]) == "93.0–95.4 %"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_folds_are_told(size: tuple[int, int]) -> None:
    for name, seeds in (("a-20261123-120000", (0,)), ("b-20261122-120000", (0, 1))):
        logs.write(OUT / name, logs.events(changed(logs.two_strategies(), seeds=seeds, folds=3)))
    app = App()
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        told = [str(app.runs.table.get_row_at(row)[1]).splitlines()[1:] for row in (0, 1)]
    assert told == [["3 folds"], ["2 seeds", "3 folds"] if size == SIZES[0] else ["2 seeds, 3 folds"]]


async def test_in_the_smallest_window_nothing_of_an_accuracy_and_a_status_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = logs.events(changed(logs.two_strategies(), seeds=(0, 1, 2)))
    skipped = [
        msgspec.structs.replace(event, end="skipped")
        if isinstance(event, ev.RunFinished) and event.run == "resnet18-finetune-0"
        else event
        for event in many
    ]
    logs.write(OUT / "b-20261122-120000", logs.until("EpochFinished", 60, skipped))
    (OUT / "broken").mkdir()
    (OUT / "broken" / "events.jsonl").write_bytes(b"\x00\n")
    app = App()
    async with app.run_test(size=(60, 16)) as pilot:
        await opened(pilot)
        for words in ("» 95.4–96.1 %  ! interrupted", "status, time", " 11-23   ", " 12:00   ", " –         broken"):
            assert words in text_of(app), words
        await pilot.press("space")
        await until(pilot, lambda: " ◆ marked  3 seeds" in text_of(app))
        monkeypatch.setattr(runs_table, "this_year", lambda: 2027)
        app.runs.table.redraw()
        await pilot.pause()
        assert re.search(r" 11-23     ant.*\n ◆ marked  3 seeds", text_of(app))
        await pilot.press("x")
        await until(pilot, lambda: " 2026      3 seeds" in text_of(app))


def test_what_differs_is_told_from_the_one_before_on_the_same_data() -> None:
    two, more = logs.two_strategies(), logs.two_strategies(25)
    asked = {"e": ("/x", more), "d": ("/x", more), "c": ("/y", two), "b": ("/x", two), "a": ("/x", None)}
    summaries = tuple(
        Summary(OUT / name, name, began=logs.BEGAN, data_path=path, spec=spec) for name, (path, spec) in asked.items()
    )
    said = {one.name: beside_earlier(summaries, one, 2026) for one in summaries}
    assert said == {
        "e": "same settings as 11-23 12:00",
        "d": "vs 11-23 12:00: epochs 25 (was 12)",
        **dict.fromkeys("cba", ""),
    }


@pytest.mark.parametrize("size", WITH_PREVIEW, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_where_there_is_room_the_experiment_under_the_cursor_is_shown_with_its_curves(
    size: tuple[int, int],
) -> None:
    write_all()
    app = App()
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("down", "down")
        await until(pilot, lambda: "val accuracy  ━" in text_of(app))
        for words in ("─runs/c-20261121-120000─", "95.6 ± 0.4 %  95.4 96.1 95.4", "seeds 0, 1, 2", "(was 0)"):
            assert words in text_of(app), words
        assert app.runs.preview.chart.curves is not None
        assert [len(one.points) for one in app.runs.preview.chart.curves.series] == [12, 12]
        await pilot.press("end")  # of which nothing can be read
        await until(pilot, lambda: "nothing in the log can be read" in text_of(app))
        assert "val accuracy  ━" not in text_of(app)
        await idle(pilot)
        await pilot.pause()
        whole = app.runs.preview.content_size
        assert app.runs.preview.words.outer_size == whole, "the words have the room of curves that are not there"
        await pilot.press("space", "home", "space")
        await until(pilot, lambda: "Compare (3) shows 1 marked experiment" in text_of(app))
        await pilot.resize_terminal(*SIZES[0])
        await until(pilot, lambda: "─runs/a" not in text_of(app) and " runs/a-20261123-120000" in text_of(app))


@pytest.mark.parametrize("width", [24, 57, 118])
def test_a_preview_fits_and_holds_the_note_in_full(width: int) -> None:
    write_all()
    found = history.summaries(OUT)
    for one in found:
        lines = preview(found, one, width, 2026).plain.splitlines()
        assert max(map(cell_len, lines)) <= width, one.name
    said = preview(found, found[2], max(width, 57), 2026).plain
    assert " ".join(line[10:] for line in said.partition("●")[0].splitlines()) == found[2].note


def test_a_preview_says_once_what_strategies_have_alike() -> None:
    two = logs.two_strategies()
    one = Summary(OUT / "a", "a", began=logs.BEGAN, spec=two, reached={"x": (0.9, 0.9), "y": ()})
    said = preview([one], one, 80, 2026).plain
    assert "● x  90.0 ± 0.0 %  90.0 90.0" in said and "● y             –" in said
    assert re.search(r"^batch size +16 +32 *$", said, re.MULTILINE)
    assert said.count("epochs") == 1 and "both      epochs 12 · optimizer SGD · momentum 0.9" in said
    alone = msgspec.structs.replace(one, spec=changed(two, strategies=two.strategies[:1]))
    said = preview([alone], alone, 80, 2026).plain
    assert "settings  " in said and "batch size 16" in said and "both" not in said


async def test_a_key_that_shows_another_experiment_lays_nothing_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    write_all()
    app = App()
    async with app.run_test(size=WITH_PREVIEW[0]) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "val accuracy  ━" in text_of(app))
        layouts = list[bool]()
        refresh = app.runs._refresh_layout
        monkeypatch.setattr(app.runs, "_refresh_layout", lambda *given: layouts.append(True) or refresh(*given))
        await pilot.press("down")
        await pilot.pause()
        assert "─runs/b-20261122-120000─" in text_of(app) and "val accuracy  ━" not in text_of(app)
        await until(pilot, lambda: "val accuracy  ━" in text_of(app))
        assert not layouts


async def test_no_key_waits_for_the_curves_of_a_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    write_all()
    answers, asked, in_vain = Event(), list[str](), list[str]()

    def slow(folder: Path) -> None:
        asked.append(folder.name)
        if not answers.wait(60):
            in_vain.append(folder.name)

    monkeypatch.setattr(runs, "drawing", Latest(slow, "slow"))
    monkeypatch.setattr(runs, "PREVIEW_PAUSE", 0)
    app = App()
    async with app.run_test(size=WITH_PREVIEW[0]) as pilot:
        app.call_later(app.action_go, "runs")
        await until(pilot, lambda: bool(asked))
        await pilot.press("down", "down", "up", "down")
        await until(pilot, lambda: "─runs/c-20261121-120000─" in text_of(app))
        assert not in_vain
        answers.set()
        await until(pilot, lambda: asked[-1] == "c-20261121-120000")
        await idle(pilot)
    assert asked == ["a-20261123-120000", "c-20261121-120000"], "those passed over are not read"


async def test_what_differs_from_the_one_before_or_the_marked_one_is_read_in_full() -> None:
    two, three = logs.two_strategies(), changed(logs.two_strategies(), seeds=[0, 1, 2])
    asked = {"c-20261123-120000": three, "b-20261122-120000": two, "a-20261121-120000": three}
    for name, experiment in asked.items():
        logs.write(OUT / name, logs.events(experiment))
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        assert "Compared with b-20261122-120000" in text_of(app) and " (was 0)" in text_of(app)
        await pilot.press("escape", "end", "space")
        await until(pilot, lambda: bool(app.marks))
        await pilot.press("home", "v")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        assert "Compared with a-20261121-120000" in text_of(app) and "· same settings" in text_of(app)
        await pilot.press("escape", "x", "end", "v")
        await pilot.pause()
        assert not isinstance(app.screen, Reading), "nothing is before it"


async def test_a_strategy_of_which_a_run_was_skipped_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    events = [
        msgspec.structs.replace(event, end="skipped")
        if isinstance(event, ev.RunFinished) and event.run == "resnet18-finetune-0"
        else event
        for event in logs.events()
    ]
    logs.write(OUT / "a-20261121-120000", events)
    (found,) = history.summaries(OUT)
    assert (found.status, found.skipped) == ("finished", ("resnet18-finetune",))
    app = App()
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        assert "» 95.4 %" in text_of(app) and "» 94.8 %" not in text_of(app)
    assert status(["runs"]) == 0
    assert re.search(r"resnet18-finetune +skipped", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("abcdefg", ["ab", "cde", "fg"]),
        ("a三b", ["a", "三b", ""]),
        ("", ["", "", ""]),
        ("三個種子", ["三", "個", "種"]),
    ],
)
def test_a_line_goes_on_from_cell_to_cell(text: str, found: list[str]) -> None:
    assert pieces(text, (2, 3, 2)) == found


def test_another_year_is_told_by_its_date() -> None:
    assert when(logs.BEGAN, 2026) == "11-23 12:00"
    assert when(logs.BEGAN, 2027) == "2026-11-23"
    assert when(None, 2026) == "–"
