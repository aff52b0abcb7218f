"""What is said of an image beside its picture, in as many cells as there are."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from engine.comparison.mistakes import Answered
from tui.drawing.theme import BLUE, GREEN
from tui.widgets.mistake_list import facts

ANTS, BEES = "fourmis noires des jardins", "fourmis rouges des jardins"


def said(width: int, label: str, predicted: tuple[str, str]) -> list[str]:
    right = tuple(run for run in (0, 1) if predicted[run] == label)
    of_label = tuple(0.998 if run in right else 0.002 for run in (0, 1))
    one = Answered("/data/val/1.jpg", "", label, right, predicted, (0.978, 1.0), of_label, (3.0, 3.0), (1, 1), (1, 1))
    lines = facts(one, (BLUE, GREEN), width).plain.splitlines()
    assert all(cell_len(line) <= width for line in lines)
    return lines[3:]


@pytest.mark.parametrize("width", [36, 41, 44, 60])
@pytest.mark.parametrize("label", ["bee", "abeilles mellifères", BEES, "蜜蜂" * 9])
@pytest.mark.parametrize("other", ["ant", ANTS, "蟻" * 12])
def test_names_make_room_for_every_number(width: int, label: str, other: str) -> None:
    first, second = said(width, label, (other, label))
    assert " 97.8 %   " in first and first.endswith(" 0.2 %") and second.endswith(" 100.0 %")
    assert cell_len(first.split(" 97.8 %")[0]) == cell_len(second.split("100.0 %")[0])
    first, second = said(width, label, (other, other))
    assert first.endswith(" 0.2 %") and second.endswith(" 0.2 %") and "100.0 %   " in second


def test_names_that_have_room_are_whole_and_those_that_have_not_stay_apart() -> None:
    assert said(44, "bee", ("ant", "bee")) == ["A ✗ ant  97.8 %   bee 0.2 %", "B ✓ bee 100.0 %"]
    first, _ = said(44, BEES, (ANTS, BEES))
    taken_for, label = first.removeprefix("A ✗ ").split(" 97.8 %   ")
    assert "noire" in taken_for and "rouge" in label
