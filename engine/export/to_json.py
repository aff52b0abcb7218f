"""The comparison as one JSON object; its fields are described in the README."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.compare import Comparison
from engine.verdict import choices, verdict


def as_object(comparison: Comparison) -> dict[str, Any]:
    """The comparison, its verdict and its choices as plain values."""
    return {
        **msgspec.to_builtins(comparison),
        "verdict": verdict(comparison),
        "choices": msgspec.to_builtins(choices(comparison)),
    }


def to_json(comparison: Comparison) -> str:
    """The comparison as indented JSON text."""
    return msgspec.json.format(msgspec.json.encode(as_object(comparison)), indent=2).decode() + "\n"
