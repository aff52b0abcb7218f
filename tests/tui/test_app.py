"""The app through its keys, on made-up logs."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest
from rich.color import Color
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from engine.errors import UserError
from engine.hosts import process, thread
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.logs.folder import COMMANDS, WRITER_LOCK
from engine.logs.log import LineReader, command_reader, send_command
from engine.specs import spec
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
from engine.states.replay import replay
from engine.states.state import RunState
from tests.tui import logs
from tests.tui.conftest import opened, text_of, until
from tests.tui.test_setup import post
from tui.app import TlTui
from tui.drawing.theme import CURSOR
from tui.errors import app_log
from tui.messages import StateRead
from tui.naming import called
from tui.screens.add_strategy import AddStrategy
from tui.screens.compare import CompareScreen
from tui.screens.live import LiveScreen
from tui.screens.pick_folder import PickFolder
from tui.screens.runs import RunsScreen
from tui.widgets import run_pane
from tui.widgets.comparison_table import ComparisonTable
from tui.widgets.dialogs import Leaving, Pick, Question, Reading, Tick
from tui.widgets.key_line import KeyLine
from tui.widgets.notices import TOLD_FOR
from tui.widgets.path_input import PathInput
from tui.widgets.run_pane import RunPane
from tui.widgets.runs_table import RunsTable
from tui.words.run_words import KEPT_IF_STOPPED
from tui.work import follow
from tui.work.hosting import Hosting, NotStarted, OthersTrain, Outcome

Log = Callable[[list[AnyEvent]], Path]
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


def sent(folder: Path) -> list[str]:
    return [command.action for command in command_reader(folder).read()]


class Host:
    """Stands for an experiment that trains in this process until it is told to stop."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.error, self.problem, self.alive = folder, "", "", True
        self.asked: list[str] = []

    def is_alive(self) -> bool:
        return self.alive

    def ask(self, action: str) -> None:
        self.asked.append(action)


def held_up(begins: threading.Event, started: Callable[[], Host]) -> Callable[..., Host]:
    """What starts or resumes an experiment, not before ``begins`` is set."""

    def start(*_: object) -> Host:
        begins.wait(20)
        return started()

    return start


async def starts(pilot: Pilot[None], app: TlTui) -> None:
    """Asks for an experiment from Setup; what becomes of that is the test's."""
    await until(pilot, lambda: app.current_mode == "setup")
    await app.lifecycle.start(logs.two_strategies(), beside_others=True)


STOPPED = [
    ev.RunFinished(run="resnet18-finetune-0", end="stopped", seconds=9.0, cpu_seconds=9.0, memory=ev.Memory(1, 1)),
    ev.ExperimentFinished(end="stopped"),
]


async def test_every_mode_is_a_key_away(whole_app: TlTui, past: Log) -> None:
    app = whole_app
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        await opened(pilot, app, past(logs.events()))
        for key, mode in (("3", "compare"), ("4", "runs"), ("2", "live"), ("1", "setup"), ("2", "live")):
            await pilot.press(key)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            assert "ants-bees · 244 train / 153 val · 2 classes" in text_of(app).splitlines()[0]


@pytest.mark.parametrize("leads_to_compare", ["3", "c", "enter"])
async def test_keys_that_come_with_one_that_leads_to_another_mode_act_there(
    app: TlTui, past: Log, leads_to_compare: str
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, past(logs.events()))
        await pilot.press("4")
        await until(pilot, lambda: "✓ finished" in text_of(app))
        await post(pilot, leads_to_compare, "enter")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.view == "detail")
        await post(pilot, "4", "n", "x", "escape", "l", "right")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.chosen == 1)
        await post(pilot, "3", "4", "v")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app._notifications))


async def test_a_run_that_trains(app: TlTui, present: Log) -> None:
    folder = present(logs.until("Progress", 10, logs.events()))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        shown = text_of(app)
        for words in (
            "resnet18-finetune · seed 0 · resnet18─",
            "● training",
            "epoch 4/12",
            "step 6/8 · 91 images/s",
            "best 83.0 % @3",
            "ETA 0:",
            "every layer · 11.2 M parameters · fp32",
        ):
            assert words in shown, words
        assert "interrupted" not in shown
        logs.write(folder, logs.events()[len(logs.until("Progress", 10, logs.events())) :])
        await until(pilot, lambda: app.state.end == "finished")
        shown = text_of(app)
        assert "✓ finished" in shown and "95.4 %" in shown and "38.8 s" in shown


async def test_where_nobody_presses_a_key_numbers_wait_for_the_next_one(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "UNWATCHED", follow.UNWATCHED._replace(numbers=3600, epochs=3600))
    begun = logs.until("Progress", 10, logs.events())
    folder = present(begun)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        assert "step 6/8" in text_of(app)
        app._pressed -= 60
        logs.write(folder, [msgspec.structs.replace(begun[-1], step=7)])
        await pilot.pause(2)
        assert "step 6/8" in text_of(app)
        await pilot.press("c")
        await until(pilot, lambda: "step 7/8" in text_of(app))


async def test_the_clock_moves_with_what_is_read_and_by_itself_where_nothing_is(app: TlTui, past: Log) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, past(logs.events()))
        app.clock = lambda: datetime(2026, 11, 23, 12, 5, 0)
        app._read_at = monotonic() + 60
        app._tick()
        await pilot.pause()
        assert "12:04:31" in text_of(app)
        app.post_message(StateRead(app.folder, app.state))  # type: ignore[arg-type]
        await pilot.pause()
        assert "12:05:00" in text_of(app)
        app.clock = lambda: datetime(2026, 11, 23, 12, 6, 0)
        app._read_at -= 60
        app._tick()
        await pilot.pause()
        assert "12:06:00" in text_of(app)


async def test_small_turns_through_charts_and_runs(app: TlTui, past: Log) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, past(logs.events()))
        assert "accuracy  ┄" in text_of(app) and "memory " not in text_of(app)
        await pilot.press("c")
        await pilot.pause()
        assert "learning rate" in text_of(app) and "memory " in text_of(app) and "accuracy  ┄" not in text_of(app)
        assert "─resnet18-finetune · seed 0" in text_of(app)
        await pilot.press("right")
        await pilot.pause()
        assert "─mobilenetv3-extract · seed 0" in text_of(app)
        assert "▸ ✓ mobilenetv3-extract-0" in text_of(app)
        await pilot.press("right")
        await pilot.pause()
        assert "─resnet18-finetune · seed 0" in text_of(app)


async def test_many_runs_are_a_list_around_the_selected_one(app: TlTui, past: Log) -> None:
    many = spec.changed(logs.two_strategies(3), seeds=list(range(5)))
    async with app.run_test(size=(120, 30)) as pilot:
        await opened(pilot, app, past(logs.events(many)))
        await pilot.press("left")  # from the first to the last
        await pilot.pause()
        shown = text_of(app)
        assert "▸ ✓ mobilenetv3-extract-4" in shown and "▹ ✓ resnet18-finetune-4" in shown
        assert "resnet18-finetune · seed 4" in shown and "resnet18-finetune-0" not in shown
        for key, run in (("home", "resnet18-finetune-0"), ("pagedown", "mobilenetv3-extract-2")):
            await pilot.press(key)
            assert f"▸ ✓ {run}" in text_of(app), key
        for key, run in (("end", "mobilenetv3-extract-4"), ("pagedown", "mobilenetv3-extract-4")):
            await pilot.press(key)
            assert f"▸ ✓ {run}" in text_of(app), key
        await pilot.press("pageup")
        assert "▸ ✓ resnet18-finetune-2" in text_of(app)


async def test_live_says_the_name_of_a_run_once(app: TlTui, present: Log) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, present(logs.until("Progress", 10, logs.events())))
        assert "○ waiting  next" in text_of(app)
        assert text_of(app).count("resnet18-finetune") == text_of(app).count("mobilenetv3-extract") == 1


