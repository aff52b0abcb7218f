"""Small windows over a mode: a question, a line to write, a text to read, and leaving while a run trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static

from tui.naming import called
from tui.widgets.text_input import TextInput
from tui.words.run_words import KEPT_IF_STOPPED

if TYPE_CHECKING:
    from tui.work.hosting import Hosting

Answer = TypeVar("Answer")


def answer(window: ModalScreen[Answer], result: Answer) -> None:
    """Closes the window with the answer; a second answer, of a key that came before it was closed, does nothing."""
    if window.is_current:
        window.dismiss(result)


class Question(ModalScreen[bool | None]):
    """Answers True for ``yes``, None if cancelled; Enter is the safe answer. A ``text`` that
    is a function is called repeatedly, as what it says may change while the question is open.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(None)", "Back", id="question.back", tooltip="cancel"),
        Binding("n", "answer(False)", "No", id="question.no", tooltip="the other button"),
        Binding("y", "answer(True)", "Yes", id="question.yes", tooltip="do it"),
        Binding("left,right", "app.focus_next", "Other", show=False, id="question.other", tooltip="the other button"),
    ]

    def __init__(self, title: str, text: str | Callable[[], str], yes: str, no: str) -> None:
        super().__init__()
        self.title_text, self.text, self.yes, self.no = title, text, yes, no
        self.question = Static(markup=False, id="question")

    def compose(self) -> ComposeResult:
        """The question and two buttons, the harmless one focused."""
        with Vertical(classes="dialog") as window:
            window.border_title = Text(self.title_text)
            yield self.question
            with Horizontal(classes="buttons"):
                yield Button(Text(self.no), id="no", compact=True)
                yield Button(Text(self.yes), id="yes", variant="warning", compact=True)

    def on_mount(self) -> None:
        """Enter means no."""
        self.query_one("#no").focus()
        self._say()
        if callable(self.text):
            self.set_interval(0.1, self._say)

    def _say(self) -> None:
        said = self.text() if callable(self.text) else self.text
        if said != self.question.content:
            self.question.update(said)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")

    def action_answer(self, yes: bool | None) -> None:
        """Closes the window with the answer."""
        answer(self, yes)


class LineEditor(ModalScreen[str | None]):
    """Answers the edited line, which begins as the ``present`` one; None if cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="line.close", tooltip="cancel"),
    ]

    def __init__(self, title: str, present: str, longest: int) -> None:
        super().__init__()
        self.title_text = title
        self.input = TextInput(present, compact=True, select_on_focus=False, max_length=longest)

    def compose(self) -> ComposeResult:
        """The line in a frame."""
        with Vertical(classes="dialog") as window:
            window.border_title = Text(self.title_text)
            window.border_subtitle = Text("enter save · esc cancel")
            yield self.input

    def on_mount(self) -> None:
        """At once, for the keys that came together with the one that opened this."""
        self.set_focus(self.input)

    def on_resize(self) -> None:
        """When it opens, and where a window that was too small to show the line took the cursor from it."""
        self.call_after_refresh(self._go_to_cursor)

    def _go_to_cursor(self) -> None:
        self.input.focus()
        if self.input.cursor_at_end:
            self.input.scroll_to(x=self.input.max_scroll_x, animate=False)

    @on(Input.Submitted)
    def _done(self) -> None:
        answer(self, self.input.value)


class Pick(ModalScreen[int | None]):
    """Answers the index of the chosen name, or None if cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="pick.close", tooltip="cancel"),
    ]

    def __init__(self, title: str, names: Sequence[str], present: int = 0) -> None:
        super().__init__()
        self.title_text, self.names, self.present = title, names, present

    def compose(self) -> ComposeResult:
        """The names in a frame, the present one under the cursor."""
        with Vertical(classes="dialog pick") as window:
            window.border_title = Text(self.title_text)
            window.border_subtitle = Text("enter choose · esc close")
            yield OptionList(*(Text(name, no_wrap=True, overflow="ellipsis") for name in self.names), compact=True)

    def on_mount(self) -> None:
        """The cursor begins where the person is."""
        names = self.query_one(OptionList)
        names.highlighted = self.present
        names.focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        answer(self, event.option_index)


