"""Widgets that are shown later know how large they are."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

from tui.screens.frame import Mode


class Shown(Static):
    """Remembers the size that it was told last."""

    told = Size(0, 0)

    def on_resize(self, event: Resize) -> None:
        self.told = event.size


@pytest.mark.parametrize("is_scrolled", [False, True])
async def test_a_widget_that_is_asked_for_its_size_before_it_is_laid_out_is_told_it_then(is_scrolled: bool) -> None:
    widget = Shown()
    widget.display = False

    class Alone(Mode):
        def compose(self) -> ComposeResult:
            yield widget
            yield Static("\n" * 50)

    class OfOneMode(App[None]):
        def get_default_screen(self) -> Screen[None]:
            return Alone()

    async with OfOneMode().run_test(size=(60, 20)) as pilot:
        if is_scrolled:
            pilot.app.screen.scroll_to(y=3, animate=False, immediate=True)
            await pilot.pause()
        widget.display = True
        pilot.app.screen._compositor.update_widgets({widget})  # as where it is drawn in the same moment
        assert widget.size.width > 0
        await pilot.pause()
        assert widget.told == widget.outer_size
        await pilot.resize_terminal(50, 20)
        assert widget.told == widget.outer_size
