"""Compare and what it opens, by keys, on made-up logs and predictions."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.app import ScreenStackError
from textual.events import Unmount
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from engine.comparison.compare import compare as compare_rows
from engine.comparison.compared_runs import Source
from engine.comparison.predictions import cross_entropies, read
from engine.history.experiment_state import read_state
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.specs.spec import Experiment, changed
from engine.specs.strategy import changed_strategy
from engine.states.state import ExperimentState
from tests.tui import logs, predicted
from tests.tui.conftest import NAME, idle, opened, text_of, until
from tests.tui.test_setup import post
from tui.app import TlTui
from tui.drawing.theme import BLUE, COLOURS, CURSOR, GREEN, GREY, ROSE, rgb
from tui.errors import app_log
from tui.messages import CompareFailed, ComparisonMade, ComparisonStands
from tui.screens import compare as compare_screen
from tui.screens.compare import CompareScreen
from tui.screens.live import LiveScreen
from tui.screens.runs import RunsScreen
from tui.widgets import mistakes
from tui.widgets.comparison_table import ComparisonTable
from tui.widgets.dialogs import Pick, Reading, Tick
from tui.widgets.mistakes import MistakesView
from tui.widgets.picture import Picture
from tui.widgets.run_pane import RunPane
from tui.work import comparing, turns
from tui.work.comparing import compare_all
from tui.work.finding_mistakes import MistakeQuery, MistakeResult, find
from tui.work.loading import LOADING, load_for_comparing
from tui.work.turns import CompareQuery, Turn

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
Snap = Callable[..., bool]


def several_seeds() -> Experiment:
    return changed(logs.two_strategies(6), seeds=(0, 1, 2))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment of two strategies and three seeds, with predictions of pictures that are there."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    told = predicted.agreed(logs.events(several_seeds()))
    made = logs.write(tmp_path / NAME, told)
    monkeypatch.chdir(tmp_path)
    predicted.images(tmp_path / "val")
    predicted.write(made, told, [f"val/image-{number:02}.png" for number in range(predicted.IMAGES)])
    return made


async def compare(pilot: Pilot[None], app: TlTui, folder: Path) -> CompareScreen:
    await opened(pilot, app, folder, "compare")
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    # a log is read in parts, and each may be compared
    await until(
        pilot,
        lambda: (
            app.state.end is not None
            and screen.compared is not None
            and tuple(one.run for one in screen.compared.runs) == app.state.runs
        ),
    )
    return screen


def images(view: MistakesView) -> list[int]:
    """The numbers of the images in the list."""
    return [int(one.path[-6:-4]) for one in view.listing.found]


def test_the_log_and_the_predictions_are_of_the_same_runs(folder: Path) -> None:
    """Else the table and the verdict would show unlike accuracies."""
    for row in compare_rows([Source(read_state(folder), folder)]).runs:
        said = read(folder, row.run, "val")
        assert said is not None and row.val_accuracy is not None and row.val_loss is not None
        assert row.val_accuracy == pytest.approx((said.probabilities.argmax(axis=1) == said.labels).mean())
        assert row.val_loss == pytest.approx(cross_entropies(said).mean(), abs=1e-4)


async def test_what_is_asked_for_while_a_thread_loads_the_same_libraries_comes(app: TlTui, folder: Path) -> None:
    """Of two that load them at once, one would find modules that are not whole."""
    load_for_comparing()  # so that only the other thread is waited for
    async with app.run_test(size=(80, 24)) as pilot:
        with LOADING:
            await app.open_experiment(folder, "compare")
            await until(pilot, lambda: app.current_mode == "compare")
            await until(pilot, lambda: "Comparing …" in text_of(app) and app.state.end is not None)
            await pilot.press("d", "t", "w")
            await pilot.pause(0.3)
            assert "Comparing …" in text_of(app)
        await until(pilot, lambda: "accuracy vs. time" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "val acc" in text_of(app))


async def test_a_comparison_that_comes_too_late_is_not_shown_for_another_experiment(
    app: TlTui, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, loaded, made = threading.Event(), threading.Event(), threading.Event()

    def slow(*given: Any) -> ComparisonMade | CompareFailed | ComparisonStands:
        begun.set()
        loaded.wait(30)
        try:
            return compare_all(*given)
        finally:
            made.set()

    monkeypatch.setattr(comparing, "compare_all", slow)
    (tmp_path / "empty").mkdir()
    async with app.run_test(size=(120, 40)) as pilot:
        await app.open_experiment(folder, "compare")
        await until(pilot, lambda: begun.is_set() and app.state.end is not None)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await app.open_experiment(tmp_path / "empty", "compare")
        await until(pilot, lambda: "Comparing" not in text_of(app))
        loaded.set()
        assert await asyncio.to_thread(made.wait, 30)
        await pilot.pause(0.2)
        assert screen.compared is None and "resnet18" not in text_of(app)


async def test_a_comparison_that_is_made_while_the_app_ends_is_not_shown(
    app: TlTui, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def slow(*given: Any) -> ComparisonMade | CompareFailed | ComparisonStands:
        made = compare_all(*given)
        begun.set()
        end = time.monotonic() + 30
        with suppress(ScreenStackError):  # the screens of the current mode have ended, the others not yet
            while app.screen and time.monotonic() < end:
                time.sleep(0.0001)
        return made

    async def hold(_: ComparisonTable, __: Unmount) -> None:
        while not all(worker.is_finished for worker in app.workers if worker.group == "compare"):
            await asyncio.sleep(0.01)

    monkeypatch.setattr(comparing, "compare_all", slow)
    monkeypatch.setattr(ComparisonTable, "on_unmount", hold, raising=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await app.open_experiment(folder, "compare")
        await until(pilot, lambda: begun.is_set() and app.state.end is not None)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await app.action_go("setup")
    assert screen.compared is None


class Gate:
    """Lets a comparison begin, and go on as often as it is opened; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.ended, self.most = 0, 0, 0
        self._may_go_on = threading.Semaphore(0)
        monkeypatch.setattr(comparing, "compare_all", self._slow)

    def open(self) -> None:
        self._may_go_on.release()

    def _slow(self, *given: Any) -> ComparisonMade | CompareFailed | ComparisonStands:
        self.begun += 1
        self.most = max(self.most, self.begun - self.ended)
        self._may_go_on.acquire(timeout=30)
        self.ended += 1
        return compare_all(*given)


