"""A run's measures under one name each, for tables of a line a run."""

from __future__ import annotations

import json

import msgspec

from engine.comparison.rows import Row
from engine.comparison.score_names import SCORES

Flat = str | float | int | None
# without the accuracy: the row has its own, which is there without predictions too
MEASURES = ("images", "log_loss", *(one.name for one in SCORES))
OF_A_CLASS = ("precision", "recall", "support")


def flat(row: Row, classes: tuple[str, ...]) -> dict[str, Flat]:
    """Every field of the row by name. Those of its scores begin with ``val_`` or ``test_`` and, of a class, end with
    its name; what is a list is JSON text. Rows with the same classes have the same names, whatever was measured.
    """
    values: dict[str, Flat] = {}
    for name in row.__struct_fields__:
        if name in ("scores", "test_scores"):
            values |= _scores(row, name, "test_" if name == "test_scores" else "val_", classes)
            continue
        value = getattr(row, name)
        values[name] = json.dumps(msgspec.to_builtins(value)) if isinstance(value, tuple) else value
    return values


def _scores(row: Row, field: str, prefix: str, classes: tuple[str, ...]) -> dict[str, Flat]:
    scores = getattr(row, field)
    known = {one.name: one for one in scores.classes} if scores is not None else {}
    values: dict[str, Flat] = {f"{prefix}{name}": getattr(scores, name, None) for name in MEASURES}
    for name in classes:
        values |= {f"{prefix}{measure}_{name}": getattr(known.get(name), measure, None) for measure in OF_A_CLASS}
    values[f"{prefix}confusion"] = json.dumps(scores.confusion) if scores is not None else None
    return values
