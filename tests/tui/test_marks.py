"""Marks in Runs: what is to be compared, by keys."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from textual.events import Key
from textual.pilot import Pilot

from engine.logs import events as ev
from engine.specs.spec import changed
from tests.tui import logs, predicted
from tests.tui.conftest import idle, text_of, until
from tui.app import TlTui
from tui.screens import marking_runs
from tui.screens import runs as runs_screen
from tui.screens.compare import CompareScreen
from tui.screens.runs import RunsScreen
from tui.widgets.dialogs import Tick
from tui.widgets.filter_line import FilterLine
from tui.work import marking


def experiment(
    out: Path, name: str, seeds: tuple[int, ...] = (0,), classes: tuple[str, ...] = ("ants", "bees")
) -> Path:
    told = logs.events(changed(logs.two_strategies(4), seeds=seeds))
    first = told[0]
    assert isinstance(first, ev.ExperimentStarted) and first.data is not None
    told[0] = msgspec.structs.replace(first, name=name, data=msgspec.structs.replace(first.data, classes=classes))
    return logs.write(out / name, told)


async def runs(pilot: Pilot[None], app: TlTui) -> RunsScreen:
    await until(pilot, lambda: app.current_mode == "setup")
    await pilot.press("4")
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.has_read)
    assert isinstance(app.screen, RunsScreen)
    return app.screen


async def marked(pilot: Pilot[None], app: TlTui, number: int) -> None:
    await until(pilot, lambda: len(app.marks) == number)


async def test_what_is_marked_is_compared_and_stays_marked(app: TlTui, tmp_path: Path) -> None:
    experiment(tmp_path, "[b]one-20261123-120000")
    experiment(tmp_path, "two-20261122-120000")
    async with app.run_test(size=(80, 24)) as pilot:
        await runs(pilot, app)
        await pilot.press("space")
        await marked(pilot, app, 1)
        assert text_of(app).count("◆ marked") == 1 and "Compare (3) shows 1 marked experiment;" in text_of(app)
        await pilot.press("down", "space")
        await marked(pilot, app, 2)
        assert text_of(app).count("◆ marked") == 2
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.compared is not None)
        assert "2 marked experiments: [b]one-20261123-120000, two-20261122-120000" in text_of(app)
        screen = app.screen
        assert isinstance(screen, CompareScreen) and screen.compared is not None
        assert len(screen.compared.runs) == 4
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert text_of(app).count("◆ marked") == 2
        await pilot.press("space")
        await marked(pilot, app, 1)
        await pilot.press("x")
        await marked(pilot, app, 0)
        assert "◆" not in text_of(app)


@pytest.mark.parametrize("left", ["nothing", "an empty log"])
async def test_what_becomes_unreadable_once_it_is_marked_is_left_out_and_one_line_says_why(
    app: TlTui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    monkeypatch.setattr(runs_screen, "READ_EVERY", 1000)  # the list would be the first to notice
    experiment(tmp_path, "one-20261123-120000")
    log = experiment(tmp_path, "[b]two-20261122-120000") / "events.jsonl"
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await runs(pilot, app)
        await pilot.press("space", "down", "space")
        await marked(pilot, app, 2)
        log.unlink()
        why = f"its log cannot be read ({log}: No such file or directory)"
        if left == "an empty log":
            log.touch()
            why = "its log no longer has any run"
        said = f"[b]two-20261122-120000 is left out: {why}"
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.compared is not None)
        screen = app.screen
        assert isinstance(screen, CompareScreen) and screen.compared is not None
        assert len(screen.compared.runs) == 2
        assert screen.main.brief.plain.splitlines()[1] == said
        assert "[b]two-20261122-120000 is left out: its log" in text_of(app)
        await pilot.press("e")
        await until(pilot, lambda: bool(app._notifications))
        (told,) = app._notifications
        assert told.message.startswith("Exported: ") and told.message.endswith(said)


async def test_where_nothing_of_what_is_marked_can_be_read_compare_says_why(app: TlTui, tmp_path: Path) -> None:
    log = experiment(tmp_path, "one-20261123-120000") / "events.jsonl"
    async with app.run_test(size=(80, 24)) as pilot:
        await runs(pilot, app)
        await pilot.press("space")
        await marked(pilot, app, 1)
        log.unlink()
        await pilot.press("3")
        await until(pilot, lambda: "one-20261123-120000 is left out: its log cannot be" in text_of(app))


async def test_other_data_are_not_marked_and_one_line_says_why(app: TlTui, tmp_path: Path) -> None:
    experiment(tmp_path, "one-20261123-120000")
    experiment(tmp_path, "two-20261122-120000", classes=("[red]wasps", "bees"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await runs(pilot, app)
        await pilot.press("space")
        await marked(pilot, app, 1)
        await pilot.press("down", "space")
        await until(pilot, lambda: "Not marked" in text_of(app))
        assert "different classes." in " ".join(text_of(app).replace("▌", "").split()) and len(app.marks) == 1


async def test_marks_that_are_asked_for_while_others_are_looked_at_see_each_other(
    app: TlTui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment(tmp_path, "one-20261123-120000")
    experiment(tmp_path, "two-20261122-120000", classes=("wasps", "bees"))
    loaded = threading.Event()
    for module in (marking, marking_runs):
        monkeypatch.setattr(module, "load_for_comparing", lambda: loaded.wait(30))
    read = marking.read_state
    monkeypatch.setattr(marking, "read_state", lambda folder: read(folder) if loaded.wait(30) else None)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await runs(pilot, app)
        await pilot.press("space", "down", "space")
        assert not app.marks
        loaded.set()
        await until(pilot, lambda: "Not marked" in text_of(app))
        assert len(app.marks) == 1
        await pilot.press("x")
        loaded.clear()
        await pilot.press("space", "space")
        loaded.set()
        await idle(pilot)
        assert not app.marks, "the second took the first back"
        loaded.clear()
        await pilot.press("space", "x")
        loaded.set()
        await idle(pilot)
        assert not app.marks, "those that wait were taken away too"
        loaded.clear()
        await pilot.press("m", "1")
        loaded.set()
        await idle(pilot)
        assert app.current_mode == "setup" and not isinstance(app.screen, Tick), "the person has gone on"
        await pilot.press("4")
        loaded.clear()
        await pilot.press("space", "3")
        loaded.set()
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.compared is not None)


async def test_keys_that_arrive_together_mark_one_after_the_other(app: TlTui, tmp_path: Path) -> None:
    for name in ("one-20261123-120000", "two-20261122-120000", "three-20261121-120000"):
        experiment(tmp_path, name)
    async with app.run_test(size=(80, 24)) as pilot:
        await runs(pilot, app)
        for key in ("space", "down", "space", "down", "space", "up"):
            app.post_message(Key(key, " " if key == "space" else None))
        await marked(pilot, app, 3)
        await pilot.press("slash", *"a", "space", *"b")
        assert app.screen.query_one(FilterLine).words == ["a", "b"] and len(app.marks) == 3


@pytest.mark.parametrize("taken_back", [False, True])
async def test_what_is_compared_at_once_waits_for_its_marks(
    app: TlTui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_back: bool
) -> None:
    for name in ("one-20261123-120000", "two-20261122-120000", "three-20261121-120000"):
        experiment(tmp_path, name)
    loaded = threading.Event()
    monkeypatch.setattr(marking, "load_for_comparing", lambda: loaded.wait(30))
    async with app.run_test(size=(120, 40)) as pilot:
        await runs(pilot, app)
        await pilot.press("space", "down", "space", "down", "c")
        assert isinstance(app.screen, RunsScreen)
        if taken_back:
            await pilot.press("up", "space")
        loaded.set()
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.compared is not None)
        assert len(app.marks) == 1 if taken_back else "2 marked experiments" in text_of(app)


async def test_single_runs_are_marked(app: TlTui, tmp_path: Path) -> None:
    folder = experiment(tmp_path, "one-20261123-120000", seeds=(0, 1))
    predicted.write(
        folder, logs.events(changed(logs.two_strategies(4), seeds=(0, 1))), predicted.images(tmp_path / "x")
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await runs(pilot, app)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, Tick))
        await pilot.press("2")  # no mode is left by a key that a window may take for its own
        assert "[ ] resnet18-finetune-1" in text_of(app)
        await pilot.press("space", "down", "down", "down", "space", "enter")
        await marked(pilot, app, 1)
        assert app.marks == {folder: frozenset({"resnet18-finetune-0", "mobilenetv3-extract-1"})}
        assert "◆ 2 runs" in text_of(app)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.compared is not None)
        assert isinstance(app.screen, CompareScreen) and app.screen.compared is not None
        assert [one.run.run for one in app.screen.compared.runs] == ["resnet18-finetune-0", "mobilenetv3-extract-1"]
        await pilot.press("4", "m")
        await until(pilot, lambda: isinstance(app.screen, Tick))
        assert text_of(app).count("[x]") == 2
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert len(app.marks) == 1


@pytest.mark.parametrize("key", ["space", "m"])
async def test_a_damaged_experiment_cannot_be_marked(app: TlTui, tmp_path: Path, key: str) -> None:
    folder = tmp_path / "[bold]broken"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(b"\x00\xff\n")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await runs(pilot, app)
        await pilot.press(key)
        await until(pilot, lambda: "nothing in the log" in " ".join(text_of(app).split()))
        assert not app.marks and isinstance(app.screen, RunsScreen)


@pytest.mark.parametrize(
    ("key", "title", "said"),
    [("space", "Not marked", "The log cannot be read: "), ("m", "The runs cannot be read", "")],
)
async def test_a_log_that_cannot_be_read_any_more_is_not_marked_and_one_line_says_why(
    app: TlTui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, title: str, said: str
) -> None:
    monkeypatch.setattr(runs_screen, "READ_EVERY", 1000)  # the list would be the first to notice
    log = experiment(tmp_path, "one-20261123-120000") / "events.jsonl"
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await runs(pilot, app)
        log.unlink()
        log.mkdir()
        await pilot.press(key)
        await until(pilot, lambda: title in text_of(app))
        (told,) = app._notifications
        assert told.message.startswith(f"{title}: {said}{log}: Is a directory")
        assert not app.marks and isinstance(app.screen, RunsScreen)


def test_a_first_mark_waits_for_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(marking, "load_for_comparing", lambda: pytest.fail("nothing is compared yet"))
    folder = logs.write(tmp_path / "a-20261123-120000", logs.events())
    assert marking.obstacle(folder, None) == ""
    (folder / "events.jsonl").write_text("")
    assert "no longer has any run" in marking.obstacle(folder, None)
