"""A line that is typed into to narrow a list."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Label

from tui.widgets.text_input import TextInput

AT_ONCE = 300
"""Entries of a list that is narrowed with every key; one of more, which takes long to draw, in a pause in typing."""
TYPING_PAUSE = 0.15
"""Seconds."""


class _Words(TextInput):
    """What is typed; the list moves under it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.leave_filter", "Done", id="filter.done", tooltip="back to the list, still filtered"),
        Binding("escape", "screen.clear_filter", "Show all", id="filter.clear", tooltip="clear the filter"),
        Binding("up", "screen.move(-1)", show=False, id="filter.up", tooltip="previous entry"),
        Binding("down", "screen.move(1)", show=False, id="filter.down", tooltip="next entry"),
    ]


class FilterLine(Horizontal):
    """Not there until it is opened; ``words`` are what is typed, none while it is closed.

    The screen has the actions ``leave_filter``, ``clear_filter`` and ``move``.
    """

    DEFAULT_CSS = """
    FilterLine { height: 1; padding: 0 1; display: none; }
    FilterLine > Label { width: auto; color: $text-muted; }
    FilterLine > Input { width: 1fr; min-width: 8; background: $surface; margin: 0 1; padding: 0 1; }
    FilterLine > Input:focus { background: $primary-muted; }
    """

    class Changed(Message):
        """Something else is typed; where the list is long, a moment ago."""

    def __init__(self, placeholder: str, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id or None)
        self.input = _Words(placeholder=placeholder, compact=True, max_length=200)
        self.count = Label(markup=False)
        self._there = 0
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """What it is, what is typed, how many entries that leaves."""
        yield Label("filter")
        yield self.input
        yield self.count

    @property
    def words(self) -> list[str]:
        """What an entry has to hold, all of it, in small letters."""
        return self.input.value.casefold().split()

    @property
    def is_typed_in(self) -> bool:
        """Whether the cursor is here."""
        return self.screen.focused is self.input

    @property
    def is_waiting(self) -> bool:
        """Whether something else is typed that :class:`Changed` has not told yet, as it waits for a pause."""
        return self._pause is not None

    def open(self) -> None:
        """Shows the line with the cursor in it; at once, for a key that arrived together with this one."""
        self.display = True
        self.screen.set_focus(self.input)

    def close(self) -> None:
        """Takes what was typed away, and the line."""
        self.display = False
        self.input.value = ""

    def say(self, left: int, there: int) -> None:
        """Shows how many entries what is typed now leaves of those there are."""
        self._stop_waiting()
        self._there = there
        self.count.update(f"{left:,} of {there:,}")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._stop_waiting()
        if self._there <= AT_ONCE:
            self.post_message(self.Changed())
        else:
            self._pause = self.set_timer(TYPING_PAUSE, partial(self.post_message, self.Changed()))

    def _stop_waiting(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