async def test_the_line_under_the_cursor_looks_alike_in_every_mode(whole_app: TlTui, past: Log) -> None:
    app, folder = whole_app, past(logs.events(spec.changed(logs.two_strategies(3), seeds=[0, 1])))

    def grounds(words: str) -> list[object]:
        """What the cells of the one line with these words stand on, from their beginning to their end."""
        for strip in app.screen._compositor.render_strips():
            if (at := strip.text.find(words)) >= 0:
                return [one.style and one.style.bgcolor for one in strip.crop(at, at + len(words))]
        return []

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "[x] resnet18-finetune" in text_of(app))
        found = {"setup": grounds("[x] resnet18-finetune")}
        await opened(pilot, app, folder)
        found["live"] = grounds("▸ ✓ resnet18-finetune-0 ")
        await pilot.press("4")
        await until(pilot, lambda: "✓ finished" in text_of(app))
        found["runs"] = grounds(" resnet18-finetune ")
        await pilot.press("3")
        await until(pilot, lambda: "▸ resnet18-finetune ×2" in text_of(app))
        found["compare"] = grounds("▸ resnet18-finetune ×2")
    assert found == {mode: [Color.from_rgb(*CURSOR)] * len(some) for mode, some in found.items()}
    assert all(found.values()) and len(found) == 4


def test_what_a_waiting_run_will_do_is_continued_below_its_beginning() -> None:
    waits = RunState("r", logs.two_strategies().strategies[1], 0)
    for width in (40, 56, 120):
        lines = run_pane.plan(waits, width).plain.splitlines()
        assert max(map(len, lines)) <= width
        assert all(line[:1].isalpha() or not line[:14].strip() for line in lines)
        assert " ".join(" ".join(lines).split()).count("momentum 0.9, weight decay 0") == 1


async def test_in_the_smallest_window_nothing_of_setup_and_its_windows_is_cut_short(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = spec.changed(logs.two_strategies(), data=DataSource(path=str(image_folder())))
    app = TlTui(tmp_path, asked)
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: "12 train · 8 val" in text_of(app) and "given: folders" in text_of(app))
        lines = text_of(app).splitlines()
        of_strategies = [number for number, line in enumerate(lines) if line.startswith(" [x]")]
        assert len(of_strategies) == 2 and not any("…" in lines[number] for number in of_strategies)
        assert not any("…" in line for line in lines if line.startswith((" seeds", " folds"))), "nor is a hint"
        app.screen.query_one("#run-seeds").focus()
        await pilot.press("x")
        await until(pilot, lambda: "! " in text_of(app).splitlines()[of_strategies[1] + 2])
        await pilot.press("backspace", "escape", "a")
        await until(pilot, lambda: "Add resnet18-probe" in text_of(app))
        await pilot.press("escape", "c")
        await until(pilot, lambda: text_of(app).endswith("· esc close ─╯") and "Images by class: 2" in text_of(app))
        await pilot.press("escape", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        assert isinstance(app.screen, Reading)
        shown = app.screen.text.plain.splitlines()
        assert max(map(len, shown)) <= app.screen.query_one(Static).content_size.width, "no line wraps below the keys"


async def test_the_list_of_runs_has_the_whole_width_at_once(app: TlTui, past: Log) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        past(logs.events())
        await until(pilot, lambda: app.current_mode == "setup")
        await pilot.press("2")
        await until(pilot, lambda: "No experiment open." in text_of(app))
        await pilot.press("4")
        await until(pilot, lambda: "ants-bees" in text_of(app))
        await pilot.press("l")
        await until(pilot, lambda: app.current_mode == "live" and "▸ ✓ " in text_of(app))
        assert "▸ ✓ resnet18-finetune-0 " in text_of(app)


async def test_before_the_first_epoch_has_ended_charts_that_show_something_come_first(app: TlTui, present: Log) -> None:
    everything = logs.events()
    begun = logs.until("MemorySampled", 1, everything)
    folder = present(begun)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        assert "learning rate" in text_of(app) and "nothing yet" not in text_of(app)
        logs.write(folder, logs.until("EpochFinished", 1, everything)[len(begun) :])
        await until(pilot, lambda: "accuracy  ┄" in text_of(app) and "learning rate" not in text_of(app))
        await pilot.press("c")
        await until(pilot, lambda: "learning rate" in text_of(app))


async def test_in_the_first_epoch_the_loss_is_a_curve_that_grows(app: TlTui, present: Log) -> None:
    slow = logs.slow_epochs()
    begun = slow[: slow.index(logs.until("LossMeasured", 1, slow)[-1])]
    folder = present(begun)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        assert "learning rate" in text_of(app)
        pane = app.screen.query(RunPane).first()
        for number in (1, 9):
            upto = logs.until("LossMeasured", number, slow)
            logs.write(folder, upto[len(begun) :])
            begun = upto
            await until(pilot, lambda number=number: len(app.state.runs[0].losses) == number)
            assert [chart.display for chart in pane.charts] == [True, True, False, False]
            assert pane.charts[1].curves is not None
            assert len(pane.charts[1].curves.series[0].points) == number
            assert "learning rate" not in text_of(app) and text_of(app).count("nothing yet") == 1


async def test_at_the_end_the_run_that_trained_last_stays_unless_another_was_chosen(app: TlTui, present: Log) -> None:
    everything = logs.events()
    folder = present(everything[:-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        assert "▸ ✓ mobilenetv3-extract-0" in text_of(app)
        logs.write(folder, everything[-1:])
        await until(pilot, lambda: app.state.end == "finished")
        assert "▸ ✓ mobilenetv3-extract-0" in text_of(app) and "─mobilenetv3-extract · seed 0" in text_of(app)


async def test_at_the_end_the_run_that_was_chosen_stays(app: TlTui, present: Log) -> None:
    everything = logs.events()
    folder = present(everything[:-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("up")
        logs.write(folder, everything[-1:])
        await until(pilot, lambda: app.state.end == "finished")
        assert "▸ ✓ resnet18-finetune-0" in text_of(app) and "─resnet18-finetune · seed 0" in text_of(app)


async def test_in_the_smallest_window_one_chart_at_a_time_tells_something(app: TlTui, present: Log) -> None:
    async with app.run_test(size=(60, 16)) as pilot:
        asked = spec.changed(logs.two_strategies(), seeds=[0, 1])
        await opened(pilot, app, present(logs.until("EpochFinished", 6, logs.events(asked))))
        for title in ("accuracy ", "loss ", "learning rate ", "memory "):
            lines = text_of(app).splitlines()
            (at,) = [number for number, line in enumerate(lines) if line.startswith(f" {title} ")]
            assert any("\u2801" <= one <= "\u28ff" for line in lines[at + 1 : at + 3] for one in line), title
            await pilot.press("c")


async def test_the_smallest_window_says_what_is_in_the_data_and_has_every_field(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = spec.changed(logs.two_strategies(), data=DataSource(path=str(image_folder())))
    app = TlTui(tmp_path, asked)
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: "12 train · 8 val" in text_of(app) and "given: folders" in text_of(app))
        for field in ("run-seeds", "run-precision"):
            app.screen.query_one(f"#{field}").focus()
            label = field.removeprefix("run-")
            await until(
                pilot, lambda label=label: any(line.startswith(f" {label}") for line in text_of(app).splitlines())
            )


async def test_growing_and_shrinking_while_it_trains(app: TlTui, present: Log) -> None:
    everything = logs.events()
    folder = present(logs.until("EpochFinished", 3, everything))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, folder)
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert "tl-tui needs at least 60 × 16" in " ".join(text_of(app).split()) and "accuracy" not in text_of(app)
        logs.write(folder, everything[len(logs.until("EpochFinished", 3, everything)) : -1])
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: all(run.is_over for run in app.state.runs))
        await pilot.pause()
        assert max(map(len, text_of(app).splitlines())) <= 80
        assert "best 94.8 % @10" in text_of(app) and "needs at least" not in text_of(app)


async def test_a_mode_that_was_seen_before_has_what_the_size_asks_for_now(app: TlTui, past: Log) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, past(logs.events()))
        for size, is_too_small in (((120, 40), False), ((40, 10), True), ((80, 24), False)):
            await pilot.resize_terminal(*size)
            for mode, title in (("runs", "ants-bees"), ("live", "resnet18-finetune")):
                await app.action_go(mode)
                await pilot.pause()
                assert ("needs at least" in " ".join(text_of(app).split())) == is_too_small
                assert (title in text_of(app)) != is_too_small


async def test_pause_resume_skip_and_stop_are_sent(app: TlTui, present: Log) -> None:
    folder = present(logs.until("EpochFinished", 2, logs.events()))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("space")
        await until(pilot, lambda: sent(folder) == ["pause"])
        logs.write(folder, [ev.CommandApplied(action="pause", run="resnet18-finetune-0", elapsed=50)])
        await until(pilot, lambda: app.state.paused)
        assert "‖ paused" in text_of(app)
        await until(pilot, lambda: "space Resume" in text_of(app) and "Pause" not in text_of(app))
        await pilot.press("space")
        await until(pilot, lambda: sent(folder) == ["pause", "resume"])
        for key, expected, kept, told in (
            ("k", ["pause", "resume", "skip"], "Its best epoch so far is saved", "Skipping; saving its best epoch"),
            ("s", ["pause", "resume", "skip", "stop"], KEPT_IF_STOPPED, "Stopping; saving its state"),
        ):
            await pilot.press(key)
            await until(pilot, lambda kept=kept: isinstance(app.screen, Question) and kept in text_of(app))
            await pilot.press("enter")  # the harmless answer is the one that Enter gives
            await until(pilot, lambda: not isinstance(app.screen, Question))
            assert sent(folder) == expected[:-1]
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Question))
            await pilot.press("y")
            await until(pilot, lambda told=told: not isinstance(app.screen, Question) and told in text_of(app))
            assert sent(folder) == expected


