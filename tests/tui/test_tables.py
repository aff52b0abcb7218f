"""The comparison as a table, at several widths."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.history.experiment_state import INFLATED
from engine.logs import events as ev
from engine.specs import spec
from engine.states.replay import replay
from engine.states.state import ExperimentState
from tests.engine.comparison.files import write_predictions
from tests.tui import logs
from tui.compared import standing
from tui.drawing.tables import comparison_table
from tui.measures import best_in, measures


def printed(state: ExperimentState, width: int, *, single_runs: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(comparison_table(compare([Source(state)]), single_runs=single_runs))
    return capture.get()


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_it_fits_and_every_run_is_there(width: int) -> None:
    many = spec.changed(logs.two_strategies(3), seeds=[0, 1, 2])
    text = printed(replay(logs.events(many)), width, single_runs=True)
    assert max(map(len, text.splitlines())) <= width
    together = " ".join(text.split())
    for strategy in ("resnet18-finetune", "mobilenetv3-extract"):
        assert sum(f"seed {seed}" in together for seed in range(3)) == 3 and strategy in together


def test_the_best_of_a_line_is_marked_without_colour() -> None:
    lines = printed(replay(logs.events()), 120).splitlines()
    marked = {line[:24].strip(): line[24:].split("  ") for line in lines if "★" in line}
    assert {"validation accuracy", "total time", "time per epoch", "training speed"} <= set(marked)
    accuracy = next(line for line in lines if line.startswith("validation accuracy"))
    assert "95.4 % ★" in accuracy and "94.8 % ★" not in accuracy
    time = next(line for line in lines if line.startswith("total time"))
    assert "0.6 s ★" in time and "38.8 s ★" not in time


def test_words_come_last_where_a_terminal_is_looked_at() -> None:
    said = printed(replay(logs.events()), 120)
    assert said.index("Choose it when") > said.index("validation accuracy")


def test_the_heading_of_folds_says_how_many() -> None:
    folded = replay(logs.events(spec.changed(logs.two_strategies(3), folds=2)))
    assert f"{logs.TRAIN + logs.VAL} images in 2 folds, 2 classes: ants, bees" in " ".join(printed(folded, 120).split())


def test_long_names_and_paths_leave_room_for_sentences() -> None:
    experiment = logs.two_strategies(3)
    named = [
        msgspec.structs.replace(strategy, name=f"{'a-long-name-' * 4}of-strategy-{number}")
        for number, strategy in enumerate(experiment.strategies)
    ]
    told = logs.events(spec.changed(experiment, strategies=named))
    path = f"/home/{'a/very/long/way/' * 6}"
    told = [
        msgspec.structs.replace(event, weights=f"{path}{event.strategy[-1]}.pth")
        if isinstance(event, ev.RunStarted)
        else event
        for event in told
    ]
    lines = printed(replay(told), 80).splitlines()
    assert max(map(len, lines)) <= 80
    start = next(index for index, line in enumerate(lines) if "Choose it when" in line)
    assert all(len(line.rstrip()) > 60 for line in lines[start : start + 2])
    text = "".join("".join(line.split()) for line in lines)
    assert text.count(f"{path}0.pth") == text.count(f"{path}1.pth") == 1, "in the sentence of what differs"


def test_where_one_epoch_was_trained_none_was_chosen() -> None:
    def legend(epochs: int) -> str:
        return " ".join(printed(replay(logs.events(logs.two_strategies(epochs))), 120).split())

    assert "also chose the best epoch" in legend(2)
    assert "also chose the best epoch" not in legend(1)


def test_lines_without_a_value_are_left_out() -> None:
    waiting = replay(logs.until("DataDecoded", 1, logs.events()))
    assert "before the run" not in printed(waiting, 120)
    assert "before the run" in printed(replay(logs.events()), 120)


def test_nothing_to_compare() -> None:
    assert printed(ExperimentState(), 80).strip() == "Nothing to compare yet."


def test_markup_and_control_characters_are_shown_not_obeyed() -> None:
    failed = ev.RunFailed(run="resnet18-finetune-0", kind="error", message="[red]no\x1b[2J[/red]")
    state = replay([*logs.until("RunStarted", 1, logs.events()), failed])
    assert state.data is not None
    state = msgspec.structs.replace(state, data=msgspec.structs.replace(state.data, classes=("[b]a[/b]", "\x9bx")))
    text = printed(state, 200)
    assert "failed: [red]no\\x1b[2J[/red]" in text and "[b]a[/b], \\x9bx" in text and "\x1b" not in text


def with_predictions(folder: Path, classes: list[str]) -> Source:
    """The two strategies with files of predictions: every fifth image is taken for the class after its own."""
    state = replay(logs.events())
    assert state.data is not None
    state = msgspec.structs.replace(state, data=msgspec.structs.replace(state.data, classes=tuple(classes)))
    labels = [number % len(classes) for number in range(60)]
    predicted = [(label + (index % 5 == 0)) % len(classes) for index, label in enumerate(labels)]
    for run in state.runs:
        assert run.best is not None
        write_predictions(folder, run.run, labels, predicted, classes, epoch=run.best.epoch)
    return Source(state, folder)


def drawn(source: Source, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(comparison_table(compare([source])))
    return capture.get().splitlines()


@pytest.mark.parametrize("classes", [["ants", "bees"], ["a" * 70, "雪" * 30, "[b]c[/b]"]], ids=["two", "long"])
@pytest.mark.parametrize("width", [40, 50, 80, 120])
def test_confusion_matrices_stand_beside_one_another_where_there_is_room(
    tmp_path: Path, width: int, classes: list[str]
) -> None:
    lines = drawn(with_predictions(tmp_path, classes), width)
    assert max(map(cell_len, lines)) <= width
    start = next(index for index, line in enumerate(lines) if line.startswith("Confusion on the validation images"))
    both = [line for line in lines[start:] if "resnet18-finetune" in line and "mobilenetv3-extract" in line]
    if len(classes) == 2:
        assert bool(both) == (width >= 50)
        counts = [line.split() for line in lines[start:] if line.startswith(("ants ", "bees "))]
        row = ["ants", "24", "6"]
        assert counts[0] == (row * 2 if width >= 50 else row)


def test_of_many_classes_the_pairs_confused_most_are_listed(tmp_path: Path) -> None:
    lines = drawn(with_predictions(tmp_path, [f"kind {number}" for number in range(12)]), 120)
    start = next(index for index, line in enumerate(lines) if line.startswith("Confusion on the validation images"))
    assert "the worst pairs" in lines[start]
    pairs = [line for line in lines[start:] if " → kind" in line]
    assert len(pairs) == 6 and pairs[0].count("(20.0 %)") == 2


LONG = [f"species_number_{number:02}_with_a_long_name" for number in range(30)]


@pytest.mark.parametrize(("width", "whole"), [(50, False), (80, False), (100, True), (120, False)])
def test_long_names_of_classes_that_are_confused_are_told_apart(tmp_path: Path, width: int, whole: bool) -> None:
    lines = drawn(with_predictions(tmp_path, LONG), width)
    assert max(map(cell_len, lines)) <= width
    pairs = re.findall(r"(\S+) → (spec\S+)", "\n".join(lines))
    assert len(pairs) == 12, "six of each strategy"
    for true, predicted in pairs:
        assert (true in LONG and predicted in LONG) == whole
        number, next_one = (int(*re.findall(r"\d\d", name)) for name in (true, predicted))
        assert next_one == number + 1


def test_names_that_begin_and_end_alike_are_told_apart_in_a_matrix_too(tmp_path: Path) -> None:
    lines = drawn(with_predictions(tmp_path, LONG[:3]), 120)
    start = next(index for index, line in enumerate(lines) if line.startswith("Confusion on the validation images"))
    head, *rows = (line.split() for line in lines[start + 2 : start + 6])
    assert len({*head[:3]}) == 3 and len({row[0] for row in rows}) == 3


def test_sections_and_what_differs_are_there(tmp_path: Path) -> None:
    text = "\n".join(drawn(with_predictions(tmp_path, ["ants", "bees"]), 120))
    order = [
        "Validation: best epoch",
        "Recall / precision (val)",
        "Overfitting",
        "Cost",
        "What was trained",
        "not equal",
    ]
    assert sorted(order, key=text.index) == order
    assert "sensitivity (bees)" in text and "the validation images also chose the best epoch" in text


def test_times_beside_another_experiment_are_told_of_in_table_and_column() -> None:
    plain = logs.events()
    beside = ev.Warned(run="mobilenetv3-extract-0", message=f"other is also running on this machine: {INFLATED}")
    told = "another experiment ran on this machine meanwhile, which inflates times"
    standings = set()
    for events, is_told in ((plain, False), ([*plain, beside], True)):
        state = replay(events)
        standings.add(standing(state.runs[1], state))
        assert (told in " ".join(printed(state, 120).split())) == is_told
        comparison = compare([Source(state)])
        time = next(one for one in measures(comparison) if one.title == "time")
        assert time.words.endswith("inflated, as another experiment ran too") == is_told
        assert bool(best_in(comparison, time)) != is_told
    assert len(standings) == 2, "so that the app compares again"
