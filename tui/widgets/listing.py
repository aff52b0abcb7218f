"""Lines of which one is under the cursor."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from tui.drawing.theme import CURSOR, CURSOR_AWAY, rgb
from tui.widgets.rows import Rows

UNDER_CURSOR = f"on {rgb(CURSOR)}"
UNDER_CURSOR_UNFOCUSED = f"on {rgb(CURSOR_AWAY)}"
WHEEL = 3


class Listing(Rows, can_focus=True):
    """Draws only the lines in view; a key costs the wire the lines that look different after it.

    Made for a subclass that says how many lines there are and how each looks.
    """

    DEFAULT_CSS = """
    Listing { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="list.up", tooltip="line up"),
        Binding("down,j", "move(1)", "Down", show=False, id="list.down", tooltip="line down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="list.page-up", tooltip="page up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="list.page-down", tooltip="page down"),
        Binding("home", "move(-1_000_000_000)", "First", show=False, id="list.first", tooltip="first line"),
        Binding("end", "move(1_000_000_000)", "Last", show=False, id="list.last", tooltip="last line"),
    ]

    class Moved(Message):
        """Another line is under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.cursor = 0
        self.first = 0

    @property
    def count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def head(self, width: int) -> list[Text]:
        """The lines above, which do not scroll."""
        del width
        return []

    def line(self, number: int, width: int) -> Text:
        """A line of at most ``width`` cells."""
        raise NotImplementedError

    def draw(self) -> None:
        """Shows what there is now, with the line under the cursor in view."""
        width, height = self.content_size
        if not width or not height:
            return
        head = self.head(width)
        rows = max(1, height - len(head))
        self.cursor = max(0, min(self.cursor, self.count - 1))
        self.first = max(min(self.first, self.cursor, self.count - rows), self.cursor - rows + 1, 0)
        lines = list(head)
        for number in range(self.first, min(self.count, self.first + rows)):
            line = self.line(number, width)
            line.truncate(width, overflow="ellipsis", pad=number == self.cursor)
            if number == self.cursor:
                line.stylize_before(UNDER_CURSOR if self.has_focus else UNDER_CURSOR_UNFOCUSED)
            lines.append(line)
        lines += [Text()] * (height - len(lines))
        for line in lines[: len(head)]:
            line.truncate(width, overflow="ellipsis")
        self.put(Text("\n", no_wrap=True, overflow="crop").join(lines[:height]))

    def on_resize(self) -> None:
        """Fits the new size."""
        self.draw()

    def on_focus(self) -> None:
        """The cursor is bright."""
        self.draw()

    def on_blur(self) -> None:
        """The cursor is dark."""
        self.draw()

    def action_move(self, lines: int) -> None:
        """Moves the cursor by so many lines."""
        before, self.cursor = self.cursor, max(0, min(self.cursor + lines, self.count - 1))
        if self.cursor != before:
            self.draw()
            self.post_message(self.Moved())

    def action_page(self, pages: int) -> None:
        """Moves the cursor by so many pages."""
        self.action_move(pages * max(1, self.content_size.height - len(self.head(self.content_size.width)) - 1))

    def on_click(self, event: Click) -> None:
        """Puts the cursor on a line."""
        number = self.first + event.y - len(self.head(self.content_size.width))
        if self.first <= number < self.count:
            self.action_move(number - self.cursor)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.action_move(-WHEEL)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.action_move(WHEEL)