class Tick(ModalScreen[frozenset[int] | None]):
    """Answers the indices of the ticked names, or None if cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "tick", "Tick", id="tick.tick", tooltip="select or deselect"),
        Binding("escape,q", "dismiss", "Close", id="tick.close", tooltip="cancel"),
    ]

    def __init__(self, title: str, names: Sequence[str], ticked: Iterable[int]) -> None:
        super().__init__()
        self.title_text, self.names, self.ticked = title, names, set(ticked)

    def compose(self) -> ComposeResult:
        """The names in a frame, each ticked or not."""
        with Vertical(classes="dialog pick") as window:
            window.border_title = Text(self.title_text)
            window.border_subtitle = Text("space tick · enter done · esc close")
            yield OptionList(*(self._prompt(number) for number in range(len(self.names))), compact=True)

    def on_mount(self) -> None:
        """The arrow keys move."""
        self.query_one(OptionList).focus()

    def action_tick(self) -> None:
        """Ticks the name under the cursor, or takes the tick away."""
        names = self.query_one(OptionList)
        if (number := names.highlighted) is not None:
            self.ticked ^= {number}
            names.replace_option_prompt_at_index(number, self._prompt(number))

    @on(OptionList.OptionSelected)
    def _done(self) -> None:
        answer(self, frozenset(self.ticked))

    def _prompt(self, number: int) -> Text:
        ticked = number in self.ticked
        text = Text(no_wrap=True, overflow="ellipsis")
        return text.append("[x] " if ticked else "[ ] ", "bold" if ticked else "").append(self.names[number])


Way = Literal["stop", "suspend"]
"""How an experiment is left: ended with what it has, or handed over to a process of its own."""
LEAVING: dict[Way, str] = {
    "stop": "Stopping: saving the run …",
    "suspend": "Detaching: saving the run …",
}


class Leaving(ModalScreen[Way | None]):
    """Asks how to leave what trains here, unless the ``way`` is known, and waits until that is saved.

    Answers None if the person stays, or if training has ended by itself before an answer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "stay", "Keep going", id="leaving.stay", tooltip="cancel"),
        Binding(
            "d", "leave('suspend')", "Detach", id="leaving.detach", tooltip="quit and keep training in the background"
        ),
        Binding("y", "leave('stop')", "Stop", id="leaving.stop", tooltip="end the experiment and quit"),
        Binding("q", "now", "Quit at once", id="leaving.now", tooltip="do not wait for the run to save"),
        Binding("right", "app.focus_next", "Next", show=False, id="leaving.next", tooltip="the next button"),
        Binding("left", "app.focus_previous", "Back", show=False, id="leaving.previous", tooltip="the button before"),
    ]

    def __init__(self, hosting: Hosting, way: Way | None = None) -> None:
        super().__init__()
        self.hosting, self.way = hosting, way

    def compose(self) -> ComposeResult:
        """The question and three buttons, the harmless one focused."""
        with Vertical(classes="dialog") as window:
            window.border_title = Text("A run is training")
            yield Static(
                f"Detach: keeps training in the background; `tl-tui attach{self._called()}` reopens it.\n"
                f"Stop: ends now. {KEPT_IF_STOPPED}; `tl-tui resume{self._called()}` continues it.",
                markup=False,
                id="question",
            )
            with Horizontal(classes="buttons"):
                yield Button("Keep going (n)", id="stay", compact=True)
                yield Button("Detach (d)", id="suspend", variant="success", compact=True)
                yield Button("Stop (y)", id="stop", variant="warning", compact=True)

    def _called(self) -> str:
        host = self.hosting.host
        return "" if host is None else f" {called(host.folder)}"

    def on_mount(self) -> None:
        """Enter means to stay."""
        self.query_one("#stay").focus()
        if self.way is not None:
            self._wait(self.way)
        self.set_interval(0.1, self._look)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While it waits, only quitting at once is left."""
        del parameters
        if action in ("leave", "stay"):
            return self.way is None
        return action != "now" or self.way is not None

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "stop" | "suspend":
                self.action_leave(event.button.id)
            case _:
                self.action_stay()

    def action_stay(self) -> None:
        """Goes back."""
        answer(self, None)

    def action_leave(self, way: Way) -> None:
        """Tells the experiment and waits."""
        self.way = way
        self._wait(way)

    def action_now(self) -> None:
        """Quits without waiting, once it was asked for; what was saved last can be gone on with."""
        self.dismiss("stop")

    def _wait(self, way: Way) -> None:
        self.hosting.ask(way)
        self.query_one("#question", Static).update(f"{LEAVING[way]}\nq quits without waiting")
        self.query_one(".buttons").display = False
        self.refresh_bindings()

    def _look(self) -> None:
        if not self.hosting.is_busy:
            answer(self, self.way)


def reading_width(columns: int) -> int:
    """Cells that a line of :class:`Reading` has in a terminal of so many columns: frame, margins and bar take eight."""
    return min(84, columns * 95 // 100) - 8


class Reading(ModalScreen[None]):
    """A text to read and to scroll through."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,enter,space,q,question_mark",
            "dismiss",
            "Close",
            id="reading.close",
            tooltip="go back",
        ),
    ]

    def __init__(self, title: str, text: Text) -> None:
        super().__init__()
        self.title_text, self.text = title, text

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        with VerticalScroll(classes="dialog reading") as window:
            window.border_title = Text(self.title_text)
            window.border_subtitle = Text("↑ ↓ scroll · enter or esc close")
            yield Static(self.text, markup=False)

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        self.query_one(VerticalScroll).focus()