class Counter:
    """Counts the calls of a function of the module that compares."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.calls, self._counted = 0, getattr(comparing, name)
        monkeypatch.setattr(comparing, name, self._count)

    def _count(self, *given: Any) -> Any:
        self.calls += 1
        return self._counted(*given)


def epochs(state: ExperimentState) -> int:
    return sum(len(run.epochs) for run in state.runs)


def epochs_shown(screen: CompareScreen) -> int | None:
    return None if screen.compared is None else sum(len(one.run.epochs) for one in screen.compared.runs)


async def test_epochs_that_come_faster_than_they_are_compared_are_compared_one_after_the_other(
    app: TlTui, present: Callable[[list[AnyEvent]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "REST", 0.0)
    told = logs.events(logs.two_strategies(6))
    at = [number for number, event in enumerate(told, 1) if isinstance(event, ev.EpochFinished)]
    folder, gate = present(told[: at[0]]), Gate(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.open_experiment(folder, "compare")
        await until(pilot, lambda: gate.begun == 1 and epochs(app.state) == 1)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        for number in range(1, 4):
            present(told[at[number - 1] : at[number]])
            await until(pilot, lambda number=number: epochs(app.state) == number + 1)
        assert gate.begun == 1 and "Comparing …" in text_of(app)
        gate.open()
        await until(pilot, lambda: epochs_shown(screen) == 1 and gate.begun == 2)
        assert "resnet18-finetune" in text_of(app), "older than what is asked for by now, but a comparison"
        gate.open()
        await until(pilot, lambda: epochs_shown(screen) == 4)
        await idle(pilot)
        assert gate.begun == 2 and gate.most == 1


async def test_comparing_rests_while_something_trains_and_not_at_its_end(
    app: TlTui, present: Callable[[list[AnyEvent]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = logs.events(logs.two_strategies(6))
    at = [len(logs.until("EpochFinished", number, told)) for number in (1, 2, 3)]
    folder = present(told[: at[0]])
    monkeypatch.setattr(turns, "REST", 1.5)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.open_experiment(folder, "compare")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and epochs_shown(app.screen) == 1)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        assert screen._turn is not None
        rested = screen._turn.rests_until
        monkeypatch.setattr(turns, "REST", 1000)
        present(told[at[0] : at[1]])
        await until(pilot, lambda: epochs_shown(screen) == 2)
        assert time.monotonic() > rested
        present(told[at[1] : at[2]])
        await until(pilot, lambda: epochs(app.state) == 3)
        await idle(pilot)
        assert epochs_shown(screen) == 2
        present(told[at[2] :])
        await until(pilot, lambda: epochs_shown(screen) == 12)


@pytest.mark.parametrize("comes_back", [False, True], ids=["seen", "at the next visit"])
async def test_marked_experiments_are_followed_and_the_same_is_not_compared_again(
    app: TlTui, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    monkeypatch.setattr(compare_screen, "LOOK_EVERY", 1000 if comes_back else 0.05)
    told = logs.events(logs.two_strategies(6))
    begin = len(logs.until("EpochFinished", 2, told))
    other = logs.write(tmp_path / "other", told[:begin])
    looks, made = Counter(monkeypatch, "sources_of"), Counter(monkeypatch, "compare")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(pilot, app, folder)
        app.mark(folder, None)
        app.mark(other, None)
        await until(pilot, lambda: epochs_shown(screen) == 36 + 2)
        await idle(pilot)
        before = looks.calls, made.calls
        if comes_back:
            await pilot.press("2", "3")
        await until(pilot, lambda: looks.calls > before[0] + (0 if comes_back else 2))
        await idle(pilot)
        assert made.calls == before[1]
        if comes_back:
            await pilot.press("2")
        logs.write(other, told[begin:])
        if comes_back:
            await pilot.press("3")
        await until(pilot, lambda: epochs_shown(screen) == 36 + 12)
        assert screen.compared is not None
        assert {row.state for row in screen.compared.comparison.runs} == {"finished"}


async def test_what_was_asked_for_of_one_experiment_does_not_open_of_those_that_are_marked_next(
    app: TlTui, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, gate = logs.write(tmp_path / "other", logs.events()), Gate(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.open_experiment(folder, "compare")
        await until(pilot, lambda: gate.begun == 1 and app.state.end is not None)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await pilot.press("t")
        app.mark(other, None)
        for _ in range(3):
            gate.open()
        await until(pilot, lambda: screen.compared is not None and screen.compared.runs[0].source.folder == other)
        assert screen.view == "table"


async def test_the_details_of_a_line_that_is_still_compared_open_when_it_is(
    app: TlTui, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first visit, and where another view than the table had the focus."""
    other = logs.write(tmp_path / "other", logs.events())
    async with app.run_test(size=(80, 24)) as pilot:
        app.call_later(app.action_go, "compare")
        await until(pilot, lambda: "Nothing to compare" in text_of(app))
        await pilot.press("enter")
        assert isinstance(app.screen, CompareScreen) and app.screen.wanted is None, "nothing is being compared"
        for one in (folder, other):
            gate = Gate(monkeypatch)
            await app.open_experiment(one, "compare")
            await until(pilot, lambda gate=gate, one=one: gate.begun and app.folder == one and bool(app.state.end))
            await pilot.press("enter")
            for _ in range(3):
                gate.open()
            screen = app.screen
            assert isinstance(screen, CompareScreen)
            await until(pilot, lambda screen=screen: screen.view == "detail")
            await pilot.press("escape", "t")


