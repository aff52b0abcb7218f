"""Setup in the app: choosing data and strategies with keys alone."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from textual.events import DescendantFocus, Key, Paste
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Button, DirectoryTree, Input

import tui.app
from engine.errors import DataError
from engine.hosts import thread
from engine.logs.events import Device
from engine.progress import WorkDone
from engine.specs.presets import DEFAULT_STRATEGIES, named, on_rung, own_strategies_file, presets
from engine.specs.spec import DataSource, Experiment, changed, default_experiment, to_toml
from engine.specs.strategy import changed_strategy
from tests.engine import known_costs
from tests.tui import logs
from tests.tui.conftest import idle, text_of, until
from tui.app import TlTui
from tui.drawing.ascii import to_ascii
from tui.screens.add_strategy import AddStrategy
from tui.screens.copies import Copies
from tui.screens.pick_folder import PickFolder
from tui.screens.runs import RunsScreen
from tui.screens.setup import ROOMY, SetupScreen
from tui.widgets.dialogs import Question, Reading
from tui.widgets.field import Field
from tui.widgets.path_input import with_slash
from tui.widgets.run_options import RunOptions
from tui.work.hosting import Hosting

SIZES = [(80, 24), (120, 40)]
Keys = Pilot[None]


class App(TlTui):
    """The app, which keeps what it was asked to start instead of training it."""

    CSS_PATH = str(Path(tui.app.__file__).with_name("app.tcss"))

    def __init__(self, source: DataSource | None = None, experiment: Experiment | None = None) -> None:
        base = default_experiment(presets())
        asked = base if source is None else changed(base, data=source)
        super().__init__(Path("runs"), experiment or asked, clock=lambda: datetime(2026, 11, 23, 12, 0))
        self.started: list[Experiment] = []
        self.lifecycle.start = self._keep  # type: ignore[method-assign]

    async def _keep(self, experiment: Experiment, *, beside_others: bool = False) -> None:
        del beside_others
        self.started.append(experiment)

    @property
    def setup(self) -> SetupScreen:
        screen = self.screen_stack[0]
        assert isinstance(screen, SetupScreen)
        return screen


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything relative to a folder of the test's own, no settings from outside."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def images(image_folder: Callable[..., Path]) -> DataSource:
    image_folder("ants-bees")
    return DataSource(path="ants-bees")


async def settled(pilot: Keys) -> None:
    """Waits for what is looked at after a pause in typing."""

    def is_settled() -> bool:
        screen = pilot.app.screen_stack[0]
        return isinstance(screen, SetupScreen) and (bool(screen.data.problem) or was_checked(screen))

    await pilot.pause()  # what was known of the data before is forgotten now
    await until(pilot, is_settled)


def was_checked(screen: SetupScreen) -> bool:
    found = screen.data.found
    return found is not None and found.report is not None and found.report.duplicates is not None


async def typed(pilot: Keys, text: str) -> None:
    """Replaces the text of the focused field by a pasted one."""
    await pilot.press("end", "ctrl+u")
    assert pilot.app.focused is not None
    pilot.app.focused.post_message(Paste(text))
    await pilot.pause()


async def test_enter_starts_what_is_ticked_unless_that_is_nothing_or_one_runs(
    images: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        screen = text_of(app)
        for words in (
            "12 train · 8 val · c 2 classes",
            "no groups known: leaks not checked",
            "cold",
            "20 PNG",
            "[x] resnet18-finetune",
            "2 runs",
        ):
            assert words in screen
        await pilot.press("enter")
        (experiment,) = app.started
        assert tuple(strategy.name for strategy in experiment.strategies) == DEFAULT_STRATEGIES
        assert experiment.data == images
        assert experiment.seeds == (0,)
        with monkeypatch.context() as patch:
            patch.setattr(Hosting, "is_training", True)
            await pilot.press("enter")
            assert len(app.started) == 1
            assert "an experiment is already running; stop it first" in text_of(app)
        await pilot.press("space", "enter")
        assert [strategy.name for strategy in app.started[1].strategies] == ["mobilenetv3-extract"]
        await pilot.press("down", "space", "enter")
        assert len(app.started) == 2
        assert "no strategy selected" in text_of(app)


async def test_the_first_frame_waits_for_no_field_and_keys_typed_before_are_in_none(
    images: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[tuple[str, int]] = []
    focused: list[Widget] = []
    complete = SetupScreen._complete

    async def noted(screen: SetupScreen) -> None:
        assert isinstance(screen.app, App)
        first.append((text_of(screen.app), len(screen.query("*"))))
        await complete(screen)

    def heard(message: Message) -> None:
        if isinstance(message, DescendantFocus) and message.widget not in focused:
            focused.append(message.widget)

    monkeypatch.setattr(SetupScreen, "_complete", noted)
    app = App(images)
    async with app.run_test(size=SIZES[1], message_hook=heard) as pilot:
        await settled(pilot)
        ((screen, widgets),) = first
        for words in ("1 Setup", "[x] resnet18-finetune", "All runs", "Start", "Browse"):
            assert words in screen
        assert "momentum" not in screen and "momentum" in text_of(app)
        assert 3 * widgets < len(app.screen.query("*"))
        assert focused == [app.setup.strategies]


async def test_what_was_asked_for_is_what_is_started_also_where_the_file_of_own_strategies_is_broken(
    images: DataSource,
) -> None:
    own_strategies_file().parent.mkdir(parents=True)
    own_strategies_file().write_text("[[strategies]]\nname = 'a'\nepochs = 0\n", encoding="utf-8")
    known = presets()
    own = changed_strategy(
        known["mobilenetv3-extract"],
        name="own",
        optimizer={"name": "AdamW"},
        schedule={"name": "CosineAnnealingLR"},
        augmentation={"crop_area": 0.3, "views": 3},
    )
    asked = changed(default_experiment(known), strategies=(own,), data=images, precision="bf16", seeds=(3, 4))
    app = App(images, asked)
    async with app.run_test(size=(200, 40)) as pilot:
        await settled(pilot)
        assert "epochs: must be a whole number of at least 1" in text_of(app)
        await pilot.pause(0.5)
        await pilot.press("enter")
    (experiment,) = app.started
    assert experiment == asked


async def test_unusable_data_are_told_in_place_and_do_not_start(images: DataSource) -> None:
    app = App(DataSource(path="nowhere"))
    async with app.run_test(size=SIZES[1]) as pilot:
        for path, why in (
            ("nowhere", "no such file"),
            ("ants-bees/train/cold/0.png", "is an image"),
            ("ants-bees/val/cold", ""),
            ("a\0b/c", "no such file"),
            ("~\0/x", "null"),
            ("x\ud800/y", "not valid UTF-8"),
        ):
            app.setup.data.path.value = path
            await settled(pilot)
            assert app.setup.data.problem, ascii(path)
            assert why in app.setup.data.problem
            await pilot.press("enter", "ctrl+r", "f5")
            assert not app.started
            assert "the data cannot be used" in text_of(app)


async def test_the_data_are_picked_from_the_tree_or_typed_and_looked_at_after_a_pause(
    images: DataSource, home: Path
) -> None:
    (home / "a [red]x[b]").mkdir()
    app = App(DataSource(path="nowhere"))
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+o")
        assert isinstance(app.screen, PickFolder)
        await until(pilot, lambda: "a [red]x[b]" in text_of(app))
        await pilot.press("down", "down", "enter")
        await settled(pilot)
        assert app.setup.data.path.value == str(home / "ants-bees")
        assert app.setup.data.found is not None
        await pilot.press("shift+tab")
        assert app.focused is app.setup.data.path
        await typed(pilot, "ants-b")
        await pilot.press("ctrl+r")
        assert not app.started
        await until(pilot, lambda: app.setup.data.path._suggestion == "ants-bees/")
        await pilot.press("tab")
        assert app.setup.data.path.value == "ants-bees/"
        await settled(pilot)
        await pilot.press("ctrl+r")
        assert [experiment.data.path for experiment in app.started] == ["ants-bees"]


async def test_a_csv_asks_for_its_images_and_a_second_csv_and_has_a_column_of_groups(
    images: DataSource, home: Path
) -> None:
    rows = [f"{label}/{number}.png,{label},{label}{number // 2}" for label in ("cold", "warm") for number in range(6)]
    (home / "labels.csv").write_text("file_path,label,Patient ID\n" + "\n".join(rows) + "\n", encoding="utf-8")
    app = App(DataSource(path="labels.csv"))
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        assert app.setup.data.problem
        assert app.setup.data.images.is_on_screen
        for _ in range(4):
            if app.focused is not app.setup.data.images:
                await pilot.press("shift+tab")
        assert app.focused is app.setup.data.images
        await typed(pilot, "ants-bees/train")
        await settled(pilot)
        assert app.setup.data.problem == ""
        await pilot.press("ctrl+r")
        (experiment,) = app.started
        assert experiment.data == DataSource(path="labels.csv", images="ants-bees/train")
        assert "p use groups from column Patient ID" in text_of(app)
        await pilot.press("escape", "p")
        await settled(pilot)
        assert "use groups" not in text_of(app)
        assert app.setup.data.may_be_grouped
        await pilot.press("enter")
        assert app.started[1].data == replace(experiment.data, group="Patient ID")
        app.setup.data.path.focus()
        await typed(pilot, "ants-bees")
        await settled(pilot)
        assert not app.setup.data.images.is_on_screen
        await pilot.press("ctrl+r")
        assert app.started[2].data == images


async def test_parameters_are_edited_and_checked(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("right")
        assert app.focused is app.setup.form.fields["epochs"].control
        await typed(pilot, "0")
        assert "! at least 1" in text_of(app)
        await pilot.press("ctrl+r")
        assert not app.started
        await typed(pilot, "30")
        assert "! learning rate near 0 from epoch 10" in text_of(app)
        await typed(pilot, "12")
        assert "learning rate near 0" not in text_of(app)
        app.setup.form.fields["optimizer.lr"].control.focus()
        await typed(pilot, "nan")
        assert any(line.endswith("! a number") for line in text_of(app).splitlines())
        assert "! learning rate: a number, such as 0.001" in text_of(app)
        await typed(pilot, "0.02")
        assert "resnet18-finetune*" in text_of(app)
        await pilot.press("escape", "b", "down", "b")  # the other size, which MobileNet alone has
        assert [strategy.backbone for strategy in app.setup.strategies.chosen] == ["resnet18", "mobilenet_v3_large"]
        await pilot.press("b")
        await pilot.press("ctrl+r")
    first, second = app.started[0].strategies
    assert (first.epochs, first.optimizer.lr) == (12, 0.02)
    assert second == presets()["mobilenetv3-extract"]


async def test_digits_type_in_a_field_and_change_modes_elsewhere(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("tab")
        assert isinstance(app.focused, Input)
        await pilot.press("end", "ctrl+u", "4", "space", "2")
        assert app.current_mode == "setup"
        await pilot.press("escape")
        assert app.focused is app.setup.strategies
        await pilot.press("enter", "4")
        await pilot.pause()
        assert app.current_mode == "runs"
    assert app.started[0].seeds == (4, 2)


async def test_a_start_leaves_the_field_so_that_digits_change_modes(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        before = app.setup.form.strategy
        for start in ("ctrl+r", "enter"):
            app.setup.action_edit()
            assert isinstance(app.focused, Input)
            if start == "enter":
                app.setup.query_one("#start", Button).focus()
            await pilot.press(start, "4")
            await until(pilot, lambda: app.current_mode == "runs")
            await pilot.press("1")
            await until(pilot, lambda: app.current_mode == "setup")
            assert app.focused is app.setup.strategies
            assert app.setup.form.strategy == before == app.started[-1].strategies[0]
        assert len(app.started) == 2


async def test_what_holds_for_every_run_is_checked(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        for control, wrong, right in (
            (app.setup.options.seeds, "2-x", "0-2"),
            (app.setup.options.folds, "1", "5"),
            (app.setup.options.weights, "no-such-file", "none"),
            (app.setup.options.device, "GPU 1", "cuda:1"),
        ):
            control.focus()
            await typed(pilot, wrong)
            await pilot.press("ctrl+r")
            assert not app.started
            await typed(pilot, right)
        assert "2 × 3 seeds × 5 folds = 30 runs" in text_of(app)
        app.setup.options.precision.focus()
        await pilot.press("enter", "end", "enter", "ctrl+r")
    (experiment,) = app.started
    assert experiment.folds == 5
    assert (experiment.seeds, experiment.weights, experiment.device, experiment.precision) == (
        (0, 1, 2),
        "none",
        "cuda:1",
        "fp16",
    )


async def test_no_key_waits_for_a_disk_that_does_not_answer(
    images: DataSource, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one in the path of the weights nor the one that picks a folder."""
    (home / "there").mkdir()
    answers, asked_in = threading.Event(), set[threading.Thread]()
    exists, is_dir = Path.exists, Path.is_dir

    def slow(ask: Callable[[Path], bool], path: Path) -> bool:
        if "there" in path.parts:
            asked_in.add(threading.current_thread())
            answers.wait(60)
        return ask(path)

    monkeypatch.setattr(Path, "exists", lambda path: slow(exists, path))
    monkeypatch.setattr(Path, "is_dir", lambda path: slow(is_dir, path))
    monkeypatch.setattr("tui.widgets.run_options.MOST", 0.1)
    monkeypatch.setattr("tui.screens.pick_folder.MOST", 0.1)
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        app.setup.options.weights.focus()
        await typed(pilot, "there")
        await pilot.press("ctrl+r")
        assert not app.started and "weights: still looking for that path" in text_of(app)
        await pilot.press("escape", "slash")
        await typed(pilot, "there")
        await pilot.press("ctrl+o")
        assert isinstance(app.screen, PickFolder) and app.screen.start == Path("/")
        await pilot.press("escape")
        assert asked_in and threading.main_thread() not in asked_in
        answers.set()
        await until(pilot, lambda: app.setup.options.asked_weights == "there" and not app.setup.options.is_looking)
        app.setup.options.weights.focus()
        await typed(pilot, "elsewhere")
        await until(pilot, lambda: "no such path" in text_of(app))


