"""The confusion matrix by keys: its cells, and the images in them."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import msgspec
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine.comparison import predictions
from engine.comparison.columns import columns
from engine.comparison.compare import compare as make
from engine.comparison.compared_runs import Source
from engine.comparison.confusion import Cell
from engine.comparison.measured_parts import MeasuredPart
from engine.logs import events as ev
from engine.states.replay import replay
from tests.engine.comparison import files
from tests.tui import logs, predicted
from tests.tui.conftest import NAME, text_of, until
from tests.tui.test_compare_screen import compare, images, several_seeds
from tui.app import TlTui
from tui.compared import compared
from tui.drawing.theme import BLUE, GREEN
from tui.screens.compare import CompareScreen
from tui.widgets.cells import MatrixCells
from tui.widgets.confusion import ConfusionView, in_words
from tui.widgets.dialogs import Pick
from tui.widgets.mistake_head import head
from tui.widgets.mistakes import MistakesView
from tui.work.finding_mistakes import MistakeQuery, find

WASPS = "[wasps]\x1b[2J"


def experiment(root: Path, classes: tuple[str, ...]) -> Path:
    """Two strategies, three seeds; all images are of the first two classes: the n-th run mistakes every (n + 5)-th."""
    told = logs.events(several_seeds())
    first = told[0]
    assert isinstance(first, ev.ExperimentStarted)
    told[0] = msgspec.structs.replace(first, data=msgspec.structs.replace(first.data, classes=classes))
    folder = logs.write(root / NAME, told)
    predicted.write(folder, told, predicted.images(root / "val"), classes)
    return folder


async def listed(pilot: Pilot[None], app: TlTui, numbers: set[int]) -> None:
    """Waits until just these images are listed."""
    view = app.screen.query_one(MistakesView)
    await until(pilot, lambda: view.display and view.body.display and set(images(view)) == numbers)


async def matrix(pilot: Pilot[None], app: TlTui, folder: Path, *keys: str) -> CompareScreen:
    screen = await compare(pilot, app, folder)
    await pilot.press(*keys)
    await until(pilot, lambda: screen.view == "confusion")
    return screen


@pytest.mark.parametrize("width", [58, 78, 118])
def test_a_cell_in_words_tells_long_names_apart(width: int) -> None:
    cell = Cell("species_number_26_with_a_long_name", "species_number_07_with_a_long_name")
    said = in_words(cell, 5, 70, width).plain
    assert len(said) <= width and "26" in said and "07" in said
    assert (said == f"5 of 70 {cell.true} predicted as {cell.predicted}") == (width > 100)
    right = in_words(Cell(cell.true, cell.true), 5, 70, width).plain
    assert right == f"5 of 70 {cell.true if width > 60 else 'species_number…ith_a_long_name'} predicted correctly"
    assert "No images of species_number_" in in_words(cell, 0, 0, width).plain


async def test_a_cell_of_a_run_opens_its_images_and_is_come_back_to(app: TlTui, tmp_path: Path) -> None:
    wrong, wrong_b = {0, 5, 10}, {0, 6}
    folder = experiment(tmp_path, ("ants", "bees", WASPS))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await matrix(pilot, app, folder, "space", "down", "enter", "enter")
        assert "resnet18-finetune  seed 0" in text_of(app)
        assert "3 of 12 ants predicted as bees" in text_of(app), "the worst cell first"
        await pilot.press("enter")
        await listed(pilot, app, wrong)
        assert "ants → bees · 3 validation images" in text_of(app) and "right 2" in text_of(app)
        await pilot.press("w")
        await listed(pilot, app, wrong - wrong_b)
        assert "filter: B right" in text_of(app)
        await pilot.press("w")
        await listed(pilot, app, wrong & wrong_b)
        await pilot.press("c", "escape", "left", "enter")  # a cell is of one class already
        await listed(pilot, app, set(range(12)) - wrong)
        await pilot.press("w", "w")
        await listed(pilot, app, set(range(12)) - wrong - wrong_b)
        assert "filter: both" in text_of(app)
        await pilot.press("escape", "right", "right")
        await until(pilot, lambda: "0 of 12 ants predicted as [wasps]\\x1b[2J" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: text_of(app).count("0 of 12 ants predicted") == 2)
        assert screen.view == "confusion"
        await pilot.press("escape")
        assert screen.view == "detail"
        await pilot.press("escape", "d")
        await until(pilot, lambda: "only A right" in text_of(app))
        await pilot.press("escape")
        assert screen.view == "table"


async def test_matrices_of_strategies_lie_beside_one_another_where_there_is_room(app: TlTui, tmp_path: Path) -> None:
    def ants() -> list[str]:
        return next(line for line in text_of(app).splitlines() if line.startswith(" ants ")).split()

    tuned, extract = ["29", "80.6", "%", "7", "19.4", "%"], ["30", "83.3", "%", "6", "16.7", "%"]
    folder = experiment(tmp_path, ("ants", "bees"))
    async with app.run_test(size=(80, 24)) as pilot:
        await matrix(pilot, app, folder, "m")
        assert ants() == ["ants", *tuned, *extract]
        cells = app.screen.query_one(MatrixCells)
        assert all(line.cell_len <= 78 for line in cells.head(78))
        assert [title.plain.split() for title in cells.head(78)[:1]] == [["resnet18-finetune", "mobilenetv3-extract"]]
        marked = [
            span for span in cells.line(0, 78).spans if "reverse" in str(span.style) or "underline" in str(span.style)
        ]
        assert [cells.line(0, 78).plain[span.start : span.end].split()[0] for span in marked] == ["7", "6"], "its cell"
        await pilot.resize_terminal(60, 16)
        await until(pilot, lambda: ants() == ["ants", *tuned])
        assert len(cells.head(58)) == 1, "the title above says whose it is"
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: ants() == ["ants", *tuned, *extract])


async def test_of_several_runs_one_is_chosen(app: TlTui, tmp_path: Path) -> None:
    folder = experiment(tmp_path, ("ants", "bees"))
    async with app.run_test(size=(80, 24)) as pilot:
        await matrix(pilot, app, folder, "m")
        assert "resnet18-finetune  3 seeds, summed" in text_of(app)
        assert "7 of 36 ants predicted as bees" in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Pick) and "seed 1 · 2 images" in text_of(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await listed(pilot, app, {0, 7})
        await pilot.press("escape", "r")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        app.screen.query_one(OptionList).highlighted = 7
        await pilot.press("enter")
        await until(pilot, lambda: "mobilenetv3-extract  seed 2" in text_of(app))


async def test_a_strategy_of_which_another_run_has_a_result_now_is_the_same(app: TlTui, tmp_path: Path) -> None:
    folder = experiment(tmp_path, ("ants", "bees"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await matrix(pilot, app, folder, "m")
        view, now = screen.query_one(ConfusionView), screen.compared
        assert now is not None
        runs = tuple(
            msgspec.structs.replace(row, best_epoch=row.best_epoch if row.seed == 0 else None)
            for row in now.comparison.runs
        )
        before = dataclasses.replace(now, comparison=msgspec.structs.replace(now.comparison, runs=runs))
        view.show(before, columns(before.comparison)[1])
        assert view.column is not None and view.column.note == "1 of 3 seeds"
        view.show(now)
        assert (view.column.title, view.column.note) == ("mobilenetv3-extract", "3 seeds")


async def test_of_another_experiment_the_cursor_is_on_the_worst_cell(app: TlTui, tmp_path: Path) -> None:
    folder = experiment(tmp_path, ("ants", "bees"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await matrix(pilot, app, folder, "m")
        await pilot.press("left")
        view, now = screen.query_one(ConfusionView), screen.compared
        assert now is not None and view.cell == ("ants", "ants")
        again = dataclasses.replace(now)
        view.show(again)
        assert view.compared is again and view.cell == ("ants", "ants"), "told again, it stays where a person put it"
        other = dataclasses.replace(now, comparison=msgspec.structs.replace(now.comparison, experiment="other"))
        view.show(other)
        assert view.cell == ("ants", "bees")


async def test_of_many_classes_the_pairs_are_cells(app: TlTui, tmp_path: Path) -> None:
    folder = experiment(tmp_path, tuple(f"class {number:03}" for number in range(120)))
    async with app.run_test(size=(80, 24)) as pilot:
        await matrix(pilot, app, folder, "space", "down", "m")
        assert "class 000 → class 001" in text_of(app) and "most confused first" in text_of(app)
        await pilot.press("down", "enter")
        await listed(pilot, app, {15, 20})
        await pilot.press("escape")
        await until(pilot, lambda: "2 of 12 class 001 predicted as class 000" in text_of(app))


async def test_without_predictions_there_is_no_matrix_and_keys_work(app: TlTui, tmp_path: Path) -> None:
    folder = logs.write(tmp_path / NAME, logs.events())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await matrix(pilot, app, folder, "m")
        await until(pilot, lambda: "No matrix: predictions" in " ".join(text_of(app).split()))
        await pilot.press("enter", "escape", "d")
        await until(pilot, lambda: "not saved, or damaged" in " ".join(text_of(app).split()))
        await pilot.press("o", "w", "c", "escape", "escape")
        assert screen.view == "table" and app.is_running


async def test_the_cursor_stays_where_the_matrix_has_no_room_for_a_while(app: TlTui, tmp_path: Path) -> None:
    folder = experiment(tmp_path, tuple(f"c{number}" for number in range(11)))
    async with app.run_test(size=(80, 24)) as pilot:
        await matrix(pilot, app, folder, "m")
        await pilot.press("down", "right", "right")
        said = " c1 predicted as c3"
        await until(pilot, lambda: said in text_of(app))
        await pilot.resize_terminal(60, 16)
        await until(pilot, lambda: "predicted as" in text_of(app) and said not in text_of(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: said in text_of(app))


async def test_column_heads_differ_and_need_no_letter(app: TlTui, tmp_path: Path) -> None:
    folder = experiment(tmp_path, ("\u0301", *(f"class {number}" for number in range(9))))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await matrix(pilot, app, folder, "m")
        assert len({*screen.query_one(MatrixCells)._heads}) == 10


def test_what_was_not_saved_is_no_number(tmp_path: Path) -> None:
    files.write_predictions(tmp_path, "one", [0, 0, 1], [0, 1, 1])
    cell = Cell("ants", "bees")
    found = find(MistakeQuery((((tmp_path, "one"),), ((tmp_path, "other"),)), cell))
    assert len(found.found) == 1
    assert "predictions not saved" in (said := head(["one", "other"], (BLUE, GREEN), found, "", None, 80).plain)
    assert "right" not in said
    found = find(MistakeQuery((((tmp_path, "other"),),), cell))
    assert "not saved" in found.problem
    assert head(["other"], (BLUE,), found, "", None, 80).plain.split() == ["A", "other"]


def test_what_cannot_be_read_now_is_not_said_to_be_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_predictions(tmp_path, "one", [0, 0, 1], [0, 1, 1])

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(predictions, "safe_open", fails)
    found = find(MistakeQuery((((tmp_path, "one"),),), Cell("ants", "bees")))
    assert found.problem.startswith("Predictions cannot be read right now") and "Input/output" in found.problem


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_images_are_of_the_part_that_the_matrix_is_of(tmp_path: Path, part: MeasuredPart) -> None:
    files.write_predictions(tmp_path, "one", [0, 0, 1], [0, 1, 1], test=True)
    path = tmp_path / "predictions" / "one.safetensors"
    with safe_open(path, framework="numpy") as file:
        described, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["test_logits"] = tensors["test_logits"][::-1].copy()
    save_file(tensors, path, described)
    (image,) = find(MistakeQuery((((tmp_path, "one"),),), Cell("ants", "bees"), part)).found[:1]
    assert image.path == ("/1.jpg" if part == "val" else "/0.jpg")


def test_images_of_one_class_alone_are_of_no_other_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MistakesView, "_look", lambda _: None)
    view = MistakesView()
    view.of_class = "ants"
    started = logs.events()[0]
    assert isinstance(started, ev.ExperimentStarted)
    for classes, of_class in ((("ants", "bees"), "ants"), (("cats", "dogs"), None)):
        data = msgspec.structs.replace(started.data, classes=classes)
        sources = [Source(replay([msgspec.structs.replace(started, data=data)]), None)]
        view.show(compared(make(sources), sources))
        assert view.of_class == of_class