async def test_strategies_and_runs_that_differ_at_the_end_are_told_apart(app: TlTui, tmp_path: Path) -> None:
    """In every place that has no room for their names at 80 × 24."""
    begin, end = "resnet18-finetuned-with-a-rate-of-", "-and-a-cosine-schedule-of-thirty-epochs"
    extract = logs.two_strategies(3).strategies[1]
    one, other = (changed_strategy(extract, name=f"{begin}{rate}{end}") for rate in ("0.001", "0.002"))
    asked = changed(logs.two_strategies(3), strategies=[one, other], seeds=(0, 1))
    told = logs.write(tmp_path / NAME, logs.events(asked))

    def told_apart(*, ends: tuple[str, str], lines: int | None = None) -> bool:
        names = [line for line in text_of(app).splitlines() if any(end in line for end in ends)]
        return len(names) == len(set(names)) > 1 and lines in (None, len(names))

    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(pilot, app, told)
        for keys, view in ((("down", "space"), "table"), (("t",), "cost"), (("escape", "d"), "mistakes")):
            await pilot.press(*keys)
            await until(pilot, lambda view=view: screen.view == view and told_apart(ends=("1…", "2…")))
        await pilot.press("escape", "2")
        await until(pilot, lambda: app.current_mode == "live" and told_apart(ends=("…-0 ", "s-0 "), lines=2))
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.table.current is not None)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, Tick) and told_apart(ends=("1…", "2…")))


def problem(picture: Picture) -> str:
    return picture.drawn.problem if picture.drawn is not None else ""


def names(app: TlTui) -> list[str]:
    """The first words of the table's lines."""
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    return [line.name for line in screen.table.lines]