async def test_no_key_of_the_folder_tree_waits_for_a_disk_that_does_not_answer(
    images: DataSource, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "beside" / "below").mkdir(parents=True)
    (home / "beside" / "table.csv").touch()
    (home / "away").mkdir()
    answers, asked_in = threading.Event(), set[threading.Thread]()
    is_dir, iterdir = Path.is_dir, Path.iterdir

    def asked(path: Path) -> Path:
        asked_in.add(threading.current_thread())
        if path.name == "away":
            answers.wait(30)
        return path

    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+o")
        assert isinstance(app.screen, PickFolder)
        tree = app.screen.query_one(DirectoryTree)
        tree.path = home
        await until(pilot, lambda: {str(node.label) for node in tree.root.children} >= {"away", "beside"})
        with monkeypatch.context() as patch:
            patch.setattr(Path, "is_dir", lambda path: is_dir(asked(path)))
            patch.setattr(Path, "iterdir", lambda path: iterdir(asked(path)))
            away, beside = (node for node in tree.root.children if str(node.label) in ("away", "beside"))
            tree.move_cursor(beside)
            await pilot.press("right")
            await until(pilot, lambda: "table.csv" in text_of(app))
            assert [node.allow_expand for node in beside.children] == [True, False]
            tree.move_cursor(away)
            await pilot.press("right", "down")
            assert tree.cursor_node is not away and not answers.is_set()
            assert asked_in and threading.main_thread() not in asked_in
            tree.move_cursor(away)
            await pilot.press("enter")
            await until(pilot, lambda: not isinstance(app.screen, PickFolder))
            answers.set()
            await until(pilot, lambda: app.setup.data.path.value == str(home / "away"))


