"""The app that a screen belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.app import TlTui


def app_of(screen: Screen[None]) -> TlTui:
    """The screen's app, typed; importing it here would be a circle."""
    return cast("TlTui", screen.app)
