"""Notices: lines over the header that say what has just happened, for a while."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.notifications import SeverityLevel
from textual.widget import Widget
from textual.widgets._toast import Toast

TOLD_FOR: dict[SeverityLevel, float] = {"information": 3, "warning": 6, "error": 15}
"""Seconds for which a notice stays, by severity."""


def clear(app: App[Any], *, errors: bool) -> None:
    """Takes all notices away, the ``errors`` too or all but these."""
    for one in list(app._notifications):
        if errors or one.severity != "error":
            app._unnotify(one)
    for screen in app.screen_stack[-1:]:
        for toast in screen.query(Toast):
            if (errors or not toast.has_class("-error")) and isinstance(toast.parent, Widget):
                toast.parent.remove()  # Textual takes its words away, and leaves their row
