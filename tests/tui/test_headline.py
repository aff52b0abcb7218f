"""The answer of a comparison in a line, and its picture."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from rich.text import Text

from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.comparison.difference import PairedDifference
from engine.comparison.rows import Comparison, Row
from engine.comparison.verdict import verdict
from engine.states.replay import replay
from tests.tui import logs
from tui.drawing.theme import BLUE, GREEN, rgb
from tui.words.headline import answer, difference, headline

FINE, EXTRACT, THIRD = "resnet18-finetune", "mobilenetv3-extract", "resnet50-probe"


@pytest.fixture(scope="module")
def bare() -> Comparison:
    """Two strategies of one seed each, whose predictions are missing."""
    return compare([Source(replay(logs.events(logs.two_strategies(3))))])


def row(bare: Comparison, strategy: str, accuracy: float, low: float, high: float, **values: Any) -> Row:
    return replace(
        bare.runs[0],
        **{"run": f"{strategy}-0", "strategy": strategy, "val_accuracy": accuracy, "val_accuracy_low": low,
           "val_accuracy_high": high, **values},
    )  # fmt: skip


def pair(difference: float, low: float, high: float, *, different: bool, **values: Any) -> PairedDifference:
    said: dict[str, Any] = {
        "strategies": (EXTRACT, FINE), "part": "val", "accuracies": (0.9, 0.9 - difference), "images": 153,
        "groups": 0, "runs": 2, "seeds": 2, "folds": 1, "discordant": (5, 3), "mcnemar_p": None, "corrected_t_p": None,
        "p": 0.01, "p_adjusted": 0.01, "images_needed": 999, "method": "", "loss_difference": 0.0, "loss_low": None,
        "loss_high": None,
    }  # fmt: skip
    return PairedDifference(difference=difference, low=low, high=high, different=different, **{**said, **values})


def two(bare: Comparison, *pairs: PairedDifference, better: str = FINE) -> Comparison:
    """The first strategy is FINE; ``better`` has the higher accuracy."""
    accuracies = {FINE: 0.95 if better == FINE else 0.9, EXTRACT: 0.95 if better == EXTRACT else 0.9}
    runs = [row(bare, name, accuracy, accuracy - 0.04, accuracy + 0.03) for name, accuracy in accuracies.items()]
    return replace(bare, runs=tuple(runs), pairs=pairs)


def said(comparison: Comparison, width: int) -> Text:
    return headline(answer(comparison), width)


def picture(comparison: Comparison, width: int) -> Text | None:
    return difference(answer(comparison), width)


def test_a_difference_that_is_shown(bare: Comparison) -> None:
    found = two(bare, pair(-0.05, -0.08, -0.02, different=True))
    assert said(found, 78).plain == f"{FINE} beats {EXTRACT} by 5.0 points, beyond chance"
    assert said(found, 70).plain == f"{FINE} is more accurate by 5.0 points, beyond chance"
    alone = two(bare, pair(-0.05, -0.08, -0.02, different=True, seeds=1, runs=1))
    assert said(alone, 90).plain == f"{FINE} beats {EXTRACT} by 5.0 points, beyond chance (one seed)"
    assert "several seeds would confirm it" in verdict(alone)


def test_a_difference_that_is_not_shown(bare: Comparison) -> None:
    found = two(bare, pair(0.006, -0.04, 0.05, different=False), better=EXTRACT)
    assert said(found, 78).plain == f"Too close to call: {EXTRACT} is ahead by 0.6 points"
    tiny = two(bare, pair(0.0002, -0.04, 0.05, different=False), better=EXTRACT)
    assert said(tiny, 78).plain == f"Too close to call: {EXTRACT} is ahead by less than 0.1 points"
    equal = two(bare, pair(0.0, -0.04, 0.04, different=False))
    assert said(equal, 78).plain == "Too close to call: both are equally accurate"
    assert said(equal, 90).plain == f"Too close to call: {FINE} and {EXTRACT} are equally accurate"
    for one in (found, tiny, equal):
        assert "too close to call" in verdict(one) and "beyond" not in said(one, 78).plain


def test_over_the_seeds_both_have_it_can_be_the_other_that_leads(bare: Comparison) -> None:
    found = two(bare, pair(0.02, 0.01, 0.03, different=True), better=FINE)
    assert said(found, 78).plain.startswith(f"{EXTRACT} beats {FINE} by 2.0 points")
    assert verdict(found).startswith(f"{EXTRACT} is 2.0 points more accurate")


def test_without_predictions_it_is_the_separate_intervals_that_tell(bare: Comparison) -> None:
    close = two(bare)
    assert said(close, 78).plain == f"Too close to call: {FINE} is ahead by 5.0 points"
    apart = replace(close, runs=(close.runs[0], row(bare, EXTRACT, 0.6, 0.5, 0.7)))
    assert said(apart, 78).plain == f"{FINE} beats {EXTRACT} by 35.0 points, beyond chance"
    assert picture(close, 78) is None and picture(apart, 78) is None


def test_of_several_both_of_whom_it_speaks_are_named_in_any_width(bare: Comparison) -> None:
    found = two(bare, pair(-0.05, -0.08, -0.02, different=True))
    three = replace(found, runs=(*found.runs, row(bare, THIRD, 0.3, 0.2, 0.4)))
    for width in (58, 78, 118):
        line = said(three, width).plain
        assert line.startswith("resne") and " beats mobil" in line and line.endswith(" by 5.0 points, beyond chance")
        assert THIRD not in line and len(line) <= width
    alone = replace(three, pairs=(pair(-0.05, -0.08, -0.02, different=True, seeds=1, runs=1),))
    assert "beyond chance (one seed)" in said(alone, 78).plain
    assert said(alone, 58) == said(three, 58), "there, for names that can be read"
    close = replace(three, pairs=(pair(-0.006, -0.04, 0.05, different=False),))
    assert said(close, 58).plain == "Too close to call: resnet1…finetune is ahead by 0.6 points"
    equal = replace(three, pairs=(pair(0.0, -0.04, 0.04, different=False),))
    assert said(equal, 58).plain == "Too close to call: the best two are equally accurate"


def test_one_strategy_other_data_and_no_result(bare: Comparison) -> None:
    one = replace(bare, runs=(row(bare, FINE, 0.95, 0.9, 0.98),))
    assert said(one, 78).plain == f"{FINE} reaches 95.0 %; nothing to compare it with"
    other = replace(two(bare), data_differs="the validation images differ")
    assert said(other, 78).plain == "No verdict: not measured on the same data"
    waiting = replace(bare, runs=(row(bare, FINE, 0, 0, 0, val_accuracy=None, best_epoch=None, state="waiting"),))
    assert said(waiting, 78).plain == "No run has a result · still training"
    assert all(picture(found, 78) is None for found in (one, other, waiting))


def test_runs_that_failed_or_go_on_are_told_of(bare: Comparison) -> None:
    failed = row(bare, EXTRACT, 0, 0, 0, val_accuracy=None, best_epoch=None, state="failed", error="out of memory")
    fine = row(bare, FINE, 0.95, 0.9, 0.98)
    assert said(replace(bare, runs=(failed,)), 78).plain == "No run has a result · 1 run failed"
    partly = replace(bare, runs=(fine, failed, replace(failed, run="other")))
    assert said(partly, 78).plain == f"{FINE} reaches 95.0 %; nothing to compare it with · 2 runs failed"
    found = two(bare)
    going_on = replace(found, runs=(replace(found.runs[0], state="running"), found.runs[1]))
    assert said(going_on, 78).plain.endswith("is ahead by 5.0 points · still training")


def test_long_and_hostile_names_leave_the_numbers_room(bare: Comparison) -> None:
    name = "[b]a-very-long-name-of-a-strategy-that-nobody-can-read\x1b[2J" * 3
    found = two(bare, pair(-0.05, -0.08, -0.02, different=True, strategies=(EXTRACT, name)))
    found = replace(found, runs=(replace(found.runs[0], strategy=name), found.runs[1]))
    for width in (60, 78):
        line = said(found, width).plain
        assert len(line) <= width and line.endswith(" is more accurate by 5.0 points, beyond chance")
        assert "\x1b" not in line and "…" in line


@pytest.mark.parametrize("width", [58, 78, 118])
def test_the_difference_is_a_picture_with_its_numbers(bare: Comparison, width: int) -> None:
    found = two(bare, pair(0.006, -0.0391, 0.0456, different=False), better=EXTRACT)
    drawn = picture(found, width)
    assert drawn is not None and "├" in drawn.plain and "0─" in drawn.plain and "┤" in drawn.plain
    assert "-3.9 to +4.6 points" in drawn.plain and drawn.cell_len <= width
    assert (", 95 % interval" in drawn.plain) == (width > 60)
    turned = picture(two(bare, pair(-0.006, -0.0456, 0.0391, different=False)), width)
    assert turned is not None and turned.plain == drawn.plain, "right of zero is better for whom the headline names"


def test_a_name_has_its_strategy_s_colour_and_its_side_of_zero_too(bare: Comparison) -> None:
    found = two(bare, pair(0.006, -0.04, 0.05, different=False), better=EXTRACT)
    line, drawn = said(found, 78), picture(found, 78)
    at = line.plain.index(EXTRACT)
    assert any(span.start == at and str(span.style) == rgb(GREEN) for span in line.spans), "it comes second"
    assert drawn is not None
    right = next(span for span in drawn.spans if "┤" in drawn.plain[span.start : span.end])
    left = next(span for span in drawn.spans if "├" in drawn.plain[span.start : span.end])
    assert rgb(GREEN) in str(right.style) and rgb(BLUE) in str(left.style)


@pytest.mark.parametrize("state", ["skipped", "stopped", "failed", "interrupted"])
def test_who_was_cut_short_is_named_and_beats_nobody(bare: Comparison, state: str) -> None:
    found = two(bare, pair(-0.384, -0.47, -0.29, different=True))
    assert "beats" in said(found, 78).plain
    cut = {"epochs": 1, "epochs_planned": 5, "state": state}
    behind = replace(found, runs=(found.runs[0], replace(found.runs[1], **cut)))
    ahead = replace(found, runs=(replace(found.runs[0], **cut), found.runs[1]))
    failed = " · 1 run failed" if state == "failed" else ""
    room = 78 + len(failed)
    assert said(behind, room).plain == f"No verdict: {EXTRACT} trained 1 of 5 epochs, 38.4 points behind{failed}"
    assert said(ahead, room).plain == f"No verdict: {FINE} trained 1 of 5 epochs, 38.4 points ahead{failed}"
    assert said(behind, 58 + len(failed)).plain == f"No verdict: {EXTRACT} trained 1 of 5 epochs{failed}"
    unpaired = replace(behind, pairs=(), runs=(behind.runs[0], replace(behind.runs[1], val_accuracy_high=0.5)))
    assert said(unpaired, room).plain.startswith(f"No verdict: {EXTRACT} trained 1 of 5 epochs, 5.0 points behind")
    assert picture(behind, 78) is None and picture(ahead, 78) is None and picture(found, 78) is not None


def test_while_it_trains_nobody_is_beaten_either(bare: Comparison) -> None:
    found = two(bare, pair(-0.05, -0.08, -0.02, different=True))
    running = replace(found.runs[1], epochs=1, epochs_planned=12, state="running")
    line = said(replace(found, runs=(found.runs[0], running)), 78)
    assert line.plain == f"No verdict: {EXTRACT} trained 1 of 12 epochs · still training"


def test_of_both_that_were_cut_short_both_are_named(bare: Comparison) -> None:
    found = two(bare, pair(-0.05, -0.08, -0.02, different=True))
    cut = tuple(
        replace(row, epochs=number, epochs_planned=5, state="stopped") for number, row in enumerate(found.runs, start=1)
    )
    line = said(replace(found, runs=cut), 94).plain
    assert line == f"No verdict: {FINE} trained 1 of 5 epochs, {EXTRACT} trained 2 of 5 epochs"
    narrow = said(replace(found, runs=cut), 78).plain
    assert narrow == "No verdict: resn…etune trained 1 of 5 epochs, mobi…tract trained 2 of 5 epochs"


def test_who_was_cut_short_has_no_part_in_the_answer_of_others(bare: Comparison) -> None:
    found = two(bare, pair(-0.05, -0.08, -0.02, different=True))
    third = row(bare, THIRD, 0.99, 0.98, 1.0, epochs=1, epochs_planned=5, state="skipped")
    line = said(replace(found, runs=(*found.runs, third)), 90).plain
    assert line.startswith(FINE) and line.endswith(" by 5.0 points, beyond chance · 1 not judged")


def test_what_was_cut_short_and_is_alone_is_told(bare: Comparison) -> None:
    one = replace(bare, runs=(row(bare, FINE, 0.95, 0.9, 0.98, epochs=1, epochs_planned=5, state="stopped"),))
    assert said(one, 90).plain == f"{FINE} reaches 95.0 % after 1 of 5 epochs; nothing to compare it with"
