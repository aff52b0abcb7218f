"""A widget of curves."""

from __future__ import annotations

from rich.text import Text
from textual.geometry import Size
from textual.reactive import reactive

from tui.drawing.plot import Curves, are_drawn_alike, draw, relabelled
from tui.widgets.rows import Rows


class Chart(Rows):
    """Shows its curves: drawn when they come into view, and again only for other curves or another size."""

    DEFAULT_CSS = """
    Chart { height: 1fr; }
    """

    curves: reactive[Curves | None] = reactive(None, repaint=False)

    def __init__(self, curves: Curves | None = None, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.set_reactive(Chart.curves, curves)
        self._drawn: tuple[Curves, Size] | None = None

    def watch_curves(self) -> None:
        """Draws other curves where they can be seen; elsewhere Textual asks for them when that changes."""
        if self.curves is None:
            self._drawn = None
        if self._drawn is None or self.curves is None or not self.is_on_screen or self._drawn[1] != self.content_size:
            self.refresh()
        else:
            before, self._drawn = self._drawn[0], (self.curves, self.content_size)
            if are_drawn_alike(before, self.curves):
                self.put(relabelled(self.content, self.curves, self.content_size.width))
            else:
                self.put(draw(self.curves, *self.content_size))

    def render(self) -> Text:
        """The curves at the size there is now."""
        size = self.content_size
        if self.curves is None or not size.area:
            return Text()
        if self._drawn is None or self._drawn[0] is not self.curves or self._drawn[1] != size:
            self._drawn = self.curves, size
            self.content = draw(self.curves, *size)
        return self.content
