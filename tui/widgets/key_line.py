"""The keys that work now, at the bottom of every mode."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.events import Click, MouseMove
from textual.screen import Screen
from textual.widget import Widget


class KeyShown(NamedTuple):
    """A key in the line: what is pressed for it, how it is written, what it does, whether that is possible now."""

    key: str
    display: str
    description: str
    tooltip: str
    enabled: bool

    @property
    def width(self) -> int:
        """Cells that it takes."""
        return len(self.display) + len(self.description) + 3


LAST = 2
"""Keys at the end that are never left out: help and quit, or in a field the keys that lead out of it."""


def fitting(keys: tuple[KeyShown, ...], width: int) -> tuple[KeyShown, ...]:
    """As many of the first keys as fit in ``width`` cells together with the last ones."""
    first, last = list(keys[:-LAST]), keys[-LAST:]
    while first and sum(one.width for one in (*first, *last)) > width:
        first.pop()
    return (*first, *last)


class KeyLine(Widget):
    """One line of keys; a click presses one.

    Drawn as one text: Textual's own footer makes a widget of every key anew at each visit of a mode, which takes
    longer than all else that a key has to wait for.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-line--key", "key-line--description"}
    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; background: $background; text-wrap: nowrap; }
    KeyLine > .key-line--key { color: $footer-key-foreground; text-style: bold; }
    KeyLine > .key-line--description { color: $footer-description-foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys: tuple[KeyShown, ...] = ()

    def on_mount(self) -> None:
        """Follows the screen's keys."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        keys: dict[str, KeyShown] = {}
        for _, binding, enabled, tooltip in screen.active_bindings.values():
            if binding.show:
                display = self.app.get_key_display(binding)
                keys.setdefault(binding.action, KeyShown(binding.key, display, binding.description, tooltip, enabled))
        if self.keys != tuple(keys.values()):
            self.keys = tuple(keys.values())
            self.refresh()

    def render(self) -> Text:
        """The keys with what they do; what is impossible now is dim."""
        text = Text(no_wrap=True, overflow="ellipsis")
        key, description = (self.get_component_rich_style(f"key-line--{part}") for part in ("key", "description"))
        for one in fitting(self.keys, self.size.width):
            begin = len(text)
            text.append(f" {one.display} ", key).append(f"{one.description} ", description)
            if not one.enabled:
                text.stylize("dim", begin)
        return text

    def on_click(self, event: Click) -> None:
        """Presses the key that was clicked."""
        if (clicked := self._at(event.x)) is not None:
            if clicked.enabled:
                self.app.simulate_key(clicked.key)
            else:
                self.app.bell()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Explains the key under the pointer."""
        under = self._at(event.x)
        self.tooltip = under.tooltip if under is not None and under.tooltip else None

    def _at(self, x: int) -> KeyShown | None:
        end = 0
        for one in fitting(self.keys, self.size.width):
            begin, end = end, end + one.width
            if begin <= x < end:
                return one
        return None