async def test_the_parent_of_a_folder_whose_disk_does_not_answer_is_a_key_away(
    images: DataSource, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "away" / "below").mkdir(parents=True)
    asked, answers, answered = threading.Event(), threading.Event(), threading.Event()
    iterdir = Path.iterdir

    def slow(path: Path) -> Iterator[Path]:
        if path.name == "away":
            asked.set()
            answers.wait(60)
            answered.set()
        return iterdir(path)

    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, PickFolder))
        tree = app.screen.query_one(DirectoryTree)
        tree.path = home / "away" / "below"
        monkeypatch.setattr(Path, "iterdir", slow)
        await pilot.press("backspace")
        assert await asyncio.to_thread(asked.wait, 30)
        await pilot.press("backspace")
        await until(pilot, lambda: "▸ away" in text_of(app))
        assert tree.path == home and not answered.is_set()
        answers.set()
        assert await asyncio.to_thread(answered.wait, 30)
        await pilot.pause(0.2)
        assert "▸ away" in text_of(app) and "below" not in text_of(app), "what came too late is of another folder"


async def test_of_what_has_no_room_it_is_shown_what_tells_it_apart(images: DataSource, home: Path) -> None:
    """Of a long path the end, of alike names where they differ."""
    weights = home / "a-folder-of-weights-that-somebody-gave-a-long-name" / "weights"
    weights.mkdir(parents=True)
    begin, end = "resnet18-finetuned-with-a-rate-of-", "-and-a-cosine-schedule"
    known = presets()["mobilenetv3-extract"]
    alike = [changed_strategy(known, name=f"{begin}{rate}{end}") for rate in ("0.001", "0.002")]
    asked = changed(default_experiment(presets()), strategies=alike, data=images, weights=str(weights))
    app = App(experiment=asked)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        assert re.search(r"weights +…\S*/weights ", text_of(app)), "which does not read as a whole path"
        app.setup.options.weights.focus()
        await pilot.press("home")
        await pilot.pause()
        assert "/weights" not in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "/weights" in text_of(app)
        assert "0.001…" in text_of(app) and "0.002…" in text_of(app)
        await pilot.resize_terminal(200, 40)
        await pilot.pause()
        assert all(strategy.name in text_of(app) for strategy in alike)


