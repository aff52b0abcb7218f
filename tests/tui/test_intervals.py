"""Intervals drawn in characters."""

from __future__ import annotations

import pytest

from tui.drawing.ascii import to_ascii
from tui.drawing.intervals import beside_zero, drawn, scale_in_words, scale_of
from tui.drawing.theme import BLUE, GREEN, rgb


def test_on_one_scale_the_wider_interval_is_the_longer_line() -> None:
    assert [drawn(ends, value, (0.8, 1.0), 21) for ends, value in (((0.8, 1.0), 0.9), ((0.92, 0.98), 0.95))] == [
        "├─────────●─────────┤",
        "            ├──●──┤  ",
    ]
    assert scale_in_words((0.8, 1.0), 21) == "80                100"
    assert to_ascii(drawn((0.92, 0.98), 0.95, (0.8, 1.0), 21)) == "            |--*--|  "


@pytest.mark.parametrize("ends", [(0.9, 0.9), (0.9, 0.9001)])
def test_an_interval_without_width_is_its_mark(ends: tuple[float, float]) -> None:
    assert drawn(ends, 0.9, (0.8, 1.0), 11).strip() == "●"


def test_where_an_end_and_the_mark_share_a_cell_the_mark_is_seen() -> None:
    assert drawn((0.9, 1.0), 1.0, (0.8, 1.0), 11) == "     ├────●"
    assert drawn((0.0, 0.5), 0.0, (0.0, 1.0), 11) == "●────┤     "
    assert drawn((0.9, 0.92), 0.9, (0.8, 1.0), 11) == "     ●┤    "


@pytest.mark.parametrize("width", [8, 10, 31, 60])
def test_every_line_has_its_width_and_its_ends_where_they_are(width: int) -> None:
    scale = (0.5, 1.0)
    for low in range(50, 101, 7):
        for high in range(low, 101, 5):
            for value in {low, (low + high) / 2, high}:
                said = drawn((low / 100, high / 100), value / 100, scale, width)
                first, last = len(said) - len(said.lstrip()), len(said.rstrip()) - 1
                assert len(said) == width and said.count("●") == 1
                for cell, end in ((first, low / 100), (last, high / 100)):
                    assert abs(cell - (end - 0.5) / 0.5 * (width - 1)) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("intervals", "scale", "said"),
    [
        ([(0.909, 0.978), (0.9, 0.973)], (0.9, 0.98), "90      98"),
        ([(0.641, 0.933), (0.69, 0.957)], (0.6, 1.0), "60     100"),
        ([(0.0, 1.0)], (0.0, 1.0), "0      100"),
        ([(0.9991, 0.9997)], (0.999, 1.0), "99.9   100"),
        ([(1.0, 1.0)], (0.999, 1.0), "99.9   100"),
        ([(0.0, 0.0)], (0.0, 0.001), "0      0.1"),
        ([], (0.0, 1.0), "0      100"),
    ],
)
def test_a_scale_holds_every_interval_and_little_more(
    intervals: list[tuple[float, float]], scale: tuple[float, float], said: str
) -> None:
    assert scale_of(intervals) == pytest.approx(scale)
    assert scale_in_words(scale_of(intervals), 10) == said


def signs(low: float, high: float, value: float, width: int = 11) -> str:
    return beside_zero((low, high), value, width, (GREEN, BLUE)).plain


def test_a_difference_stands_beside_zero() -> None:
    assert signs(-0.05, 0.05, 0.02) == "├────0─●──┤"
    assert signs(0.02, 0.1, 0.06) == "0 ├───●───┤"
    assert signs(-0.1, -0.02, -0.06) == "├───●───┤ 0"
    assert signs(0.0, 0.0, 0.0).strip() == signs(0.0, 0.0, 0.0, 5).strip() == "●", "both are right on the same images"
    assert to_ascii(signs(-0.05, 0.05, 0.02)) == "|----0-*--|"


@pytest.mark.parametrize("width", [5, 12, 60])
@pytest.mark.parametrize("near", [1e-9, 1e-4])
def test_zero_is_never_on_the_wrong_side_of_an_end_or_of_the_mark(near: float, width: int) -> None:
    """A line that seems to touch zero would tell another answer."""
    for low, high in ((-near, 0.1), (near, 0.1), (-0.1, near), (-0.1, -near)):
        for value in (low, (low + high) / 2, high):
            said = signs(low, high, value, width)
            zero, mark = said.index("0"), said.index("●")
            first, last = len(said) - len(said.lstrip()), len(said.rstrip()) - 1
            if low < 0 < high:
                assert first < zero < last
            else:
                beside = said[1:].lstrip()[0] if low > 0 else said[:-1].rstrip()[-1]
                assert (said[0] if low > 0 else said[-1]) == "0" and beside in "├●┤", "it still has its end"
            assert (mark > zero) == (value > 0) and len(said) == width


def test_each_side_of_zero_has_the_colour_of_whom_it_speaks_for() -> None:
    text = beside_zero((-0.05, 0.05), 0.02, 11, (GREEN, BLUE))
    coloured = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert rgb(GREEN) in coloured["├────"] and rgb(BLUE) in coloured["─●──┤"]