async def test_strategies_are_unfolded_and_folded(app: TlTui, folder: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(pilot, app, folder)
        assert names(app) == ["resnet18-finetune", "mobilenetv3-extract"]
        assert "▸ resnet18-finetune ×3" in text_of(app)
        await pilot.press("space")
        assert names(app) == ["resnet18-finetune", "seed 0", "seed 1", "seed 2", "mobilenetv3-extract"]
        await pilot.pause()
        assert "▾ resnet18-finetune ×3" in text_of(app) and "seed 2" in text_of(app)
        await pilot.press("down", "down", "space")
        assert names(app) == ["resnet18-finetune", "mobilenetv3-extract"]
        assert screen.table.cursor == 0, "of a run, its strategy's are hidden"


def colours_of(app: TlTui, text: str) -> set[str]:
    """Of the pieces of the screen that begin with this text, those colours that strategies have."""
    pieces = (piece for strip in app.screen._compositor.render_strips() for piece in strip)
    found = {
        piece.style.color.get_truecolor().hex
        for piece in pieces
        if piece.text.strip().startswith(text) and piece.style is not None and piece.style.color is not None
    }
    return found & {rgb(colour) for colour in COLOURS if colour != GREY}


async def test_a_strategy_has_one_colour_in_every_window(app: TlTui, folder: Path) -> None:
    tuned, extract = "resnet18-finetune", "mobilenetv3-extract"
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await compare(pilot, app, folder)

        async def is_coloured(*keys: str, tuned_too: bool = True) -> None:
            await pilot.press(*keys)
            await idle(pilot)
            assert colours_of(app, extract) == {rgb(GREEN)}, keys
            assert colours_of(app, tuned) == ({rgb(BLUE)} if tuned_too else set()), keys

        await is_coloured("s")  # the second strategy comes first, in the table and in the mistakes
        await is_coloured("v")
        await is_coloured("escape", "d")
        wrong = {rgb(ROSE)}
        assert colours_of(app, "A") - wrong == {rgb(GREEN)} and colours_of(app, "B") - wrong == {rgb(BLUE)}
        await is_coloured("escape", "m")
        await pilot.press("escape", "up")
        await is_coloured("enter", tuned_too=False)
        assert screen.detail.charts[0].curves is not None
        assert [series.colour for series in screen.detail.charts[0].curves.series] == [GREY, GREEN]
        await is_coloured("end", *["pagedown"] * 3)  # to the matrices
        await pilot.press("escape", "t")
        await idle(pilot)
        assert colours_of(app, "B") == {rgb(GREEN)} and colours_of(app, "A") == {rgb(BLUE)}
        await pilot.press("2")
        panes = app.screen.query(RunPane)
        await until(pilot, lambda: all(pane.charts[0].curves is not None for pane in panes))
        drawn = [pane.charts[0].curves.series[1].colour for pane in panes if pane.charts[0].curves is not None]
        assert set(drawn) == {BLUE, GREEN}


def column(app: TlTui, sign: str) -> list[int]:
    """Where the sign stands in the table's lines that have it."""
    lines = [line for line in text_of(app).splitlines() if "×3" in line or "   seed " in line]
    return [line.index(sign) for line in lines if sign in line]


async def test_a_key_that_does_nothing_here_does_nothing_in_the_window_that_the_next_one_opens(
    app: TlTui, folder: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        await post(pilot, "escape", "v")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        await pilot.pause()
        assert isinstance(app.screen, Reading)
        await pilot.press("escape")
        screen = app.screen
        assert isinstance(screen, CompareScreen) and screen.table.cursor == 0
        await post(pilot, "enter", "down")
        await until(pilot, lambda: screen.view == "detail")
        await pilot.pause()
        assert screen.table.cursor == 0, "what came behind the key that opened the details is no key of the table"


async def test_intervals_are_drawn_on_one_scale_where_time_and_memory_keep_their_room(app: TlTui, folder: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        shown = f"{text_of(app)}\n"
        assert re.search("val acc  55 {8,9}100   95 % CI +time +[+]memory\n", shown), "its ends above each scale"
        before = column(app, "●")
        assert before == sorted(before) and len(before) == 2, "the second strategy is more accurate"
        await pilot.press("space")
        await pilot.pause()
        finetune, seed_0, seed_1, seed_2, extract = column(app, "●")
        assert [finetune, extract] == before, "a strategy's runs are on its scale"
        assert seed_0 < seed_1 == finetune < seed_2
        assert all(low < mark < high for low, mark, high in zip(*(column(app, sign) for sign in "├●┤"), strict=True))
        await pilot.resize_terminal(60, 16)
        await until(pilot, lambda: not column(app, "●"))
        assert "95 % CI    time" in text_of(app) and "64.1–93.3" in text_of(app)


async def test_the_answer_comes_first_also_in_the_window_of_the_verdict(app: TlTui, folder: Path) -> None:
    said = "Too close to call: mobilenetv3-extract is ahead by 2.8 points"
    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        for key in ("", "v"):
            await pilot.press(*key)
            await pilot.pause()
            lines = [line.strip(" │") for line in text_of(app).splitlines()]
            at = next(number for number, line in enumerate(lines) if line.startswith("Too close to call: mobile"))
            assert at == (2 if not key else at) and lines[at].startswith(said)
            assert lines[at + 1].startswith("difference  ├") and "-10.3 to +15.1 points" in lines[at + 1]
            assert any(line.startswith("mobilenetv3-extract is 2.8 points more") for line in lines[at + 2 : at + 4])


@pytest.mark.parametrize("height", [24, 29, 30, 34, 40, 50])
async def test_what_stands_around_the_table_leaves_its_foot_in_sight(app: TlTui, folder: Path, height: int) -> None:
    """However long the verdict is, and with the runs of a strategy."""
    async with app.run_test(size=(64, height)) as pilot:
        await compare(pilot, app, folder)
        await pilot.press("space")
        await pilot.pause()
        *_, foot, _ = text_of(app).splitlines()
        assert foot.startswith(" val acc: validation accuracy"), foot
        assert "mobilenetv3-extract ×3" in text_of(app)


async def test_columns_are_chosen_and_sort_and_another_experiment_begins_at_the_first(
    app: TlTui, folder: Path, tmp_path: Path
) -> None:
    told = logs.events()
    started = told[0]
    assert isinstance(started, ev.ExperimentStarted)
    other = logs.write(tmp_path / "other", [msgspec.structs.replace(started, name="other"), *told[1:]])
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(pilot, app, folder)
        assert "val acc: validation accuracy" in text_of(app)
        await pilot.press("s")
        await pilot.pause()
        assert "val acc▾" in text_of(app) and names(app) == ["mobilenetv3-extract", "resnet18-finetune"]
        assert screen.table.cursor == 1, "it stays with its strategy"
        await pilot.press("space")
        assert names(app)[2:] == ["seed 2", "seed 1", "seed 0"]
        await pilot.press("s")
        await pilot.pause()
        assert "val acc▴" in text_of(app)
        assert names(app) == ["resnet18-finetune", "seed 0", "seed 1", "seed 2", "mobilenetv3-extract"]
        await pilot.press("s")
        await pilot.pause()
        assert "▴" not in text_of(app)
        assert names(app) == ["resnet18-finetune", "seed 0", "seed 1", "seed 2", "mobilenetv3-extract"]
        await pilot.press(*["right"] * 30, "s")
        await pilot.pause()
        assert screen.table.measure is screen.table.measures[-1]
        assert "params▴" in text_of(app) and "total parameters" in text_of(app)
        assert names(app)[0] == "mobilenetv3-extract", "fewer are better"
        assert any("←" in line for line in text_of(app).splitlines())
        assert max(map(len, text_of(app).splitlines())) <= 80
        assert screen.table.first_column > 0
        await compare(pilot, app, other)
        assert screen.table.first_column == screen.table.column == 0


async def test_what_is_open_closes_for_other_experiments_alone(app: TlTui, folder: Path, tmp_path: Path) -> None:
    other = logs.write(tmp_path / "other", logs.events())
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await compare(pilot, app, folder)
        await pilot.press("t")
        await until(pilot, lambda: screen.view == "cost")
        before = screen.compared
        first, *others = app.state.runs
        app.state = msgspec.structs.replace(app.state, runs=(msgspec.structs.replace(first, status="stopped"), *others))
        screen.show(app.state)
        await until(pilot, lambda: screen.compared is not before)
        assert screen.view == "cost"
        app.marks[other] = None
        screen.show(app.state)
        await until(pilot, lambda: screen.view == "table")
        app.marks.clear()
        copied = shutil.copytree(folder, tmp_path / "copied")  # its experiment has the same name
        await compare(pilot, app, folder)
        await pilot.press("t")
        await until(pilot, lambda: screen.view == "cost")
        app.turn_to(copied)
        screen.show(app.state)
        assert screen.view == "table"
        await pilot.press("2", "right")
        assert isinstance(app.screen, LiveScreen) and app.screen.chosen == 1
        app.turn_to(folder)
        app.screen.show(app.state)
        assert app.screen.chosen is None


async def test_an_answer_to_what_was_asked_before_is_not_shown(
    app: TlTui, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.open_experiment(folder, "compare")
        await until(pilot, lambda: gate.begun == 1 and app.state.end is not None)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        app.forget(folder)
        gate.open()
        await until(pilot, lambda: gate.ended == 1)
        await pilot.pause(0.2)
        assert screen.compared is None and "Nothing to compare" in text_of(app)


def test_the_same_is_compared_in_turns_with_rests_as_long_as_each_took_while_something_trains() -> None:
    turn = Turn(CompareQuery(ExperimentState(), None, {}, None), began=10)
    assert turn.wait(11, trains=True) == turn.wait(11, trains=False) == inf
    turn.end(15)
    assert turn.wait(16, trains=True) == 4 and turn.wait(20, trains=True) == turn.wait(16, trains=False) == 0
    short = Turn(turn.query, began=20)
    short.end(20.5)
    assert short.wait(20.5, trains=True) == turns.REST


async def test_no_image_of_one_experiment_stands_under_the_names_of_another(
    app: TlTui, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = logs.write(tmp_path / "other", logs.events(several_seeds()))
    reads = threading.Event()
    reads.set()

    def slow(asked: MistakeQuery) -> MistakeResult:
        reads.wait(30)
        return find(asked)

    monkeypatch.setattr(mistakes, "find", slow)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await compare(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: bool(screen.mistakes.listing.found))
        await pilot.press("escape")
        await compare(pilot, app, other)
        reads.clear()
        await pilot.press("d", "w")
        assert "reading …" in text_of(app) and "image-" not in text_of(app)
        await pilot.press("o")
        assert app.clipboard == ""
        reads.set()
        await until(pilot, lambda: "not saved, or damaged" in text_of(app))


@pytest.mark.parametrize("height", [24, 40])
async def test_that_there_is_no_result_is_said_once_with_the_reason(
    app: TlTui, present: Callable[[list[AnyEvent]], Path], height: int
) -> None:
    told = logs.events(logs.two_strategies(2))
    begun = logs.until("RunStarted", 1, told)
    folder = present(begun)
    async with app.run_test(size=(80, height)) as pilot:
        await opened(pilot, app, folder, "compare")
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        lines = [line.strip() for line in text_of(app).splitlines()]
        assert [line for line in lines if "result" in line] == ["No run has a result · still training"]
        assert lines[3 if height == 24 else 4].startswith("not equal: ")
        present([ev.ExperimentFinished(end="failed", error="the disk [b]is full")])
        await until(pilot, lambda: "the disk [b]is full" in text_of(app))
        assert text_of(app).count("No run has a result") == 1 and "still training" not in text_of(app)


async def test_the_verdict_and_what_differs_are_whole_in_a_window_and_above_the_table_where_there_is_room(
    app: TlTui, tmp_path: Path
) -> None:
    named = [
        changed_strategy(one, name=f"{one.name}-with-a-very-long-name") for one in logs.two_strategies(2).strategies
    ]
    told = logs.write(tmp_path / NAME, logs.events(changed(logs.two_strategies(2), strategies=named)))
    async with app.run_test(size=(60, 16)) as pilot:
        await compare(pilot, app, told)
        await until(pilot, lambda: "… v shows all of it" in text_of(app))
        for size in ((80, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: ("step size" in text_of(app)) == (size == (120, 40)))
            await pilot.press("v")
            await until(pilot, lambda: isinstance(app.screen, Reading))
            assert isinstance(app.screen, Reading)
            lines = app.screen.text.plain.partition("Settings that differ")[2].splitlines()
            assert 40 < max(map(len, lines)) <= app.screen.query_one(Static).content_size.width
            await pilot.press("end")
            await pilot.pause()
            assert "learning rate" in text_of(app) and "ExponentialLR" in text_of(app)
            await pilot.press("escape")
        await pilot.resize_terminal(200, 24)
        await until(pilot, lambda: "of it" not in text_of(app))


async def test_in_the_smallest_window_what_is_shown_is_said_whole(app: TlTui, folder: Path) -> None:
    async with app.run_test(size=(60, 16)) as pilot:
        await compare(pilot, app, folder)
        for key, said in (("t", "time; means"), ("d", "neither 1 of 24"), ("m", "rows: true class")):
            await pilot.press(key)
            await until(pilot, lambda said=said: any(line.endswith(said) for line in text_of(app).splitlines()))
            await pilot.press("escape")


async def test_the_positive_class_is_chosen_and_exported(app: TlTui, folder: Path) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await compare(pilot, app, folder)
        assert screen.compared is not None and screen.compared.comparison.positive == "bees"
        before = [row.scores.sensitivity for row in screen.compared.comparison.runs if row.scores]
        assert len(before) == 6
        await pilot.press("p")
        await until(pilot, lambda: screen.compared is not None and screen.compared.comparison.positive == "ants")
        after = [row.scores for row in screen.compared.comparison.runs if row.scores]
        assert [one.specificity for one in after] == before
        written = folder / "comparison.json"
        for mode in ("3", "2"):
            await pilot.press(mode, "e")
            await until(pilot, lambda: "Exported" in text_of(app))
            assert json.loads(written.read_text())["positive"] == "ants", mode
            written.unlink()
            app.clear_notifications()
            await until(pilot, lambda: "Exported" not in text_of(app))


async def test_a_line_opens_its_detail(app: TlTui, folder: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        await pilot.press("enter")
        await until(pilot, lambda: "balanced accuracy" in text_of(app))
        assert "resnet18-finetune  3 seeds" in text_of(app)
        assert "loss, mean of 3" not in text_of(app)
        await pilot.press(*["pagedown"] * 4)
        await pilot.pause()
        assert "Confusion on the validation images" in text_of(app)
        await pilot.press("right")
        await until(pilot, lambda: "mobilenetv3-extract  3 seeds" in text_of(app))
        await pilot.press("c")
        await until(pilot, lambda: "accuracy, mean of 3" in text_of(app) and "loss, mean of 3" in text_of(app))
        await pilot.press("c")
        await until(pilot, lambda: "gap, mean of 3" in text_of(app) and "loss, mean of 3" not in text_of(app))
        await pilot.press("c")
        await until(pilot, lambda: "Confusion on" in text_of(app) or "balanced accuracy" in text_of(app))
        await pilot.press("escape", "up", "space", "down", "enter")
        await until(pilot, lambda: "resnet18-finetune  seed 0" in text_of(app))
        assert "mean of" not in text_of(app)


async def test_accuracy_against_each_cost_above_letters_that_scroll(app: TlTui, tmp_path: Path) -> None:
    tuned, extract = logs.two_strategies(2).strategies
    many = [tuned, *(changed_strategy(extract, name=f"strategy-{number:02}") for number in range(20))]
    folder = logs.write(tmp_path / NAME, logs.events(changed(logs.two_strategies(2), strategies=many)))
    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        await pilot.press("t")
        await until(pilot, lambda: "accuracy vs. time (log scale)" in text_of(app))
        assert "B strategy-00" in text_of(app) and "strategy-19" not in text_of(app)
        await pilot.press(*["down"] * 20)
        await until(pilot, lambda: "strategy-19" in text_of(app))
        for cost in ("memory", "CPU time", "time"):
            await pilot.press("m")
            await until(pilot, lambda cost=cost: f"accuracy vs. {cost}" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "val acc" in text_of(app))


async def test_images_that_one_or_neither_gets_right(app: TlTui, folder: Path) -> None:
    wrong_a, wrong_b = set(range(0, 24, 6)), set(range(0, 24, 5))  # the second run is the more accurate: A
    only_a, only_b = wrong_b - wrong_a, wrong_a - wrong_b
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await compare(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: "▀" in text_of(app))
        shown = text_of(app)
        assert (
            "A mobilenetv3-extract · seed 0" in shown
            and f"only A right {len(only_a)} · neither 1 of 24 val images" in shown
        )
        assert "B resnet18-finetune · seed 0" in shown and f"only B right {len(only_b)}" in shown
        view = app.screen.query_one(MistakesView)
        surest = sorted(only_a | only_b, reverse=True)
        assert images(view) == surest
        assert "✗  conf.  image" in shown, "with which confidence it is wrong"
        assert f"image-{surest[0]:02}.png" in shown and "✗ ants  95.3 %   bees 4.7 %" in shown
        await pilot.press("down")
        await until(pilot, lambda: "✗ ants  94.3 %" in text_of(app))
        await pilot.press("o")
        assert app.clipboard == f"val/image-{surest[1]:02}.png"
        await pilot.press("w")
        assert images(view) == sorted(only_a, reverse=True)
        await pilot.press("w")
        assert images(view) == sorted(only_b, reverse=True)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "filter: B right, ants" in text_of(app))
        assert images(view) == [number for number in sorted(only_b, reverse=True) if number < 12]
        await pilot.press("w")
        await until(pilot, lambda: "filter: neither, ants" in text_of(app))
        assert images(view) == sorted(wrong_a & wrong_b)
        assert "–  AB" in text_of(app)
        await pilot.press("end", "home", "pagedown", "pageup")
        await pilot.press("escape")
        await until(pilot, lambda: "val acc" in text_of(app))


async def test_the_images_of_two_runs_are_of_the_part_on_which_they_are_compared(app: TlTui, tmp_path: Path) -> None:
    test = ev.Metrics(0.3, 2 / 3, 3)
    told = [
        msgspec.structs.replace(event, test=test) if isinstance(event, ev.RunFinished) else event
        for event in logs.events(logs.two_strategies(3))
    ]
    folder = logs.write(tmp_path / NAME, told)
    tested = predicted.images(tmp_path / "test", ["one.png", "two.png", "three.png"])
    predicted.write(folder, told, predicted.images(tmp_path / "val"), test_paths=tested)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(pilot, app, folder)

        def are_tested() -> bool:
            return "only A right 1 · neither 0 of 3 test images" in text_of(app) and {
                one.path for one in screen.mistakes.listing.found
            } == {*tested[:2]}

        await pilot.press("d")
        await until(pilot, are_tested)
        assert screen.compared is not None
        screen.mistakes.show(replace(screen.compared))
        await idle(pilot)
        assert are_tested(), "also of the same runs in another comparison"
        await pilot.press("escape", "w")
        await until(pilot, lambda: "wrong on 1 of 3 test images" in text_of(app))
        await pilot.press("escape", "d")
        await until(pilot, are_tested)


async def test_the_images_that_a_run_gets_most_wrong(app: TlTui, folder: Path) -> None:
    tuned = [set(range(0, 24, every)) for every in (5, 7, 9)]  # what each of its runs gets wrong
    others = set.union(*(set(range(0, 24, every)) for every in (6, 8, 10)))
    wrong = set.union(*tuned)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await compare(pilot, app, folder)
        view = app.screen.query_one(MistakesView)
        await pilot.press("w")
        await until(pilot, lambda: "▀" in text_of(app))
        shown = text_of(app)
        assert "A resnet18-finetune · 3 seeds" in shown and "any run wrong 10, all 1 of 24 val images" in shown
        assert "B mobilenetv3-extract · 3 seeds" in shown and f"all runs right {len(wrong - others)}" in shown
        later = [number for number in sorted(wrong, reverse=True) if number]
        assert images(view) == [0, *later], "all three are wrong of the first; they are surer of later ones"
        assert "✓      loss  wrong  image" in shown
        assert "–      1.31    3/3  image-00.png" in shown and "B      1.08    1/3  image-21.png" in shown
        assert "label  ants   wrong  A 3/3, B 3/3" in shown
        await pilot.press("down")
        await until(pilot, lambda: "label  bees   wrong  A 1/3, B 0/3" in text_of(app))
        await pilot.press("w")
        await until(pilot, lambda: "filter: B right" in text_of(app))
        assert images(view) == sorted(wrong - others, reverse=True)
        await pilot.press("w")
        await until(pilot, lambda: "filter: neither" in text_of(app))
        assert images(view) == [0, *(number for number in later if number in others)]
        await pilot.press("w", "escape")
        await until(pilot, lambda: "val acc" in text_of(app))

        await pilot.press("space", "down", "down", "w")
        await until(pilot, lambda: "A resnet18-finetune · seed 1" in text_of(app))
        assert images(view) == sorted(range(0, 24, 7), reverse=True)
        screen.show(msgspec.structs.replace(app.state, interrupted=True, error="told again"))
        await idle(pilot)
        assert "A resnet18-finetune · seed 1" in text_of(app) and view.asked is not None and view.asked.worst
        assert "B mobilenetv3-extract · seed 1" in text_of(app) and "wrong on 4 of 24 validation images" in text_of(app)
        assert "✓      loss  image" in text_of(app) and "wrong  A" not in text_of(app)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        assert app.screen.query_one(OptionList).option_count == 8, "two strategies, and three runs of each"
        await pilot.press("home", "enter")
        await until(pilot, lambda: "B, the run to compare with" in text_of(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: "A resnet18-finetune · 3 seeds" in text_of(app))
        assert "B mobilenetv3-extract · seed 2" in text_of(app)
        await pilot.press("escape", "d")
        await until(pilot, lambda: "only A right" in text_of(app) and "conf." in text_of(app))


async def test_of_a_single_run_the_worst_images_and_of_none_a_word(app: TlTui, tmp_path: Path) -> None:
    asked = changed(logs.two_strategies(3), strategies=logs.two_strategies(3).strategies[:1])
    told = logs.events(asked)
    folder = logs.write(tmp_path / NAME, told)
    predicted.write(folder, told, predicted.images(tmp_path / "val"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await compare(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: "w in the table" in text_of(app))
        await pilot.press("escape", "w")
        await until(pilot, lambda: "wrong on 5 of 24 validation images" in text_of(app))
        assert screen.mistakes.asked is not None and len(screen.mistakes.asked.sides) == 1
        (folder / "predictions" / "resnet18-finetune-0.safetensors").unlink()
        await pilot.press("escape", "w")
        await until(pilot, lambda: "not saved, or damaged" in text_of(app))
        await pilot.press("escape")
        compared = screen.compared
        assert compared is not None

        def otherwise(**values: Any) -> None:
            rows = tuple(msgspec.structs.replace(row, **values) for row in compared.comparison.runs)
            screen.compared = replace(compared, comparison=msgspec.structs.replace(compared.comparison, runs=rows))
            screen.table.show(screen.compared.comparison)

        otherwise(test_accuracy=0.9)
        await pilot.press("w", "escape")
        assert screen.mistakes.asked.part == "test", "as the matrix, where all were tested"
        otherwise(best_epoch=None)
        await pilot.press("w")
        await until(pilot, lambda: "resnet18-finetune has no result yet" in text_of(app))
        assert screen.view == "table"


async def test_a_window_to_choose_from_marks_its_line_as_the_table_does(app: TlTui, folder: Path) -> None:
    def under_cursor(text: str) -> set[str]:
        pieces = [piece for strip in app.screen._compositor.render_strips() for piece in strip if text in piece.text]
        return {piece.style.bgcolor.get_truecolor().hex for piece in pieces if piece.style and piece.style.bgcolor}

    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        assert rgb(CURSOR) in under_cursor("resnet18-finetune")
        await pilot.press("m", "r")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        assert rgb(CURSOR) in under_cursor("resnet18-finetune")
        assert rgb(CURSOR) not in under_cursor("mobilenetv3-extract")


async def test_other_runs_are_chosen_to_disagree(app: TlTui, folder: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: "only A right 4" in text_of(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        assert app.screen.query_one(OptionList).option_count == 6
        await pilot.press("end", "enter")
        await until(pilot, lambda: "B, the run to compare with" in text_of(app))
        await pilot.press("home", "enter")
        await until(pilot, lambda: "A mobilenetv3-extract · seed 2" in text_of(app))
        assert "B resnet18-finetune · seed 0" in text_of(app)


async def test_pictures_that_are_gone_and_predictions_that_are_not_there(app: TlTui, folder: Path) -> None:
    (folder.parent / "val" / "image-20.png").unlink()
    (folder.parent / "val" / "image-18.png").write_bytes(b"[red]no image")
    async with app.run_test(size=(80, 24)) as pilot:
        await compare(pilot, app, folder)
        await pilot.press("d")
        picture = app.screen.query_one(Picture)
        await until(pilot, lambda: problem(picture) == "no such file or directory")
        assert "cannot be shown" in text_of(app)
        await pilot.press("down")
        await until(pilot, lambda: problem(picture) == "not an image format that can be read")
        await pilot.press("down")
        await until(pilot, lambda: "▀" in text_of(app))


@pytest.mark.parametrize("what", ["comparison", "mistakes"])
async def test_an_error_that_nobody_foresaw_is_told_and_the_app_goes_on(
    what: str, app: TlTui, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"broken [b]{what}")

    place = "tui.work.comparing.compare" if what == "comparison" else "engine.comparison.mistakes.mistakes"
    monkeypatch.setattr(place, broken)
    async with app.run_test(size=(120, 40)) as pilot:
        if what == "comparison":
            await opened(pilot, app, folder, "compare")
        else:
            await compare(pilot, app, folder)
            await pilot.press("d")
        await until(pilot, lambda: f"RuntimeError: broken [b]{what}" in text_of(app))
    assert "broken" in app_log().read_text()


async def test_hostile_names_of_classes_and_files(app: TlTui, tmp_path: Path) -> None:
    told = logs.events(several_seeds())
    first = told[0]
    assert isinstance(first, ev.ExperimentStarted)
    classes = ("[red]a\x1b[2J", "[/b]\u202e")
    told[0] = msgspec.structs.replace(first, data=msgspec.structs.replace(first.data, classes=classes))
    folder = logs.write(tmp_path / NAME, told)
    hostile = [f"[b]{number}\x1b]0;x\x07\u202e.png" for number in range(predicted.IMAGES)]
    predicted.write(folder, told, predicted.images(tmp_path / "v", hostile), classes)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await compare(pilot, app, folder)
        for keys in (("enter",), ("escape", "d"), ("o",), ("down",), ("c",), ("escape", "escape", "p"), ("v",)):
            await pilot.press(*keys)
            await idle(pilot)
            shown = text_of(app)
            assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown), keys
        await pilot.press("escape", "d")
        await until(pilot, lambda: "[red]a\\x1b[2J" in text_of(app))


def of_data(name: str) -> list[ev.AnyEvent]:
    """What one more experiment told, on data of this name."""
    first, *others = logs.events(logs.two_strategies(3))
    assert isinstance(first, ev.ExperimentStarted)
    return [msgspec.structs.replace(first, data=msgspec.structs.replace(first.data, name=name)), *others]


async def test_the_header_tells_of_what_is_compared(app: TlTui, folder: Path, tmp_path: Path) -> None:
    other = logs.write(tmp_path / "other", of_data("wolves")[:-1])
    async with app.run_test(size=(120, 40)) as pilot:
        await compare(pilot, app, folder)
        app.mark(other, None)
        await until(pilot, lambda: "wolves · 244 train" in text_of(app))
        assert "interrupted" in text_of(app) and "ants-bees ·" not in text_of(app), "the other's end"
        app.mark(folder, None)
        await until(pilot, lambda: "2 marked experiments" in text_of(app))
        head, *_ = text_of(app).splitlines()
        assert "244 train / 153 val · 2 classes" in head
        assert "finished" not in head and "interrupted" not in head, "one did, one was"
        await pilot.press("2")
        await until(pilot, lambda: "ants-bees ·" in text_of(app).splitlines()[0])
        assert "finished" in text_of(app).splitlines()[0], "in other modes of the one that is open"


async def test_export_writes_what_is_marked(app: TlTui, folder: Path) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await compare(pilot, app, folder)
        app.marks[folder] = frozenset({"resnet18-finetune-0", "mobilenetv3-extract-0"})
        await pilot.press("3")
        await until(pilot, lambda: len(names(app)) == 2 and "×3" not in text_of(app))
        await pilot.press("e")
        await until(pilot, lambda: "Exported" in text_of(app))
        written = json.loads((folder / "comparison.json").read_text())
        assert [run["run"] for run in written["runs"]] == ["resnet18-finetune-0", "mobilenetv3-extract-0"]
        assert not (app.out / "comparison.json").exists(), "it is of one experiment"


async def test_export_is_in_the_one_experiment_or_beside_several_and_says_where(
    app: TlTui, folder: Path, tmp_path: Path
) -> None:
    other = logs.write(tmp_path / "other", of_data("wolves"))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await compare(pilot, app, folder)

        async def exported() -> str:
            app.clear_notifications()
            await pilot.press("e")
            await until(pilot, lambda: bool(app._notifications))
            (told,) = app._notifications
            return told.message

        app.mark(other, None)
        networks = "; the trained networks are in its checkpoints"
        assert await exported() == f"Exported: {other}/comparison.csv, .json and .md{networks}"
        assert json.loads((other / "comparison.json").read_text())["experiment"] == "ants-bees-20261123-120000"
        assert not (folder / "comparison.json").exists() and not (app.out / "comparison.json").exists()
        app.mark(folder, None)
        assert await exported() == f"Exported: {app.out}/comparison.csv, .json and .md"
        assert (app.out / "comparison.json").exists()


def snapped(app: TlTui, folder: Path, *keys: str) -> Callable[[Pilot[None]], object]:
    async def show(pilot: Pilot[None]) -> None:
        screen = await compare(pilot, app, folder)
        for key in keys:
            await pilot.press(key)
            await idle(pilot)
        if {"d", "w"} & {*keys}:
            picture = screen.query_one(Picture)
            await until(pilot, lambda: picture.drawn is not None and picture.drawn is picture.ready)
        await idle(pilot)

    return show


@SIZES
@pytest.mark.parametrize(
    "keys",
    [("space", "right", "s"), ("enter",), ("t",), ("d", "down"), ("m",), ("w",)],
    ids=["unfolded", "detail", "plot", "images", "matrix", "worst"],
)
def test_views_look_right(
    snap_compare: Snap, app: TlTui, folder: Path, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    assert snap_compare(app, terminal_size=size, run_before=snapped(app, folder, *keys))


@pytest.mark.parametrize("keys", [("space",), ("d",)], ids=["table", "images"])
def test_views_in_ascii_without_colour(
    snap_compare: Snap, app: TlTui, folder: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TL_TUI_ASCII", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = TlTui(app.out, clock=app.clock)
    assert snap_compare(plain, terminal_size=(80, 24), run_before=snapped(plain, folder, *keys))


async def test_words_that_were_asked_for_do_not_come_over_another_mode(
    app: TlTui, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()
    monkeypatch.setattr(comparing, "compare_all", lambda *given: loaded.wait(30) and compare_all(*given))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.open_experiment(folder, "compare")
        await until(pilot, lambda: "Comparing …" in text_of(app) and app.state.end is not None)
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await pilot.press("v", "4")
        loaded.set()
        await until(pilot, lambda: screen.compared is not None)
        assert app.screen is app.screen_stack[0] and app.current_mode == "runs"
