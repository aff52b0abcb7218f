"""The comparison as CSV: a line a run, the columns named as in the JSON."""

from __future__ import annotations

import csv
import io

import msgspec

from engine.comparison.rows import Comparison, Row
from engine.text import visible

FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - the wide ones start formulas too


def to_csv(comparison: Comparison) -> str:
    """One line a run after a line of column names; no cell is one that a spreadsheet would run as a formula.

    Text from outside is :func:`engine.text.visible`: a terminal obeys none of it either.
    """
    text = io.StringIO()
    columns = ["experiment", "train", "val", *Row.__struct_fields__]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    shared = {"experiment": comparison.experiment, "train": comparison.data.train, "val": comparison.data.val}
    for row in comparison.runs:
        values = shared | msgspec.structs.asdict(row)
        writer.writerow({column: _cell(value) for column, value in values.items()})
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)  # which leaves no tab or carriage return to begin with
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
