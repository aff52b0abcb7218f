"""What every mode has around it: the header, the keys, and a word where the window is too small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from textual.screen import Screen
from textual.widgets import Static

from engine.state import ExperimentState
from tui.widgets.header import Header
from tui.widgets.key_line import KeyLine

SMALLEST = (60, 16)
"""Columns and rows below which nothing else is shown."""


@runtime_checkable
class Shows(Protocol):
    """A mode's screen."""

    def show(self, state: ExperimentState) -> None:
        """Shows the experiment as it stands now."""


def framed(mode: str, make: Callable[[], Screen[None]]) -> Screen[None]:
    """A mode's screen with the header above, the keys below, and a line for windows that are too small."""
    screen = make()
    screen.compose_add_child(Header(mode))
    screen.compose_add_child(
        Static(f"tl-tui needs at least {SMALLEST[0]} × {SMALLEST[1]} characters", id="too-small", markup=False)
    )
    screen.compose_add_child(KeyLine())
    return screen
