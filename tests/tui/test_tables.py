"""The comparison as a table, at several widths."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from engine import events as ev
from engine import spec
from engine.comparison.rows import Source, compare
from engine.state import ExperimentState, fold
from tests.tui import logs
from tui.tables import comparison_table


def printed(state: ExperimentState, width: int, **how: bool) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(comparison_table(compare([Source(state)]), **how))
    return capture.get()


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_it_fits_and_every_run_is_there(width: int) -> None:
    many = spec.changed(logs.two_strategies(3), seeds=[0, 1, 2])
    text = printed(fold(logs.events(many)), width, single_runs=True)
    assert max(map(len, text.splitlines())) <= width
    together = " ".join(text.split())
    for strategy in ("resnet18-finetune", "mobilenetv3-extract"):
        assert sum(f"seed {seed}" in together for seed in range(3)) == 3 and strategy in together


def test_the_best_of_a_line_is_marked_without_colour() -> None:
    lines = printed(fold(logs.events()), 120).splitlines()
    marked = {line[:24].strip(): line[24:].split("  ") for line in lines if "★" in line}
    assert {"validation accuracy", "time in all", "time an epoch", "training speed"} <= set(marked)
    accuracy = next(line for line in lines if line.startswith("validation accuracy"))
    assert "95.4 % ★" in accuracy and "94.8 % ★" not in accuracy
    time = next(line for line in lines if line.startswith("time in all"))
    assert "0.6 s ★" in time and "38.8 s ★" not in time


def test_words_come_last_on_a_terminal_and_first_in_a_window() -> None:
    state = fold(logs.events())
    last, first = printed(state, 120), printed(state, 120, verdict_first=True)
    assert last.index("Choose it when") > last.index("validation accuracy")
    assert first.index("Choose it when") < first.index("validation accuracy")


def test_nothing_to_compare() -> None:
    assert printed(ExperimentState(), 80).strip() == "There is nothing to compare yet."


def test_markup_and_control_characters_are_shown_not_obeyed() -> None:
    failed = ev.RunFailed(run="resnet18-finetune-0", kind="error", message="[red]no\x1b[2J[/red]")
    state = fold([*logs.until("RunStarted", 1, logs.events()), failed])
    assert state.data is not None
    state = msgspec.structs.replace(state, data=msgspec.structs.replace(state.data, classes=("[b]a[/b]", "\x9bx")))
    text = printed(state, 200)
    assert "failed: [red]no\\x1b[2J[/red]" in text and "[b]a[/b], \\x9bx" in text and "\x1b" not in text
