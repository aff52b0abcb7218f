"""The comparison as CSV: a line a run, the columns named as in the JSON."""

from __future__ import annotations

import csv
import io

import msgspec

from engine.compare import Comparison, Row

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(comparison: Comparison) -> str:
    """One line a run after a line of column names; no cell is one that a spreadsheet would run as a formula."""
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
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
