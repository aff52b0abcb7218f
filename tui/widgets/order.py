"""Keys that arrive together, as over a slow connection or pasted, act in their order."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from textual.widget import Widget

MOST = 1.0
"""Seconds that the app waits for each widget at most: one that is being taken away may never answer."""
MOVES = ("up", "down", "left", "right", "pageup", "pagedown")
"""Keys that a person may hold."""


def moves_in(widget: Widget, key: str) -> bool:
    """Whether the key only moves in the widget: one that is held passes over what takes the screen long to show."""
    own = (one for one in widget._bindings.key_to_bindings.get(key, ()) if "." not in one.action)
    return key in MOVES and any(own)


async def caught_up(widget: Widget) -> None:
    """Waits until a widget has acted on the keys that came before; for a key that the app itself acts on."""
    done = asyncio.Event()
    if widget.call_later(done.set):
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), MOST)


async def all_caught_up(widget: Widget) -> None:
    """Waits likewise for a widget and, one after the other, those around it, which learn from it what was typed."""
    for one in widget.ancestors_with_self:
        if isinstance(one, Widget):
            await caught_up(one)
