"""The comparison as CSV: a line a run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from engine.comparison.rows import Comparison
from engine.export.flat import Flat, flat
from engine.text import visible

FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - the wide ones start formulas too


def to_csv(comparison: Comparison) -> str:
    """One line a run after a line of column names, see :func:`csv_text`."""
    data = comparison.data
    shared: dict[str, Flat] = {"train": data.train, "val": data.val, "test": data.test, "positive": comparison.positive}
    lines = [{"experiment": row.experiment} | shared | flat(row, data.classes) for row in comparison.runs]
    return csv_text([tuple(lines[0]), *(tuple(line.values()) for line in lines)] if lines else [])


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV, of which a spreadsheet runs nothing and a terminal obeys nothing."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)  # which leaves no tab or carriage return to begin with
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
