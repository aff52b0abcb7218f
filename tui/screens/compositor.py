"""Where widgets are on a screen, and that they hear of it."""

from __future__ import annotations

from textual._compositor import Compositor, CompositorMap, ReflowResult
from textual.geometry import Size
from textual.widget import Widget


class TellingCompositor(Compositor):
    """Tells every widget its size once it is laid out.

    If the size of a newly shown widget is read before layout, Textual (8.2) sends no Resize and it stays drawn for
    width 0.
    """

    _told: CompositorMap | None = None

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Compares with the layout before, not with what was asked since."""
        if self._told is not None:
            self._full_map = self._told
        result = super().reflow(parent, size)
        self._told = self._full_map
        return result