async def test_the_highlighted_run_is_skipped_also_before_it_begins(app: TlTui, present: Log) -> None:
    folder = present(logs.until("EpochFinished", 2, logs.events()))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("down", "k")
        await until(
            pilot, lambda: isinstance(app.screen, Question) and "It has not started and will have" in text_of(app)
        )
        await pilot.press("y")
        await until(pilot, lambda: "Skipping; it will not start" in text_of(app))
        await pilot.press("up", "k", "y")
        await until(pilot, lambda: len(sent(folder)) == 2)
    commands = [(command.action, command.run) for command in command_reader(folder).read()]
    assert commands == [("skip", "mobilenetv3-extract-0"), ("skip", "resnet18-finetune-0")]


async def test_a_disk_that_does_not_answer_holds_up_no_key_and_commands_reach_it_in_their_order(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, answers = present(logs.until("EpochFinished", 2, logs.events())), threading.Event()

    def late(folder: Path, action: ev.Action, run: str = "") -> None:
        if action == "pause":
            answers.wait(10)
        send_command(folder, action, run)

    monkeypatch.setattr("tui.screens.live.send_command", late)
    async with app.run_test(size=(160, 40), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("space")
        logs.write(folder, [ev.CommandApplied(action="pause", run="resnet18-finetune-0", elapsed=50)])
        await until(pilot, lambda: app.state.paused and "space Resume" in text_of(app))
        await pilot.press("space", "s", "y")
        assert isinstance(app.screen, LiveScreen) and sent(folder) == [] and "Pausing" not in text_of(app)
        answers.set()
        await until(pilot, lambda: sent(folder) == ["pause", "resume", "stop"])
        await until(pilot, lambda: "Stopping; saving its state" in text_of(app))
        (folder / COMMANDS).unlink()
        (folder / COMMANDS).mkdir()
        await pilot.press("space")
        await until(pilot, lambda: "Not sent: " in text_of(app) and "s a directory" in text_of(app))


async def test_of_a_run_that_has_ended_nothing_is_skipped_while_the_next_trains(app: TlTui, present: Log) -> None:
    folder = present(logs.until("EpochFinished", 14, logs.events()))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("up", "k")
        await until(pilot, lambda: "resnet18-finetune-0 has already ended" in text_of(app))
        assert not isinstance(app.screen, Question)
        await pilot.press("y")
    assert sent(folder) == []


async def test_what_is_asked_is_true_also_once_the_run_has_gone_on(app: TlTui, present: Log) -> None:
    everything = logs.events()
    steps = (("Progress", 3), ("EpochFinished", 2), ("EpochFinished", 13))
    parts = [len(logs.until(*step, everything)) for step in steps]
    folder = present(everything[: parts[0]])
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("k")
        await until(pilot, lambda: "No epoch has finished" in text_of(app))
        logs.write(folder, everything[parts[0] : parts[1]])
        await until(pilot, lambda: "Its best epoch so far is saved" in text_of(app))
        logs.write(folder, everything[parts[1] : parts[2]])
        await until(pilot, lambda: "It has already ended (finished); nothing to skip" in text_of(app))
        await pilot.press("n", "s")
        await until(pilot, lambda: "mobilenetv3-extract-0\n" in app.screen.query_one("#question", Static).content)
        logs.write(folder, everything[parts[2] : -1])
        await until(pilot, lambda: KEPT_IF_STOPPED not in text_of(app))


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40)])
async def test_when_all_is_done_has_room_in_every_window(app: TlTui, present: Log, size: tuple[int, int]) -> None:
    begun = logs.until("EpochFinished", 24 + 3, logs.events(spec.changed(logs.two_strategies(), seeds=[0, 1, 2])))
    first = begun[0]
    assert isinstance(first, ev.ExperimentStarted)
    data = msgspec.structs.replace(first.data, name="hymenoptera_data_of_a_long_name")
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app, present([msgspec.structs.replace(first, data=data), *begun[1:]]))
        heading, modes, *_ = text_of(app).splitlines()
        assert heading.endswith("12:04:31") and "done" not in heading
        assert modes.startswith(" 1 Setup  2 Live  3 Compare  4 Runs") and modes.endswith("  done in 1:08")
        await pilot.click("Tabs", offset=(19, 0))
        await until(pilot, lambda: app.current_mode == "compare")


@pytest.mark.parametrize("key", ["k", "s"])
async def test_an_answer_that_comes_too_late_ends_nothing(app: TlTui, present: Log, key: str) -> None:
    everything = logs.events()
    begun = logs.until("EpochFinished", 2, everything)
    until_next = everything if key == "s" else logs.until("EpochFinished", 13, everything)
    folder = present(begun)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, Question))
        logs.write(folder, until_next[len(begun) :])
        await until(pilot, lambda: app.state.runs[0].is_over and (key == "k" or app.state.end is not None))
        await pilot.press("y")
        await until(pilot, lambda: "it has already finished" in text_of(app))
        assert sent(folder) == []


async def test_once_it_is_over_commands_do_nothing_keys_name_the_verdict_and_export_says_where(
    app: TlTui, past: Log
) -> None:
    folder = past(logs.events())
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("space", "k", "s", "x", "z", "f1", "tab", "left")
        assert sent(folder) == [] and isinstance(app.screen, LiveScreen)
        assert [key.display for key in app.screen.query_one(KeyLine).keys] == ["3", "c", "e", "?", "q"]
        assert "3 Verdict" in text_of(app).splitlines()[-1]
        await pilot.press("e")
        await until(pilot, lambda: (folder / "comparison.md").exists() and "Exported" in text_of(app))
        assert {path.name for path in folder.glob("comparison.*")} == {
            "comparison.csv",
            "comparison.json",
            "comparison.md",
        }
        written = json.loads((folder / "comparison.json").read_text())
        assert written["runs"][0]["val_accuracy"] == pytest.approx(146 / 153)
        await pilot.press("3")
        await until(pilot, lambda: app.current_mode == "compare")
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0 and app.folder == folder and app.state.end == "finished"


