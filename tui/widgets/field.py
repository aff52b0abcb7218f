"""One line of a form: a label, a control, and beside it a hint or what is wrong."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Label, Select
from textual.widgets._select import SelectOverlay

from engine.text import shown

FIELD_KEYS: list[BindingType] = [
    Binding(
        "tab",
        "screen.next_field",
        "Next field",
        priority=True,
        id="setup.tab",
        tooltip="next field (shift+tab: previous)",
    ),
    Binding(
        "ctrl+r,f5",
        "screen.start",
        "Start",
        priority=True,  # as the screen's own, which would take its place in the line of keys, unseen
        id="setup.start",
        tooltip="start the comparison from any field",
    ),
]
"""The keys of a screen that starts something which are worth a word while the cursor is in one of its fields."""


class Menu(Select[str]):
    """One of a few values in one line; Enter or space opens the menu, ↑ and ↓ move on as in any field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "Previous field", show=False, id="menu.previous"),
        Binding("down", "app.focus_next", "Next field", show=False, id="menu.next"),
        Binding("enter,space", "show_overlay", "Open the menu", show=False, id="menu.open"),
    ]

    def __init__(self, options: list[tuple[str, str]], value: str, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(options, value=value, allow_blank=False, compact=True, id=id or None)

    def action_show_overlay(self) -> None:
        """Opens the menu, which takes the keys at once: those that came together with this one are meant for it."""
        super().action_show_overlay()
        self.screen.set_focus(self.query_one(SelectOverlay), scroll_visible=False)


class Field(Horizontal):
    """A labelled control; :meth:`say` shows an error in place of the hint."""

    DEFAULT_CSS = """
    Field { height: 1; width: 1fr; padding: 0 1 0 0; }
    Field > .field-label { width: 15; color: $text-muted; padding: 0 1; text-overflow: ellipsis; }
    Field > Input, Field > Select { width: 20; max-width: 50%; }
    Field.-short > Input { width: 8; }
    Field.-short > Select { width: 10; }
    Field.-wide > Input { width: 1fr; min-width: 8; max-width: 100%; }
    Field > Input { background: $surface; padding: 0 1; }
    Field > Input:focus { background: $primary-muted; }
    Field SelectCurrent { background: $surface; padding: 0 1; }
    Field > Select:focus > SelectCurrent { background: $primary-muted; }
    Field > .field-note {
        width: 1fr; color: $text-disabled; padding: 0 0 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    Field.-wide > .field-note { width: auto; }
    Field.-wrong > Input { width: 1fr; min-width: 6; max-width: 100%; }
    Field.-wrong > .field-note { color: $text-error; width: auto; }
    """

    def __init__(self, label: str, control: Widget, hint: str = "", *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self.label = label
        self.control = control
        self.hint = hint
        self.note = Label(hint, markup=False, classes="field-note")

    def compose(self) -> ComposeResult:
        """Label, control, note."""
        yield Label(self.label, markup=False, classes="field-label")
        yield self.control
        yield self.note

    @property
    def is_wrong(self) -> bool:
        """Whether what is in the control cannot be used."""
        return self.has_class("-wrong")

    def say(self, problem: str) -> None:
        """Shows what is wrong with the value, or the hint where the problem is empty."""
        self.set_class(bool(problem), "-wrong")
        self.note.update(f"! {shown(problem)}" if problem else self.hint)
        self.note.tooltip = Text(shown(problem)) if problem else None
