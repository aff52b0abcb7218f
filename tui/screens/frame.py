"""What every mode has around it: the header, the keys, and a word where the window is too small."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.events import ScreenResume
from textual.screen import Screen
from textual.widgets import Static

from engine.states.state import ExperimentState
from tui.screens.compositor import TellingCompositor
from tui.widgets.header import Header
from tui.widgets.key_line import KeyLine

SMALLEST = (60, 16)
"""Columns and rows below which nothing else is shown."""
WIDE_ENOUGH = 76
"""Columns from which on nothing has to make room for the rest; below, a screen has the class ``-narrow``."""
HIGH_ENOUGH = 20
"""Rows likewise; below, a screen has the class ``-low``."""


class Mode(Screen[None]):
    """A mode's screen; ``header`` is the one that :func:`framed` has put above it."""

    header: Header

    def __init__(self) -> None:
        super().__init__()
        self._compositor = TellingCompositor()
        self._is_styled = False
        self._works: tuple[tuple[str, bool], ...] | None = None  # of the keys

    def show(self, state: ExperimentState) -> None:
        """Shows the experiment as it stands now, as far as this mode is about it."""
        raise NotImplementedError

    def show_header(self, state: ExperimentState) -> None:
        """Shows in the header what this mode is about while the experiment in ``state`` is open."""
        self.header.show(self.about(state))

    def about(self, state: ExperimentState) -> ExperimentState:
        """What the header tells of: the experiment that is open."""
        return state

    def refresh_keys(self) -> None:
        """Redraws the key line, only if other keys work now, as that lays out the whole screen."""
        works = tuple((one.binding.action, one.enabled) for one in self.active_bindings.values())
        if works != self._works:
            self._works = works
            self.refresh_bindings()

    @on(ScreenResume)
    def _keep_styles(self, event: ScreenResume) -> None:
        """Coming back takes the styles that are there: they follow every change, and working them all out again is
        a third of the time from the key to the screen.
        """
        event.refresh_styles = not self._is_styled
        self._is_styled = True


def framed(mode: str, make: Callable[[], Mode]) -> Mode:
    """A mode's screen with the header above, the keys below, and a line for windows that are too small."""
    screen = make()
    screen.header = Header(mode)
    screen.compose_add_child(screen.header)
    screen.compose_add_child(
        Static(f"tl-tui needs at least {SMALLEST[0]} × {SMALLEST[1]} characters", id="too-small", markup=False)
    )
    screen.compose_add_child(KeyLine())
    return screen
