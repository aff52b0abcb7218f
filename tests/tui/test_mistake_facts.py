"""What is said of an image in its line and beside its picture, in as many cells as there are."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from engine.comparison.mistakes import Answered
from tests.tui.conftest import text_of
from tui.drawing.theme import BLUE, GREEN
from tui.widgets.mistake_list import MistakeList, facts

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


class Listed(App[None]):
    def compose(self) -> ComposeResult:
        yield MistakeList()


def wrong(number: int, label: str, predicted: str) -> Answered:
    return Answered(f"/data/{number}.jpg", "", label, (), (predicted,), (0.9,), (0.1,), (2.3,), (1,), (1,))


async def test_a_line_tells_the_classes_where_they_differ_and_have_room() -> None:
    app = Listed()
    async with app.run_test(size=(60, 10)) as pilot:
        listing = app.query_one(MistakeList)
        found = [wrong(1, f"{ANTS} 1", BEES), wrong(2, f"{ANTS} 2", BEES)]
        listing.put_all(found, (BLUE,), losses=True)
        await pilot.pause()
        head, *lines = text_of(app).splitlines()
        assert head.rstrip().endswith("image  true → predicted")
        for number, line in enumerate(lines[:2], start=1):
            name, classes = line.split()[2], line.split(".jpg")[1]
            label, _, predicted = classes.partition(" → ")
            assert name == f"{number}.jpg" and label.rstrip().endswith(f" {number}") and predicted.strip()
        listing.put_all([wrong(1, "ant", "bee"), wrong(2, "ant", "bee")], (BLUE,), losses=True)
        await pilot.pause()
        assert "bee" not in text_of(app) and "predicted" not in text_of(app)
        listing.put_all(found, (BLUE,), losses=True)
        await pilot.resize_terminal(34, 10)
        await pilot.pause()
        assert "→" not in text_of(app) and "1.jpg" in text_of(app)