async def test_stopping_says_the_same_in_every_window_and_how_to_go_on(app: TlTui, present: Log) -> None:
    folder = present(logs.until("Progress", 3, logs.events()))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.hosting.host = Host(folder)  # type: ignore[assignment]
        await opened(pilot, app, folder)
        for key in ("s", "q"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Question | Leaving))
            said = " ".join(str(app.screen.query_one("#question", Static).content).split())
            assert "Its progress and best epoch so far are saved" in said
            assert f"`tl-tui resume {called(folder)}`" in said
            await pilot.press("n")
        app.hosting.host = None


async def test_what_was_stopped_can_go_on(app: TlTui, past: Log) -> None:
    stopped = [*logs.until("EpochFinished", 3, logs.events()), *STOPPED]
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, past(stopped))
        resumed: list[Path] = []
        app.hosting.resume = resumed.append  # type: ignore[method-assign]
        await until(pilot, lambda: app.state.end == "stopped")
        await pilot.press("r")
        assert resumed == [app.folder]


async def test_nobody_writes_an_unfinished_log_interrupted(app: TlTui, past: Log) -> None:
    folder = past(logs.until("EpochFinished", 5, logs.events()))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        await until(pilot, lambda: app.state.interrupted)
        assert "! interrupted" in text_of(app) and "ETA" not in text_of(app)
        await pilot.press("space")
        assert sent(folder) == []


async def test_what_failed_says_why_and_what_to_do(app: TlTui, past: Log) -> None:
    failed = ev.RunFailed(
        run="resnet18-finetune-0",
        kind="out of memory",
        message="CUDA out of memory [red]\x1b[2J",
        advice="a smaller batch size needs less memory",
    )
    reason = f"{'/a/long/path' * 9}: no training image of class be[e]s can be read"
    end = ev.ExperimentFinished(end="failed", error=reason)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, past([*logs.until("RunStarted", 1, logs.events()), failed, end]))
        shown = text_of(app)
        assert "✗ failed" in shown and "Failed: out of memory" in shown
        assert "CUDA out of memory [red]\\x1b[2J" in shown
        assert "What to do: a smaller batch size needs less memory" in shown
        assert "learning rate" not in shown
        assert "The experiment failed (w): /a/long/path" in shown and "be[e]s" not in shown
        await pilot.press("w")
        await until(pilot, lambda: "be[e]s" in text_of(app))


async def test_compare_while_it_still_runs_and_at_the_end(app: TlTui, present: Log) -> None:
    everything = logs.events()
    begun = logs.until("EpochFinished", 7, everything)
    folder = present(begun)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder, "compare")
        await until(pilot, lambda: "there is nothing to compare it with" in " ".join(text_of(app).split()))
        logs.write(folder, everything[len(begun) :])
        await until(pilot, lambda: "too close to call on this data" in " ".join(text_of(app).split()))
        assert "▾" not in text_of(app)
        await pilot.press("s")
        await pilot.pause()
        assert "val acc▾" in text_of(app)


async def test_export_is_of_what_was_shown_at_the_key(
    app: TlTui, past: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = past(logs.events()), logs.write(tmp_path / "other", logs.events())
    loaded, asked = threading.Event(), []
    monkeypatch.setattr("tui.screens.exporting.load_for_comparing", lambda: loaded.wait(30))
    monkeypatch.setattr("tui.work.comparing.export_all", lambda *given: asked.append(given) or "files")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, folder)
        state = app.state
        await pilot.press("e")
        await opened(pilot, app, other)
        loaded.set()
        await until(pilot, lambda: bool(asked))
        assert asked[0] == (state, folder, {}, None, folder)


async def test_an_error_without_a_file_says_what_was_not_done_and_in_which_folder(
    app: TlTui, past: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = past(logs.events())
    monkeypatch.setattr("tui.work.comparing.export_all", full)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("e")
        await until(pilot, lambda: len(app._notifications) > 0)
        (said,) = app._notifications
        assert said.message == f"Not exported: {folder}: No space left on device"


async def test_another_experiment_has_its_own_title_and_memory(app: TlTui, past: Log, tmp_path: Path) -> None:
    small = logs.two_strategies(3)
    large = tuple(changed_strategy(one, backbone=one.backbone.replace("small", "large")) for one in small.strategies)
    first, second = logs.events(small), logs.events(spec.changed(small, strategies=large))
    assert len(first) == len(second)
    doubled = [
        msgspec.structs.replace(event, memory=msgspec.structs.replace(event.memory, rss=2 * event.memory.rss))
        if isinstance(event, ev.MemorySampled)
        else event
        for event in second
    ]
    folder, other = past(first), logs.write(tmp_path / "other", _named("other", doubled))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, folder)
        await until(pilot, lambda: "mobilenet_v3_small" in text_of(app))
        panes = [pane for pane in app.screen.query(RunPane) if pane.display]
        before = [pane.charts[-1].curves for pane in panes]
        await opened(pilot, app, other)
        await until(pilot, lambda: "mobilenet_v3_large" in text_of(app))
        assert "mobilenet_v3_small" not in text_of(app)
        assert all(pane.charts[-1].curves != curves for pane, curves in zip(panes, before, strict=True))


async def test_charts_that_were_turned_to_stay_for_the_next_run(app: TlTui, present: Log) -> None:
    everything = logs.events()
    begun = logs.until("EpochFinished", 2, everything)
    folder = present(begun)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        (pane,) = (pane for pane in app.screen.query(RunPane) if pane.display)
        first = pane.border_title
        await pilot.press("c")
        await until(pilot, lambda: pane.first_chart is not None)
        turned_to = pane.first_chart
        logs.write(folder, everything[len(begun) : everything.index(logs.until("RunStarted", 2, everything)[-1]) + 1])
        await until(pilot, lambda: pane.border_title != first)
        assert pane.first_chart == turned_to


def _named(name: str, told: list[AnyEvent]) -> list[AnyEvent]:
    first = told[0]
    assert isinstance(first, ev.ExperimentStarted)
    return [msgspec.structs.replace(first, name=name), *told[1:]]


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
async def test_what_is_told_for_a_moment_covers_nothing_but_the_header(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    monkeypatch.setitem(TOLD_FOR, "information", 1)
    if long:  # as what was exported, or which file could not be written
        monkeypatch.setattr("tui.screens.live.asked", lambda *_: f"Pausing {'x' * 60} {'y' * 60}")
    folder = present(logs.until("Progress", 10, logs.events()))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app, folder)
        before = text_of(app).splitlines()
        await pilot.press("space", "space")
        await until(pilot, lambda: "Pausing" in text_of(app))
        now = text_of(app).splitlines()
        other = [number for number, (old, new) in enumerate(zip(before, now, strict=True)) if old != new]
        assert other == [0, 1] if long else other == [0] and now[0].startswith(before[0][:40])
        await until(pilot, lambda: text_of(app).splitlines() == before)


async def test_what_is_told_of_one_screen_does_not_cover_the_next_unless_it_is_an_error(app: TlTui, past: Log) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await opened(pilot, app, past(logs.events()))
        live = app.screen
        for there, back in (("4", "2"), ("question_mark", "escape")):
            for severity, stays in (("information", False), ("error", True)):
                told = f"told of {there}: {severity}"
                app.notify(told, severity=severity, timeout=60)  # type: ignore[arg-type]
                await until(pilot, lambda told=told: told in text_of(app))  # type: ignore[misc]
                await pilot.press(there)
                await until(pilot, lambda: app.screen is not live)
                await pilot.pause(0.1)
                assert (told in text_of(app)) == stays, (there, severity)
                await pilot.press(back)
                await until(pilot, lambda: app.screen is live)


