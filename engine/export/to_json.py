"""The comparison as one JSON object; its fields are described in docs/verdict.md."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from engine.comparison.rows import Comparison
from engine.comparison.strategy_spreads import summaries
from engine.comparison.verdict import choices, verdict


def as_object(comparison: Comparison) -> dict[str, Any]:
    """The comparison, each strategy over its runs, the verdict and the choices as plain values."""
    return {
        **msgspec.to_builtins(comparison),
        "strategies": msgspec.to_builtins(summaries(comparison)),
        "verdict": verdict(comparison),
        "choices": msgspec.to_builtins(choices(comparison)),
    }


def to_json(comparison: Comparison) -> str:
    """The comparison as indented JSON text."""
    return json_text(as_object(comparison))


def json_text(value: object) -> str:
    """A value as indented JSON text, in which what a terminal would obey is written in escapes like ``\\u001b``."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)
