"""A one-line input of what may come from outside."""

from __future__ import annotations

from rich.segment import Segment
from rich.text import Text
from textual.events import Paste
from textual.strip import Strip
from textual.widgets import Input

UNPRINTABLE = "\ufffd"
"""One cell in place of each character that a terminal would obey."""


class TextInput(Input):
    """Draws nothing that a terminal would obey, and tells where its beginning or lines of a paste are left out."""

    @property
    def _value(self) -> Text:
        """What is drawn of the value: Textual would send the terminal whatever stands in it."""
        drawn = "".join(one if one.isprintable() else UNPRINTABLE for one in self.value)
        return Text(drawn, no_wrap=True, overflow="ignore", end="")

    def render_line(self, y: int) -> Strip:
        """Without the cursor, what stands before the part that has room is told of by an ellipsis."""
        strip = super().render_line(y)
        if self.has_focus or not self.scroll_offset.x or not strip:
            return strip
        first = next(iter(strip))
        return Strip.join([Strip([Segment("…", first.style)]), strip.crop(1, strip.cell_length)])

    def _on_paste(self, event: Paste) -> None:
        """Textual takes first line; that there are others is not to be missed."""
        if (lines := len(event.text.splitlines())) > 1:
            self.notify(f"Pasted {lines} lines; only the first was used.", severity="warning")