async def test_that_the_log_cannot_be_written_is_shown_as_long_as_it_holds(app: TlTui, present: Log) -> None:
    everything = logs.events()
    begun = logs.until("Progress", 10, everything)
    folder = present(begun)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        host = Host(folder)
        app.hosting.host = host  # type: ignore[assignment]
        await opened(pilot, app, folder)
        said = "! Cannot write the log: No space left on device; training continues unseen"
        assert said not in text_of(app)
        host.problem = "/runs/one/events.jsonl: No space left on device"
        await until(pilot, lambda: said in text_of(app) and "/runs/one/events.jsonl" in text_of(app))
        app.notify("less grave", timeout=0.5)
        await until(pilot, lambda: "less grave" in text_of(app))
        assert "/runs/one/events.jsonl" in text_of(app)
        await until(pilot, lambda: "less grave" not in text_of(app))
        assert "/runs/one/events.jsonl" in text_of(app)
        app.notify("more of it", severity="error", timeout=0.5)
        await until(pilot, lambda: "more of it" in text_of(app))
        await until(pilot, lambda: "more of it" not in text_of(app))
        assert "/runs/one/events.jsonl" not in text_of(app) and said in text_of(app)
        host.problem = ""
        logs.write(folder, everything[len(begun) : len(begun) + 1])
        await until(pilot, lambda: said not in text_of(app))


async def test_help_shows_the_keys_that_work_here(app: TlTui, present: Log) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, present(logs.until("Progress", 10, logs.events())))
        live = {binding.tooltip for binding in LiveScreen.BINDINGS if not isinstance(binding, tuple)}
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Reading))
        shown = text_of(app)
        later = {
            "resume the interrupted experiment",
            "resume what was paused",
            "the comparison and its verdict",
        }
        assert {tooltip for tooltip in live if tooltip not in shown} == later
        assert "quit (asks first" in shown
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))


async def test_ctrl_c_leaves_at_once_while_nothing_trains(app: TlTui, past: Log) -> None:
    async with app.run_test() as pilot:
        await opened(pilot, app, past(logs.events()))
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert app.return_code == 0 and app.folder is not None and app.state.end == "finished"


async def test_leaving_while_a_run_trains_asks_stops_and_waits(app: TlTui, present: Log) -> None:
    everything = logs.events()
    begun = logs.until("EpochFinished", 7, everything)
    folder = present(begun)
    host = Host(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        app.hosting.host = host  # type: ignore[assignment]
        await opened(pilot, app, folder)
        for no in ("escape", "n", "enter"):
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, Leaving))
            await pilot.press(no)
            await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        assert not host.asked
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(app.screen, Leaving))
        await pilot.press("y")
        await until(pilot, lambda: "Stopping" in text_of(app))
        await pilot.press("escape", "y", "n")
        assert host.asked == ["stop"] and isinstance(app.screen, Leaving)
        logs.write(folder, everything[len(begun) :])
        host.alive = False
        await until(pilot, lambda: app._exit)
    assert app.left and app.hosting.host is host  # whose comparison the command line prints


async def test_leaving_before_training_has_begun_asks_and_waits_too(
    app: TlTui, past: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, begins = Host(past(logs.events())), threading.Event()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        app.hosting._begin(held_up(begins, lambda: made))  # type: ignore[arg-type]
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Leaving))
        await pilot.press("y")
        await until(pilot, lambda: "Stopping" in text_of(app))
        begins.set()
        await until(pilot, lambda: made.asked == ["stop"])
        assert not app._exit
        made.alive = False
        await until(pilot, lambda: app._exit)
    assert app.left and app.hosting.host is made


async def test_the_question_goes_away_where_all_has_ended_meanwhile(app: TlTui, present: Log) -> None:
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    async with app.run_test(size=(80, 24)) as pilot:
        host = app.hosting.host = Host(folder)  # type: ignore[assignment]
        await opened(pilot, app, folder)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Leaving))
        host.alive = False
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        assert not app._exit


async def test_what_trains_elsewhere_is_left_as_it_is(app: TlTui, present: Log) -> None:
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: app._exit)
    assert sent(folder) == []


async def test_ctrl_c_asks_from_everywhere(whole_app: TlTui, present: Log) -> None:
    app, folder = whole_app, present(logs.until("EpochFinished", 7, logs.events()))
    async with app.run_test(size=(80, 24)) as pilot:
        app.hosting.host = Host(folder)  # type: ignore[assignment]
        await opened(pilot, app, folder)
        for keys, is_there in (
            (("4",), lambda: app.current_mode == "runs"),
            (("1", "slash"), lambda: isinstance(app.focused, PathInput)),
            (("escape", "a"), lambda: isinstance(app.screen, AddStrategy)),
            (("escape", "question_mark"), lambda: isinstance(app.screen, Reading)),
        ):
            await pilot.press(*keys)
            await until(pilot, is_there)
            await pilot.press("ctrl+c")
            await until(pilot, lambda: isinstance(app.screen, Leaving))
            await pilot.press("ctrl+c")
            await pilot.pause()
            assert isinstance(app.screen, Leaving) and not app._exit, "nothing was chosen yet"
            await pilot.press("n")
            await until(pilot, lambda: not isinstance(app.screen, Leaving))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(app.screen, Leaving))
        await pilot.press("y", "ctrl+c")
        await until(pilot, lambda: app._exit)


@pytest.mark.parametrize("keys", [("d",), ("q", "d")])
async def test_detaching_hands_over_and_quits(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    host = Host(folder)
    monkeypatch.setattr(process, "detach", lambda given: 4711 if given == folder else None)
    async with app.run_test(size=(80, 24)) as pilot:
        app.hosting.host = host  # type: ignore[assignment]
        await opened(pilot, app, folder)
        for key in keys:
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Leaving))
        await until(pilot, lambda: "Detaching" in text_of(app))
        await pilot.press("escape", "y")
        assert host.asked == ["suspend"] and isinstance(app.screen, Leaving)
        host.alive = False
        await until(pilot, lambda: app._exit)
    assert app.hosting.detached == 4711


@pytest.mark.parametrize("way", ["d", "y"])
async def test_no_log_is_read_where_keys_wait_for_it(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Of a day's training that takes seconds, and on a disk that is away it never ends."""
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    stream, read_by = LineReader.stream, []

    def noted(reader: LineReader[ev.AnyEvent]) -> Iterator[ev.AnyEvent]:
        read_by.append(threading.current_thread())
        yield from stream(reader)

    monkeypatch.setattr(LineReader, "stream", noted)
    monkeypatch.setattr(process, "detach", lambda _: 4711)
    async with app.run_test(size=(80, 24)) as pilot:
        host = app.hosting.host = Host(folder)  # type: ignore[assignment]
        await opened(pilot, app, folder)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Leaving))
        await pilot.press(way)
        host.alive = False
        await until(pilot, lambda: app._exit)
    assert read_by and threading.main_thread() not in read_by


async def test_what_came_to_its_end_before_it_was_suspended_is_handed_to_nobody(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = logs.events()
    begun = logs.until("EpochFinished", 7, everything)
    folder = present(begun)
    monkeypatch.setattr(process, "detach", lambda _: pytest.fail("nothing is left to do"))
    async with app.run_test(size=(80, 24)) as pilot:
        host = app.hosting.host = Host(folder)  # type: ignore[assignment]
        await opened(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Leaving))
        logs.write(folder, everything[len(begun) :])
        host.alive = False
        await until(pilot, lambda: app._exit)
    assert app.hosting.detached is None


