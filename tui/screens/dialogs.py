"""Small windows over a mode: a question, a text to read, and leaving while a run trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Question(ModalScreen[bool]):
    """Answers True if the person chose ``yes``; nothing is lost by Escape or by an unthinking Enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No", id="question.no", tooltip="change nothing"),
        Binding("y", "answer(True)", "Yes", id="question.yes", tooltip="do it"),
        Binding("left,right", "app.focus_next", "Other", show=False, id="question.other", tooltip="the other button"),
    ]

    def __init__(self, title: str, text: str, yes: str, no: str) -> None:
        super().__init__()
        self.title_text, self.text, self.yes, self.no = title, text, yes, no

    def compose(self) -> ComposeResult:
        """The question and two buttons, the harmless one focused."""
        with Vertical(classes="dialog") as window:
            window.border_title = Text(self.title_text)
            yield Static(self.text, markup=False, id="question")
            with Horizontal(classes="buttons"):
                yield Button(Text(self.no), id="no", compact=True)
                yield Button(Text(self.yes), id="yes", variant="warning", compact=True)

    def on_mount(self) -> None:
        """Enter means no."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Closes the window with the answer."""
        self.dismiss(yes)


class Leaving(Question):
    """Asks whether to stop what trains and quit; if so, waits until it has saved what it learnt."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "now", "Quit at once", id="leaving.now", tooltip="do not wait for the run to save"),
    ]

    def __init__(self, stop: Callable[[], None], is_alive: Callable[[], bool]) -> None:
        super().__init__(
            "A run is training",
            "Quitting stops it. Its best epoch so far is kept.",
            "Stop and quit (y)",
            "Keep going (n)",
        )
        self.stop, self.is_alive = stop, is_alive
        self.waiting = False

    def action_answer(self, yes: bool) -> None:
        """Goes back, or stops and waits."""
        if not yes:
            if not self.waiting:
                self.dismiss(False)
            return
        if self.waiting:
            return
        self.waiting = True
        self.stop()
        self.query_one("#question", Static).update(
            "Stopping: the best epoch is being saved …\nq quits without waiting."
        )
        self.query_one(".buttons").display = False
        self.refresh_bindings()
        self.set_interval(0.1, self._look)

    def action_now(self) -> None:
        """Quits without waiting, once a stop was asked for."""
        if self.waiting:
            self.dismiss(True)

    def _look(self) -> None:
        if not self.is_alive() and self.is_current:
            self.dismiss(True)


class Reading(ModalScreen[None]):
    """A text to read and to scroll through."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,enter,q,question_mark", "dismiss", "Close", id="reading.close", tooltip="back to where you were"
        ),
    ]

    def __init__(self, title: str, text: Text) -> None:
        super().__init__()
        self.title_text, self.text = title, text

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        with VerticalScroll(classes="dialog reading") as window:
            window.border_title = Text(self.title_text)
            window.border_subtitle = Text("↑ ↓ scroll · esc close")
            yield Static(self.text, markup=False)

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        self.query_one(VerticalScroll).focus()
