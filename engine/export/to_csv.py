"""The comparison as CSV: a line a run."""

from __future__ import annotations

import csv
import io

from engine.comparison.rows import Comparison
from engine.export.flat import Flat, flat
from engine.text import visible

FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - the wide ones start formulas too


def to_csv(comparison: Comparison) -> str:
    """One line a run after a line of column names; no cell is one that a spreadsheet would run as a formula.

    Text from outside is :func:`engine.text.visible`: a terminal obeys none of it either.
    """
    data = comparison.data
    shared: dict[str, Flat] = {"train": data.train, "val": data.val, "test": data.test, "positive": comparison.positive}
    lines = [{"experiment": row.experiment} | shared | flat(row, data.classes) for row in comparison.runs]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if lines:
        writer.writerow(map(_cell, lines[0]))
    writer.writerows(map(_cell, line.values()) for line in lines)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)  # which leaves no tab or carriage return to begin with
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