async def test_in_ascii_every_sign_has_a_form_of_its_own(images: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_ASCII", "1")
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        assert "Enter Start" in text_of(app)
        drawn = to_ascii(text_of(app))
        assert "yes  v" in drawn or "v\n" in drawn
        assert drawn.count("?") == text_of(app).count("?") == 1, "the key of help"


async def test_a_start_that_takes_a_while_is_told_and_happens_once(
    images: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    asked: list[Experiment] = []

    def start(experiment: Experiment, *_given: object) -> None:
        asked.append(experiment)
        looked.wait(30)
        raise ValueError("there is no cuda:7")

    monkeypatch.setattr(thread, "start", start)
    app = App(images)
    del app.lifecycle.start  # so that it is started
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        await settled(pilot)
        for times, closing in enumerate(("escape", "enter", "space"), start=1):
            looked.clear()
            await pilot.press("enter")
            await pilot.pause()
            assert app.current_mode == "live" and "Starting: loading PyTorch" in text_of(app)
            await pilot.press("1")
            assert "starting: loading PyTorch" in text_of(app)
            await pilot.press("enter", "ctrl+r")
            await pilot.pause()
            assert "is running" not in text_of(app)
            await pilot.press("2")
            looked.set()
            await until(pilot, lambda: isinstance(app.screen, Reading))
            assert "there is no cuda:7" in text_of(app)
            await pilot.press(closing)
            await pilot.pause()
            assert app.current_mode == "setup" and "2 runs · ctrl+r starts" in text_of(app)
            assert len(asked) == times


async def test_keys_behind_the_one_that_starts_change_nothing_of_what_was_asked_and_those_before_it_do(
    images: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    asked: list[Experiment] = []

    def begin(experiment: Experiment, *_given: object) -> None:
        asked.append(experiment)
        looked.wait(30)
        raise ValueError("there is no cuda:7")

    monkeypatch.setattr(thread, "start", begin)
    app = App(images)
    del app.lifecycle.start  # so that it is started
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        setup = app.setup
        before = [strategy.name for strategy in setup.strategies.chosen]
        for start in ("ctrl+r", "enter"):
            asked.clear()
            looked.clear()
            await post(pilot, " ", start, "down", " ", "delete", "right", "9")
            await until(pilot, lambda: bool(asked))
            assert [strategy.name for strategy in asked[0].strategies] == before[1:]
            assert app.current_mode == "live" and setup.asked() == asked[0]
            looked.set()
            await until(pilot, lambda: isinstance(app.screen, Reading))
            assert app.screen_stack[0] is setup and setup.asked() == asked[0]
            await pilot.press("escape", "space")  # ticks again what was not asked for


async def test_what_is_typed_right_before_a_start_is_in_it_and_what_is_typed_behind_it_is_not(
    images: DataSource,
) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await post(pilot, "right", *"37", "ctrl+r", *"9")
        await until(pilot, lambda: bool(app.started))
        await pilot.pause()
        assert str(app.started[0].strategies[0].epochs).endswith("37")
        assert app.setup.asked() == app.started[0]


async def test_in_a_window_that_is_too_small_no_key_counts_but_those_that_quit(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=(80, 12)) as pilot:
        await settled(pilot)
        await pilot.press("slash", "x", "escape", "pagedown", "pageup", "space", "f5")
        app.post_message(Paste("nowhere"))
        await pilot.pause()
        assert "needs at least" in text_of(app)
        assert app.setup.data.path.value == "ants-bees" and not app.started
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        await pilot.press("pagedown", "pageup", "slash", "end", "x")
        assert app.setup.data.path.value == "ants-beesx"
        await pilot.resize_terminal(80, 12)
        await pilot.press("q")
    assert app.left


async def test_a_window_that_is_too_small_for_a_moment_keeps_the_focus(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=(80, 12)) as pilot:  # small from the start
        await settled(pilot)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert app.focused is app.setup.strategies
        ticked = set(app.setup.strategies.ticked)
        await pilot.press("down", "space")
        assert len(ticked ^ set(app.setup.strategies.ticked)) == 1
        await pilot.press("slash", "end")
        for size in ((80, 12), (50, 24), (1, 1)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            await pilot.resize_terminal(80, 24)
            await pilot.pause()
            await pilot.press("q")
        assert app.setup.data.path.value == "ants-beesqqq" and not app.left


async def test_slash_goes_to_the_path_is_typed_in_it_and_what_was_found_scrolls_from_there(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=(80, 16)) as pilot:
        await settled(pilot)
        assert " / Path" in text_of(app)
        await pilot.press("slash")
        assert app.focused is app.setup.data.path
        assert "Path" not in text_of(app).splitlines()[-1]
        view = app.setup.data.view
        assert view.max_scroll_y > 0
        await pilot.press("tab")
        assert app.focused is app.setup.strategies, "what was found is no field"
        await pilot.press("slash", "pagedown")
        await pilot.pause()
        assert view.scroll_y > 0
        await pilot.press("pageup")
        await pilot.pause()
        assert view.scroll_y == 0
        await pilot.press("slash", "x")
        assert app.setup.data.path.value == "/x"
        await pilot.press("escape", "slash", "end", "y")
        assert app.setup.data.path.value == "/xy"


async def test_the_slash_that_leads_to_the_path_counts_where_the_path_is_there_only_with_it(
    images: DataSource, home: Path
) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        path, there = app.setup.data.path, str(home / "ants-bees")
        for typed_, becomes in ((there[1:], there), (there, there), ("ants-bees", "ants-bees"), ("tm/x", "tm/x")):
            await pilot.press("slash")
            await post(pilot, *typed_, "enter")
            await settled(pilot)
            assert path.value == becomes
            await pilot.press("escape")
        path.focus()
        await pilot.press("ctrl+u")
        await post(pilot, *there[1:], "enter")
        await settled(pilot)
        assert path.value == there[1:] and app.setup.data.problem, "it was reached by another key"


async def test_a_disk_that_does_not_answer_holds_up_no_key_after_the_slash(
    images: DataSource, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, answers, asked = App(images), threading.Event(), threading.Event()
    there, answered = str(home / "ants-bees"), list[bool]()

    def late(text: str) -> str:
        if text:
            asked.set()
            answered.append(answers.wait(5))
        return with_slash(text)

    monkeypatch.setattr("tui.widgets.data_picker.with_slash", late)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        path = app.setup.data.path
        await pilot.press("slash")
        await post(pilot, *there[1:-1])
        await until(pilot, asked.is_set)
        await post(pilot, there[-1])
        await until(pilot, lambda: path.value == there[1:])
        answers.set()
        await until(pilot, lambda: path.value == there and app.setup.data.found is not None)
        assert all(answered), "it was waited for by who should have let it answer"


async def post(pilot: Keys, *keys: str) -> None:
    """Keys that arrive together; a blank and a slash as themselves."""
    for key in keys:
        name = {"/": "slash", " ": "space"}.get(key, key)
        pilot.app.post_message(Key(name, key if len(key) == 1 else None))
    await pilot.pause()


async def test_letters_in_an_open_menu_seek_in_it(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        app.setup.query_one("#run-precision").focus()
        await pilot.press("enter")
        await post(pilot, "b", "enter")
        assert app.setup.options.values[-1] == "bf16" and app.screen is app.setup
        await post(pilot, "enter", "c")  # with the key that opens it; c alone would show the images by class
        await pilot.pause()
        assert app.screen is app.setup


async def test_keys_that_arrive_together_with_escape_are_no_text_of_the_field_that_it_leaves(
    images: DataSource,
) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("slash", "end")
        await post(pilot, "x", "escape", "a")
        assert isinstance(window := app.screen, AddStrategy)
        assert app.setup.data.path.value == "ants-beesx"
        await post(pilot, "z", "escape", "/", "q")
        assert app.focused is app.setup.data.path and app.focused.value.endswith("q")
        assert window.backbone.value.endswith("z") and not app.left


async def test_keys_that_arrive_together_act_in_their_order_from_field_to_field(images: DataSource, home: Path) -> None:
    (home / "ants-bees" / "try").mkdir()
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        options = app.setup.options
        options.seeds.focus()
        await pilot.pause()
        await post(pilot, "7", "ctrl+u", "1", "2", "backspace", "5")
        assert options.seeds.value == "15"
        await pilot.press("escape")

        for keys in (("3", "tab", "4", "shift+tab", "7"), ("2", "down", "5", "up", "8")):
            options.seeds.focus()
            await pilot.pause()
            await post(pilot, *keys)
            assert (options.seeds.value, options.folds.value) == (keys[4], keys[2])
            assert app.focused is options.seeds
            await pilot.press("escape")

        # in a path, Tab completes what came together with it, or moves on
        options.weights.focus()
        await pilot.pause()
        await typed(pilot, "ants-bees/tr")
        await until(pilot, lambda: options.weights._suggestion == "ants-bees/train/")
        await post(pilot, "y", "tab")
        assert options.weights.value == ("ants-bees/try/" if app.focused is options.weights else "ants-bees/try")
        options.weights.focus()
        await typed(pilot, "none")
        await post(pilot, "tab", "x")
        assert (options.weights.value, options.device.value) == ("none", "x")
        await typed(pilot, "auto")
        await pilot.press("escape")

        await post(pilot, "down", "right", "9", "tab", "8")
        first, second = app.setup.strategies.strategies.values()
        assert (second.epochs, second.batch_size) == (9, 8)
        assert first.epochs != 9
        app.setup.form.focus_first()
        await pilot.pause()
        await post(pilot, "backspace", "7", "x")
        assert "! epochs: a whole number" in text_of(app)
        await pilot.press("ctrl+r")
        assert not app.started


async def test_keys_that_arrive_together_with_slash_or_a_are_typed_there(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        ticked = app.setup.strategies.chosen
        for rest in ("XYZ", "space/a 12b"):
            await post(pilot, *f"/{rest}")
            assert app.screen is app.setup
            assert app.setup.data.path.value == rest
            assert app.setup.strategies.chosen == ticked
            await pilot.press("escape")
        await post(pilot, " ", "down", "a", *"resnet50", "down", "enter")
        await until(pilot, lambda: app.screen is app.setup and len(app.setup.strategies.strategies) == 3)
        assert [one.name for one in app.setup.strategies.chosen] == ["mobilenetv3-extract", "resnet50-extract"]


async def test_enter_leaves_a_field_only_with_a_value_that_can_be_used(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        setup = app.setup
        path = setup.data.path
        await pilot.press("slash", *"nowhere", "enter")
        await settled(pilot)
        assert setup.data.problem
        assert app.focused is path
        await pilot.press("enter")
        assert app.focused is path
        await pilot.press("ctrl+u", *"ants-bees", "enter")
        await settled(pilot)
        assert app.focused is setup.strategies
        await pilot.press("right", "x", "enter")
        assert app.focused is setup.form.fields["epochs"].control
        await pilot.press("backspace", "7", "enter")
        assert app.focused is not setup.form.fields["epochs"].control


async def test_no_hint_and_no_problem_is_cut(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        screen = app.setup
        base = app.setup.strategies.strategies["resnet18-finetune"]
        strategies = [
            base,
            changed_strategy(base, schedule={"name": "CosineAnnealingLR"}, optimizer={"name": "AdamW"}),
            named("mobilenetv3-probe", {}),
        ]
        screen.strategies.add(strategies[-1])
        await pilot.pause()
        for strategy in strategies:
            screen.form.load(strategy)
            for text in ("", "x", "-1", "99999999999999999999", "0.5"):
                fields = [one for one in screen.query(Field) if one.display and isinstance(one.control, Input)]
                for field in fields:
                    if field.control is not screen.data.path:
                        field.control.value = text  # type: ignore[attr-defined]
                await pilot.pause()
                for field in screen.query(Field):
                    note = str(field.note.content)
                    assert not field.region or cell_len(note) <= field.note.content_region.width, (field.label, note)


async def test_own_strategies_are_listed_unticked(images: DataSource) -> None:
    own_strategies_file().parent.mkdir(parents=True)
    own_strategies_file().write_text(
        "[[strategies]]\nname = 'slow'\nbased_on = 'resnet18-finetune'\nepochs = 50\n", encoding="utf-8"
    )
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        assert "[ ] slow" in text_of(app)
        await pilot.press("down", "down", "space", "enter")
    assert [strategy.name for strategy in app.started[0].strategies] == [*DEFAULT_STRATEGIES, "slow"]


@pytest.fixture
def patients(tmp_path: Path, image_folder: Callable[..., Path]) -> DataSource:
    """Three pictures each of five patients of each class: two in training, one in validation."""
    drawn = image_folder("drawn", train=10, val=5)
    for label in ("cold", "warm"):
        for number, path in enumerate(sorted(drawn.glob(f"*/{label}/*.png"))):
            patient, view = divmod(number, 3)
            part, name = ("train", "train", "val")[view], f"patient-{label[0]}{patient}-{view}.png"
            place = tmp_path / "patients" / part / label / name
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
    return DataSource(path="patients")


async def test_proposed_groups_are_taken_and_kept_whole_with_two_keys_and_the_given_split_comes_back(
    patients: DataSource,
) -> None:
    app = App(patients)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        assert "? names suggest 10 groups (30/30)" in text_of(app)
        assert "10 of 10 val share train groups" in text_of(app)
        assert "groups alone 100 %, majority 50 %" in text_of(app)
        assert "p use these groups" in text_of(app)
        await pilot.press("g")  # not yet: nobody has said what a group is
        assert app.setup.asked().data == replace(patients, path="patients")
        await pilot.press("p")
        await settled(pilot)
        assert "✗ 10 of 10 val share train groups" in text_of(app)
        assert "names suggest" not in text_of(app)
        await pilot.press("g")
        await settled(pilot)
        assert "✓ no group is in train and val" in text_of(app)
        assert "split here by group" in text_of(app)
        await pilot.press("enter")
        data = app.started[0].data
        assert data.split == "grouped"
        assert data.group_pattern is not None
        assert "patient" in data.group_pattern
        await pilot.press("g")
        await settled(pilot)
        assert app.setup.asked().data == replace(data, split="given")
        await pilot.resize_terminal(60, 16)
        await pilot.pause()
        assert "val share" not in text_of(app)
        assert "✗ 1 alarm · 2 runs" in text_of(app), "an alarm that has no room is told below"
        await pilot.press("g")
        app.setup.data.put(Path("patients/train"))
        assert app.setup.asked().data == DataSource(path="patients/train"), "other data have no pattern"


async def test_a_value_is_given_to_every_ticked_strategy_that_has_such_a_parameter(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[1], notifications=True) as pilot:
        await settled(pilot)
        app.setup.strategies.add(on_rung("resnet18", "probe"))
        await pilot.press("home", "right", "ctrl+u", "ctrl+t")
        assert [one.epochs for one in app.setup.asked().strategies] == [5, 5, 1], "what is typed is no number"
        await pilot.press("7", "ctrl+t")
        await until(
            pilot, lambda: "epochs 7 in 2 of 3 ticked strategies; resnet18-probe has no such setting" in text_of(app)
        )
        assert [one.epochs for one in app.setup.asked().strategies] == [7, 7, 1]
        await pilot.press("down", "down", "ctrl+t")
        await until(pilot, lambda: "image size default in 3 of 3 ticked strategies" in text_of(app))


async def test_images_are_set_apart_for_a_test(images: DataSource) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        assert "t hold out test" in text_of(app) and " test\n" not in text_of(app)
        await pilot.press("t")
        await settled(pilot)
        assert app.setup.asked().data.test_fraction == 0.2
        assert "4 test" in text_of(app) and "train     val    test" in text_of(app) and "20 PNG" in text_of(app)
        await pilot.press("t")
        await settled(pilot)
        assert app.setup.asked().data == replace(images, path=app.setup.asked().data.path)
        assert "t hold out test" in text_of(app)


async def test_copies_of_images_are_told(images: DataSource, home: Path) -> None:
    first, second = sorted((home / "ants-bees" / "train").rglob("*.png"))[:2]
    other = next(path for path in (home / "ants-bees" / "val").iterdir() if path.name != first.parent.name)
    shutil.copy(first, home / "ants-bees" / "val" / first.parent.name / "copy.png")
    shutil.copy(second, other / "copy.png")
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await settled(pilot)
        assert "✗ 2 val images are also in train" in text_of(app)
        assert "✗ 1 duplicate pair, labels differ" in text_of(app)
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(app.screen, Copies)
        assert "Duplicate and near-duplicate images: 2 pairs" in text_of(app)
        top, below = (line for line in text_of(app).splitlines() if " = copy.png" in line)
        assert "labels differ" in top
        assert second.name in top
        assert "train and val" in below
        assert first.name in below
        await pilot.press("o")
        assert app.clipboard.split() == [str(second.resolve()), str((other / "copy.png").resolve())]
        await pilot.press("down")
        pictures = app.screen.pictures
        await until(pilot, lambda: all(one.drawn is not None and not one.drawn.problem for one in pictures))
        assert pictures[0].path == str(first.resolve())
        await pilot.press("escape")
        assert app.screen is app.setup


async def test_leaving_before_setup_is_whole_is_no_failure(images: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(images)

    async def leave(options: RunOptions) -> None:
        app.exit()
        await options.mount(Input())

    monkeypatch.setattr(RunOptions, "complete", leave)
    async with app.run_test(size=SIZES[0]) as pilot:
        await until(pilot, lambda: app._exit)
    assert app.return_code == 0


async def test_many_images_are_looked_at_only_when_asked(images: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.data_picker.MOST_AT_ONCE", 19)
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        await until(pilot, lambda: "i find duplicates" in text_of(app))
        assert not was_checked(app.setup)
        await pilot.press("i")
        await settled(pilot)
        assert was_checked(app.setup)


async def test_settings_of_an_earlier_experiment_replace_what_is_not_started_only_when_told(
    images: DataSource, home: Path
) -> None:
    own = changed_strategy(presets()["mobilenetv3-extract"], epochs=7, optimizer={"lr": 0.02})
    past = changed(
        default_experiment(presets()),
        strategies=[own, named("resnet50-last-stage", {})],
        data=DataSource(str(home / "ants-bees"), val_fraction=0.3, test_fraction=0.25, split_seed=4),
        **{"seeds": (3, 5), "folds": 4, "weights": "none", "device": "cpu", "precision": "fp32", "compile": True},
    )
    logs.write(home / "runs" / "a-20261123-120000", logs.events(past))
    app = App(images)
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:

        async def reused() -> None:
            await pilot.press("4")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.table.current is not None)
            await pilot.press("u")
            await until(pilot, lambda: app.current_mode == "setup" or isinstance(app.screen, Question))

        await settled(pilot)
        await reused()
        await settled(pilot)
        assert app.setup.asked() == past and not app.setup.is_unsaved
        await pilot.press("space")
        await reused()
        assert isinstance(app.screen, Question) and "were not run" in text_of(app)
        await pilot.press("enter")  # unthinking: keeps what was changed
        await pilot.pause()
        assert app.current_mode == "runs"
        await pilot.press("1")
        assert len(app.setup.asked().strategies) == 1
        app.hosting.host = started(app.setup.asked())
        await reused()
        await settled(pilot)
        assert app.setup.asked() == past, "what was started is kept in its folder: nothing to ask"
        await pilot.press("space")
        await reused()
        await pilot.press("y")
        await until(pilot, lambda: app.current_mode == "setup")
        await settled(pilot)
        assert app.setup.asked() == past


def started(experiment: Experiment) -> thread.ThreadHost:
    """What has trained an experiment to its end."""
    host = object.__new__(thread.ThreadHost)
    host.experiment, host.folder, host.failure = experiment, Path("runs"), None
    host._thread = threading.Thread()
    return host


async def test_settings_that_nothing_tells_are_not_loaded(images: DataSource, home: Path) -> None:
    folder = home / "runs" / "a-20261123-120000"
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(b"\x00\n")
    app = App(images)
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        await settled(pilot)
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.table.current is not None)
        await pilot.press("u")
        await until(pilot, lambda: "settings cannot be read" in text_of(app))
        assert app.current_mode == "runs"
        (folder / "experiment.toml").write_text(to_toml(changed(default_experiment(presets()), seeds=(8,))))
        await pilot.press("u")
        await until(pilot, lambda: app.current_mode == "setup")
        assert app.setup.asked().seeds == (8,), "of a damaged log the file of what was asked for is enough"


async def test_a_start_leaves_the_images_alone(images: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, closed = threading.Event(), threading.Event()

    def check(*_: object, **__: object) -> Iterator[WorkDone]:
        begun.set()
        try:
            while True:
                yield WorkDone("reading images", 1, 2)
        finally:
            closed.set()

    monkeypatch.setattr("engine.data.check.check", check)
    app = App(images)
    async with app.run_test(size=SIZES[1]) as pilot:
        assert await asyncio.to_thread(begun.wait, 30)
        await pilot.press("ctrl+r")
        assert await asyncio.to_thread(closed.wait, 30)
        assert len(app.started) == 1


async def test_images_that_cannot_be_looked_at_are_said_to_be_once_and_tried_when_asked(
    images: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[DataSource] = []

    def check(*_: object, **__: object) -> Iterator[WorkDone]:
        tried.append(images)
        raise DataError("the disk is away")
        yield

    monkeypatch.setattr("engine.data.check.check", check)
    app = App(images)
    async with app.run_test(size=SIZES[1], notifications=True) as pilot:
        said = "The images were not checked: the disk is away"
        await until(pilot, lambda: said in " ".join(text_of(app).split()))
        await pilot.press("ctrl+o", "escape")
        await until(pilot, lambda: app.screen is app.setup)
        await idle(pilot)
        assert len(tried) == 1
        await pilot.press("i")
        await until(pilot, lambda: len(tried) > 1)
        await idle(pilot)
        assert len(tried) == 2


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_setup_looks_right(
    snap_compare: Callable[..., bool], images: DataSource, size: tuple[int, int], tmp_path: Path
) -> None:
    assert snap_compare(App(images), terminal_size=size, run_before=settled)


def test_wrong_values_look_right(snap_compare: Callable[..., bool], images: DataSource) -> None:
    async def wrong(pilot: Keys) -> None:
        await settled(pilot)
        await pilot.press("right")
        await typed(pilot, "many")
        assert isinstance(pilot.app.focused, Input)
        pilot.app.focused.cursor_blink = False
        await pilot.pause()

    assert snap_compare(App(images), terminal_size=SIZES[0], run_before=wrong)


def test_unusable_data_look_right(snap_compare: Callable[..., bool], home: Path) -> None:
    app = App(DataSource(path="~nobody-of-this-name/images"))
    assert snap_compare(app, terminal_size=SIZES[0], run_before=settled)


async def test_what_is_said_below_is_of_now(images: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(images)
    async with app.run_test(size=SIZES[0]) as pilot:
        await settled(pilot)
        await pilot.press("right")
        await typed(pilot, "0")
        assert "! epochs: at least 1" in text_of(app)
        await pilot.press("escape", "down")
        assert "! epochs" not in text_of(app) and "2 runs · ctrl+r starts" in text_of(app)
        is_training = True
        monkeypatch.setattr(Hosting, "is_training", property(lambda _: is_training))
        await until(pilot, lambda: "an experiment is running: 2 shows it" in text_of(app))
        is_training = False
        await until(pilot, lambda: "2 runs · ctrl+r starts" in text_of(app))


async def test_how_long_it_will_take_is_told_beside_the_start(
    images: DataSource, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = Device("cpu", "a processor", 2**34)
    monkeypatch.setattr("tui.work.foretelling.devices_here", lambda: [processor])
    monkeypatch.setattr("engine.history.run_costs._cache_is_empty", lambda: False)
    tuned, extracted = default_experiment(presets()).strategies
    folder = home / "runs" / "ants-bees-20261122-120000"
    there = known_costs.DataSize(str(home / "ants-bees"), 2, 12, 8, 0, None)
    data = DataSource(path=there.path)
    logs.write(folder, known_costs.log(tuned, images=there, device=processor, data=data))
    app = App(images)
    async with app.run_test() as pilot:
        for size in (*SIZES, (60, 16)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: "2 runs · at least " in text_of(app))
            start = " ".join(text_of(app).splitlines()[-2].split())
            said = "Start 2 runs · at least 9 s · ctrl+r starts · no comparable earlier runs of mobilenetv3-extract"
            assert start == said or (size[0] < 100 and said.startswith(start.removesuffix("…")))
            assert "ctrl+r starts" in start  # also where not all of it has room
        later = known_costs.log(extracted, images=there, device=processor, data=data)
        logs.write(home / "runs" / "ants-bees-20261122-130000", later)
        await pilot.press("4", "1")  # whoever comes back has perhaps trained something
        for size in (*SIZES, (60, 16)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: "2 runs · about 18 s · ctrl+r starts" in text_of(app))
            if size[1] >= ROOMY:
                said = " ".join(text_of(app).split())
                assert "resnet18-finetune 5 5 9 s 50.0 %" in said and "mobilenetv3-extract 5 5 9 s 50.0 %" in said
        await pilot.press("space")
        for size in (*SIZES, (60, 16)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: "1 run · about 9 s · ctrl+r starts" in text_of(app))
            if size[1] >= ROOMY:
                assert "resnet18-finetune 5 5 9 s" not in " ".join(text_of(app).split())
