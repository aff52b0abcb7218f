"""What the benchmark of the app measured, as tables."""

import pytest

from benchmarks.terminal_table import BESIDE, FIRST, SIDES, Measured, tables


def throughput(turns: dict[str, tuple[list[float], list[float]]]) -> list[list[str]]:
    """The rows of the table, where so much was measured by which side was started first."""
    measured = Measured()
    for first, by_side in turns.items():
        for side, images in zip(SIDES, by_side, strict=True):
            measured.add(side, FIRST[first], *images)
            measured.add(side + BESIDE, FIRST[first], *(0.01 for _ in images))
    (only,) = tables(measured, ["120×40"])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in only.splitlines()[2:]]


def test_order_of_starting_cancels_out() -> None:
    rows = throughput({SIDES[0]: ([90.0, 81.0], [100.0, 90.0]), SIDES[1]: ([100.0], [90.0])})
    assert [row[-1] for row in rows] == ["0.900 (0.900–0.900)", "1.111", "1.000", ""]
    assert rows[-1][1:3] == ["10.0 (10.0–10.0)", "10.0 (10.0–10.0)"]


def test_turns_of_which_one_side_failed_leave_out_nothing_else() -> None:
    rows = throughput({SIDES[0]: ([90.0, 81.0], [100.0])})
    assert [row[-1] for row in rows] == ["0.900", ""]


def test_what_was_not_measured_has_no_table() -> None:
    measured = Measured()
    measured.add("first paint", "80×24", 0.5, 0.4)
    (only,) = tables(measured, ["80×24"])
    assert "first paint" in only and "0.45 (0.40–0.50)" in only
    assert tables(Measured(), ["80×24"]) == []


@pytest.mark.parametrize(("count", "rows"), [(1, 0), (100, 1)])
def test_keys_have_their_percentiles(count: int, rows: int) -> None:
    measured = Measured()
    measured.add("key ?, training", "80×24", *(number / 1000 for number in range(1, count + 1)))
    said = tables(measured, ["80×24"])
    assert len(said) == rows
    assert not rows or "50.5 | 95.1 | 99.0 | 100.0" in " ".join(said[0].split())