async def test_detaching_need_not_be_waited_for(app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    monkeypatch.setattr(process, "detach", lambda _: pytest.fail("it has not saved yet"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.hosting.host = Host(folder)  # type: ignore[assignment]
        await opened(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: "q quits without waiting" in text_of(app))
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.hosting.detached is None


@pytest.mark.parametrize("error", [process.NotBegunError, OSError, KeyError])
async def test_what_cannot_be_detached_goes_on_here(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    host, again = Host(folder), Host(folder)

    refused = threading.Event()

    def refuse(_folder: Path) -> int:
        refused.wait(30)
        raise error("no process can be started")

    monkeypatch.setattr(process, "detach", refuse)
    monkeypatch.setattr(thread, "resume", lambda *_given: again)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.hosting.host = host  # type: ignore[assignment]
        await opened(pilot, app, folder)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Leaving))
        host.alive = False
        await until(pilot, lambda: app.hosting.is_handing_over)
        await pilot.press("q")
        await app.lifecycle.resume(folder)  # what the keys of Live and Runs do
        assert not app._exit and app.hosting.is_busy and not isinstance(app.screen, Leaving)
        refused.set()
        await until(pilot, lambda: app.hosting.host is again)  # type: ignore[comparison-overlap]
        assert again.asked == []
        assert app.hosting.is_training and app.hosting.detached is None
        await until(pilot, lambda: isinstance(app.screen, Reading) and "no process can be" in app.screen.text.plain)


async def test_starting_shows_it_in_live_and_only_one_at_a_time(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = present(logs.until("EpochFinished", 1, logs.events()))
    asked: list[Experiment] = []
    monkeypatch.setattr(thread, "start", lambda experiment, out, nice: asked.append(experiment) or Host(folder))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        await app.lifecycle.start(logs.two_strategies())
        await app.lifecycle.start(logs.two_strategies())
        await until(pilot, lambda: bool(app.state.runs) and app.current_mode == "live")
        assert app.folder == folder and app.hosting.is_training
        await app.lifecycle.start(logs.two_strategies())
        assert asked == [logs.two_strategies()]


async def test_another_one_beside_what_another_process_trains_is_asked_about(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = present(logs.until("EpochFinished", 1, logs.events()))
    (folder / WRITER_LOCK).write_text(f"{socket.gethostname()} 1\n")
    asked: list[Experiment] = []
    monkeypatch.setattr(thread, "start", lambda experiment, out, nice: asked.append(experiment) or Host(folder))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        for key, begun in (("n", False), ("y", True)):
            await app.lifecycle.start(logs.two_strategies())
            await until(pilot, lambda: isinstance(app.screen, Question) and folder.name in app.screen.text)
            await pilot.press(key)
            await until(pilot, lambda: not isinstance(app.screen, Question))
            assert begun or (app.current_mode == "setup" and not app.hosting.is_busy)
        await until(pilot, lambda: asked == [logs.two_strategies()] and app.folder == folder)


def test_data_that_cannot_be_used_do_not_start(tmp_path: Path) -> None:
    told: list[Outcome] = []
    hosting = Hosting(lambda work: work(), told.append)
    nowhere = spec.DataSource(path=str(tmp_path / "no[where]"))
    hosting.start(spec.changed(logs.two_strategies(), data=nowhere), tmp_path)
    (failed,) = told
    assert isinstance(failed, NotStarted) and "no[where]: no such file or folder" in failed.reason
    assert not hosting.is_busy


def test_a_fault_at_the_start_is_no_unusable_data_and_its_traceback_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "start", lambda *_: int("x"))
    told: list[Outcome] = []
    Hosting(lambda work: work(), told.append).start(logs.two_strategies(), tmp_path)
    (failed,) = told
    assert isinstance(failed, NotStarted) and f"details in {app_log()}" in failed.reason
    assert "ValueError" in app_log().read_text()


async def test_an_experiment_that_cannot_even_write_its_log_says_why(app: TlTui, tmp_path: Path) -> None:
    host = Host(tmp_path / "gone")
    host.alive, host.error = False, "No space left on [device]"
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.hosting.host = host  # type: ignore[assignment]
        await until(pilot, lambda: "No space left on [device]" in text_of(app))


async def test_news_and_the_clock_while_the_app_ends_and_afterwards_are_not_drawn(app: TlTui) -> None:
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        await app.action_go("live")
        await pilot.pause()
        app.state = replay(logs.events())
        app.exit()
        app.bring_up_to_date()
    assert not app.screen_stack
    app._tick()
    app.bring_up_to_date()


async def test_enter_pressed_twice_at_once_answers_once(app: TlTui) -> None:
    windows: tuple[Callable[[], ModalScreen[Any]], ...] = (
        lambda: Question("Stop?", "Now?", "Yes", "No"),
        lambda: Pick("Which?", ["one", "two"]),
        lambda: Tick("Which?", ["one", "two"], ()),
        lambda: PickFolder(Path.cwd()),
        lambda: AddStrategy("resnet18", "none"),
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        for window in windows:
            answers: list[object] = []
            app.push_screen(window(), answers.append)
            await until(pilot, lambda: isinstance(app.screen, ModalScreen) and app.screen.is_mounted)
            await pilot.pause()
            for _ in range(3):
                app.simulate_key("enter")
            await until(pilot, lambda: not isinstance(app.screen, ModalScreen))
            assert len(answers) == 1, window()


async def test_help_and_quit_are_in_the_line_of_keys_at_every_width(app: TlTui, present: Log) -> None:
    folder = present(logs.until("Progress", 10, logs.events()))
    async with app.run_test(size=(120, 24)) as pilot:
        await opened(pilot, app, folder)
        for mode in "3412":
            await pilot.press(mode)
            for width in (60, 80, 120):
                await pilot.resize_terminal(width, 24)
                await pilot.pause()
                assert "? Help  q Quit" in text_of(app).splitlines()[-1], (mode, width)


def test_the_first_paint_waits_for_neither_torch_nor_curves(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from tui.app import TlTui
heavy = {"torch", "torchvision", "plotext", "scipy", "numpy", "PIL", "tui.screens.live", "tui.screens.runs"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
async def main():
    app = TlTui(Path(sys.argv[1]))
    async with app.run_test(size=(80, 24)) as pilot:
        while app.current_mode != "setup" or not app.screen.query("Button"):
            await pilot.pause()
        await pilot.pause()
        print("torch" in sys.modules)
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


async def test_what_compares_is_loaded_once_there_is_a_result(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr("tui.app.LOADED_AFTER", 0.01)
    monkeypatch.setattr("tui.app.load_ahead", lambda is_wanted: bool(loaded.append(is_wanted())))
    everything = logs.events()
    begun = logs.until("RunStarted", 1, everything)
    folder = present(begun)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        await pilot.pause(0.1)
        assert loaded == []
        logs.write(folder, everything[len(begun) :])
        await until(pilot, lambda: app.state.end is not None and bool(loaded))
    assert loaded == [True]


async def test_modes_are_composed_before_a_key_goes_there(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.app.LOADED_AFTER", 0.01)
    folder = present(logs.events())
    async with app.run_test(size=(80, 24)) as pilot:
        composed: list[Screen[object]] = []

        def ahead() -> bool:
            composed[:] = [screen for screen in app._registry if isinstance(screen, CompareScreen | RunsScreen)]
            return len(composed) == 2

        await opened(pilot, app, folder)
        await until(pilot, ahead)
        assert app.current_mode == "live"
        await pilot.press("3")
        assert app.screen in composed
        await until(pilot, lambda: app.screen.query_one(ComparisonTable).current is not None)
        await pilot.press("4")
        assert app.screen in composed
        await until(pilot, lambda: app.screen.query_one(RunsTable).current is not None)


async def test_modes_whose_libraries_are_missing_are_not_composed_ahead(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def fails(names: object, is_wanted: Callable[[], bool]) -> None:
        asked.append(is_wanted())
        raise ImportError("no scipy")

    monkeypatch.setattr("tui.app.LOADED_AFTER", 0.01)
    monkeypatch.setattr("tui.work.loading._load", fails)
    folder = present(logs.events())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        await until(pilot, lambda: bool(asked))
        await pilot.pause(0.1)
        assert app.current_mode == "live"
        assert not any(isinstance(screen, CompareScreen) for screen in app._registry)


@pytest.mark.slow
def test_what_compares_is_loaded_as_long_as_it_is_wanted() -> None:
    code = (
        "import sys; from tui.work.loading import load_ahead\n"
        "load_ahead(lambda: 'numpy' not in sys.modules); assert 'numpy' in sys.modules\n"
        "assert 'sklearn.metrics' not in sys.modules\n"
        "load_ahead(lambda: True); assert {'sklearn.metrics', 'tui.screens.runs'} <= set(sys.modules)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_click_on_a_key_presses_it_unless_it_is_grey(app: TlTui, present: Log) -> None:
    folder = present(logs.until("Progress", 1, logs.events()))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        keys = app.screen.query_one(KeyLine)
        line = str(keys.render())
        assert "space Pause" in line and "? Help" in line
        assert {key.display: key.enabled for key in keys.keys} == {
            "e": False,  # no epoch has ended
            "c": False,  # all charts have room
            **dict.fromkeys(("space", "s", "k", "d", "?", "q"), True),
        }
        await pilot.click(KeyLine, offset=(line.index("Export"), 0))
        assert isinstance(app.screen, LiveScreen)
        await pilot.click(KeyLine, offset=(line.index("? Help"), 0))
        await until(pilot, lambda: isinstance(app.screen, Reading))


async def test_nothing_open_says_what_to_press(app: TlTui) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        for key, words in (("2", "No experiment open."), ("3", "Nothing to compare")):
            await pilot.press(key)
            await until(pilot, lambda words=words: words in text_of(app))


async def test_an_error_in_a_screen_is_recorded_not_a_traceback(
    app: TlTui, past: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: LiveScreen) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(LiveScreen, "action_charts", broken)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(pilot, app, past(logs.events()))
            await pilot.press("c")
            await pilot.pause()
    assert "broken on purpose" in app_log().read_text(encoding="utf-8")
    assert app.failure == f"tl-tui crashed; details in {app_log()}" and app.return_code == 1
    assert not capsys.readouterr().err, "it is said once the app has left the terminal"


async def test_what_goes_on_elsewhere_is_opened_at_the_start_only_where_no_typed_key_would_act_on_it(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = present(logs.until("EpochFinished", 1, logs.events()))
    monkeypatch.setattr("tui.app.running_elsewhere", lambda out: [folder])
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        await app.screen.mount(field := Input())
        app.hosting.host = Host(folder)  # type: ignore[assignment]
        await asyncio.to_thread(app._open_running)
        await pilot.pause()
        assert app.folder is None and "is already training" not in text_of(app), "a person has started one"
        app.hosting.host = None
        app.screen.set_focus(field)
        await asyncio.to_thread(app._open_running)
        await until(pilot, lambda: f"{folder.name} is already training; press 4 to see it." in text_of(app))
        await app.push_screen(Question("Stop?", "Now?", "Yes", "No"))
        await asyncio.to_thread(app._open_running)
        await pilot.press("escape")
        assert app.folder is None and app.current_mode == "setup"
        app.screen.set_focus(None)
        await asyncio.to_thread(app._open_running)
        await until(pilot, lambda: app.current_mode == "live" and app.folder == folder)


async def test_at_the_start_the_latest_is_told_where_it_was_interrupted(app: TlTui, past: Log, tmp_path: Path) -> None:
    folder = past(logs.until("EpochFinished", 1, logs.events()))
    app.out = folder.parent
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        await asyncio.to_thread(app._open_running)
        await until(pilot, lambda: f"{folder.name} was interrupted" in text_of(app))
        assert app.folder is None


async def test_what_goes_on_here_after_all_is_followed_though_another_was_on_screen(
    app: TlTui, present: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = logs.events()
    begun = logs.until("EpochFinished", 1, everything)
    folder, other = present(begun), logs.write(tmp_path / "other", everything)
    suspended, again = Host(folder), Host(folder)
    suspended.alive = False

    def refuse(_folder: Path) -> int:
        raise OSError("no process can be started")

    monkeypatch.setattr(process, "detach", refuse)
    monkeypatch.setattr(thread, "resume", lambda *_given: again)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, other)
        app.hosting.host = suspended  # type: ignore[assignment]
        app.lifecycle.ask_to_leave("suspend")
        await until(pilot, lambda: app.hosting.host is again)  # type: ignore[comparison-overlap]
        logs.write(folder, everything[len(begun) :])
        await until(pilot, lambda: app.folder == folder and app.state.end == "finished")


def test_a_failure_is_told_unless_the_log_that_is_shown_tells_it(tmp_path: Path) -> None:
    failed = Host(tmp_path / "failed")
    failed.alive, failed.error = False, "no room"
    over = replay(logs.events())
    for folder, state, told in (
        (tmp_path / "other", over, 1),
        (failed.folder, over, 0),
        (failed.folder, replay([]), 1),
    ):
        hosting = Hosting(lambda _: None, lambda _: None)
        hosting.host = failed  # type: ignore[assignment]
        assert len([*hosting.troubles(folder, state), *hosting.troubles(folder, state)]) == told


async def test_a_window_shows_and_takes_keys_where_the_mode_below_has_no_room(app: TlTui, present: Log) -> None:
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    async with app.run_test(size=(50, 14)) as pilot:
        app.hosting.host = Host(folder)  # type: ignore[assignment]
        await app.open_experiment(folder)
        await until(pilot, lambda: app.current_mode == "live" and "needs at least" in " ".join(text_of(app).split()))
        await pilot.press("question_mark")
        assert not isinstance(app.screen, ModalScreen), "no key but those that quit"
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Leaving) and "A run is training" in text_of(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        app.action_help()
        await until(pilot, lambda: "esc close" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        app.hosting.host = None


async def test_what_trains_elsewhere_cannot_be_left_while_one_is_being_started_here(app: TlTui, present: Log) -> None:
    folder = present(logs.until("EpochFinished", 7, logs.events()))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, folder)
        assert app.screen.active_bindings["d"].enabled
        app.hosting.is_starting = True
        assert not app.screen.active_bindings["d"].enabled
        await pilot.press("d")
        assert app.is_running and not app.left
        app.hosting.is_starting = False
        await pilot.press("d")
    assert app.left


async def test_what_trains_elsewhere_is_paused_and_stopped_while_another_one_is_being_started_here(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, begins = present(logs.until("EpochFinished", 7, logs.events())), threading.Event()
    host = Host(app.out / "new")
    monkeypatch.setattr(thread, "start", held_up(begins, lambda: host))
    async with app.run_test(size=(80, 24)) as pilot:
        await starts(pilot, app)
        await opened(pilot, app, folder)
        assert app.hosting.is_starting and "Pause" in text_of(app)
        await pilot.press("space")
        await until(pilot, lambda: sent(folder) == ["pause"])
        await pilot.press("s", "y")
        await until(pilot, lambda: sent(folder) == ["pause", "stop"])
        begins.set()
        await until(pilot, lambda: app.hosting.is_training)
        host.alive = False


@pytest.mark.parametrize("is_open", [False, True])
async def test_live_says_that_an_experiment_is_being_started_and_offers_nothing_to_do_with_it(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    folder, begins = present(logs.until("EpochFinished", 1, logs.events())), threading.Event()
    earlier = logs.write(app.out / "earlier-20261122-120000", logs.events())
    host = Host(folder)
    monkeypatch.setattr(thread, "start", held_up(begins, lambda: host))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        if is_open:
            await opened(pilot, app, earlier)
        await app.lifecycle.start(logs.two_strategies(), beside_others=True)
        for keys in ((), ("1", "2")):
            await pilot.press(*keys)
            await pilot.pause()
            said = text_of(app)
            assert app.current_mode == "live" and "Starting: loading PyTorch" in said
            assert "resnet18" not in said and "No experiment open" not in said
            for key in ("Pause", "Stop", "Skip", "Detach", "Verdict", "Charts", "Export", "Resume"):
                assert key not in said, key
        await pilot.press("space", "s", "k", "d", "e", "c", "3", "2")
        assert isinstance(app.screen, LiveScreen) and not app.left and sent(folder) == []
        begins.set()
        await until(pilot, lambda: bool(app.state.runs) and app.folder == folder)
        await until(pilot, lambda: "resnet18" in text_of(app) and "Pause" in text_of(app))
        host.alive = False


async def test_a_resume_is_told_until_the_log_goes_on_and_not_at_its_end(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = present([*logs.until("EpochFinished", 3, logs.events()), *STOPPED])
    host = Host(folder)
    monkeypatch.setattr(thread, "resume", lambda *_: host)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        await until(pilot, lambda: app.state.end == "stopped")
        await pilot.press("r")
        await until(pilot, lambda: app.hosting.is_training and not app.hosting.is_starting)
        for _ in range(2):
            await pilot.pause(0.3)
            assert "Resuming: loading PyTorch" in text_of(app)
            assert not any(key in text_of(app) for key in ("Resume", "Pause", "Stop", "Skip", "Detach"))
        assert app.state.device is not None
        logs.write(folder, [ev.ExperimentResumed(host="vm", pid=1, device=app.state.device, versions={})])
        await until(pilot, lambda: app.state.end is None and "Pause" in text_of(app))
        assert "Resuming" not in text_of(app)
        logs.write(folder, [ev.ExperimentFinished(end="stopped")])
        await until(pilot, lambda: app.state.end == "stopped")
        assert "Resuming" not in text_of(app), "although its process has not ended yet"
        host.alive = False


async def test_what_is_resumed_changes_nothing_of_another_one_that_is_opened_meanwhile(
    app: TlTui, present: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, begins = logs.until("EpochFinished", 3, logs.events()), threading.Event()
    folder, other = logs.write(tmp_path / "resumed-20261122-120000", [*begun, *STOPPED]), present(begun)
    host = Host(folder)
    monkeypatch.setattr(thread, "resume", held_up(begins, lambda: host))
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await opened(pilot, app, folder)
        await until(pilot, lambda: app.state.end == "stopped")
        await pilot.press("r")
        await until(pilot, lambda: "Resuming: loading PyTorch" in text_of(app))
        await opened(pilot, app, other)
        begins.set()
        await until(pilot, lambda: app.hosting.is_training and "resumed-20261122-120000 has started" in text_of(app))
        await until(pilot, lambda: "Pause" in text_of(app) and "Stop" in text_of(app))
        assert app.folder == other and "Resuming" not in text_of(app)
        await opened(pilot, app, folder)
        await until(pilot, lambda: "Resuming: loading PyTorch" in text_of(app) and "Pause" not in text_of(app))
        host.alive = False


async def test_what_has_started_takes_nobody_from_where_they_type(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, begins = present(logs.until("EpochFinished", 1, logs.events())), threading.Event()
    earlier = logs.write(app.out / "earlier-20261122-120000", logs.events())
    host = Host(folder)
    monkeypatch.setattr(thread, "start", held_up(begins, lambda: host))
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await starts(pilot, app)
        await pilot.press("4")
        await until(pilot, lambda: "finished" in text_of(app))
        await pilot.press("slash", "r", "a")
        begins.set()
        await until(pilot, lambda: bool(app.state.runs) and app.folder == folder)
        await until(pilot, lambda: f"{folder.name} has started; press 2 to see it." in text_of(app))
        await pilot.press("d", "escape")
        assert app.current_mode == "runs" and not isinstance(app.screen, Leaving)
        await pilot.press("2")
        await until(pilot, lambda: "resnet18" in text_of(app) and "Pause" in text_of(app))
        host.alive = False

        begins.clear()
        await app.lifecycle.start(logs.two_strategies(), beside_others=True)
        await opened(pilot, app, earlier)
        assert "resnet18" in text_of(app) and "Starting" not in text_of(app)
        host.alive = True
        begins.set()
        await until(pilot, lambda: f"{folder.name} has started; press 4 to see it." in text_of(app))
        assert app.folder == earlier
        host.alive = False


def fails(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Has the next start fail, not before the event is set."""
    begins = threading.Event()

    def fail() -> Host:
        raise UserError("no such data")

    monkeypatch.setattr(thread, "start", held_up(begins, fail))
    return begins


@pytest.mark.parametrize(("key", "window"), [("question_mark", Reading), ("q", Leaving)])
async def test_after_a_failed_start_setup_is_back_whatever_was_read_or_asked_meanwhile(
    app: TlTui, monkeypatch: pytest.MonkeyPatch, key: str, window: type[ModalScreen[object]]
) -> None:
    begins = fails(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await starts(pilot, app)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, window))
        begins.set()
        await until(pilot, lambda: "no such data" in text_of(app))
        await pilot.press("escape")
        assert app.current_mode == "setup" and not isinstance(app.screen, ModalScreen)


async def test_who_is_about_to_leave_is_not_asked_whether_to_train_beside_others(
    app: TlTui, past: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = threading.Event()
    monkeypatch.setattr(thread, "start", held_up(begins, lambda: Host(past(logs.events()))))
    async with app.run_test(size=(80, 24)) as pilot:
        await starts(pilot, app)
        await pilot.press("q", "y")
        await until(pilot, lambda: isinstance(app.screen, Leaving) and app.screen.way == "stop")
        await app.lifecycle.tell(OthersTrain(logs.two_strategies(), ["other"]))
        assert isinstance(app.screen, Leaving)
        begins.set()


@pytest.mark.parametrize("asks", [False, True])
async def test_a_failed_start_takes_nobody_from_another_experiment_and_a_question_about_it(
    app: TlTui, present: Log, monkeypatch: pytest.MonkeyPatch, asks: bool
) -> None:
    folder, begins = present(logs.until("EpochFinished", 7, logs.events())), fails(monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await starts(pilot, app)
        await opened(pilot, app, folder)
        if asks:
            await pilot.press("k")
            await until(pilot, lambda: isinstance(app.screen, Question))
        begins.set()
        await until(pilot, lambda: "no such data" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Question) if asks else isinstance(app.screen, LiveScreen))
        await pilot.press(*("y" if asks else "ky"))
        await until(pilot, lambda: sent(folder) == ["skip"])
        assert app.current_mode == "live" and app.folder == folder


@pytest.mark.parametrize("mode", ["live", "runs"])
async def test_a_resume_is_seen_in_live_at_once(
    app: TlTui, past: Log, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    folder, begins = past(logs.until("EpochFinished", 3, logs.events())), threading.Event()

    def fail() -> Host:
        raise ValueError("the weights are gone")

    monkeypatch.setattr(thread, "resume", held_up(begins, fail))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "setup")
        if mode == "live":
            await opened(pilot, app, folder)
            assert "Resume" in text_of(app)
            await pilot.press("r")
        else:
            await pilot.press("4")
            await until(pilot, lambda: folder.name.removesuffix("-20261123-120000") in text_of(app))
            await pilot.press("enter", "y")
        await until(pilot, lambda: "Resuming: loading PyTorch" in text_of(app) and "resnet18" in text_of(app))
        for key in ("Resume", "Pause", "Stop", "Skip", "Detach"):
            assert key not in text_of(app), key
        begins.set()
        await until(pilot, lambda: isinstance(app.screen, Reading))
        await pilot.press("escape")
        await until(pilot, lambda: "Resume" in text_of(app))
        assert app.current_mode == "live" and "Resuming" not in text_of(app)
