"""Loads libraries before they are needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from engine.hosts.tuning import step_back, uncollected
from tui.errors import record_error

NICE = 10
FOR_COMPARING = ("numpy", "scipy.special", "scipy.stats", "sklearn.metrics", "engine.comparison.pairs", "tui.comparing")
"""In an order in which each takes a part of the seconds."""


def load_for_comparing(is_wanted: Callable[[], bool]) -> None:
    """Imports what compares, in a thread of its own, which steps back behind all others; until it is not wanted."""
    step_back(NICE)
    try:
        with uncollected():
            for name in FOR_COMPARING:
                if not is_wanted():
                    return
                import_module(name)
    except Exception:  # it is told where it is needed
        record_error()
