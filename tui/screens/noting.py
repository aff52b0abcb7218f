"""Writes a person's note on an experiment, asked for in a window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual.widget import AwaitMount

from engine.history.note import LONGEST, write_note
from engine.history.summaries import Summary
from engine.text import shown
from tui.errors import told
from tui.host import app_of
from tui.widgets.dialogs import LineEditor

if TYPE_CHECKING:
    from textual.screen import Screen


def note_on(screen: Screen[None], summary: Summary, text: str, written: Callable[[], None]) -> AwaitMount:
    """Opens the window with ``text`` in it; saves the edited note, then calls ``written``."""

    def answered(said: str | None) -> None:
        if said is not None and said != summary.note:
            app_of(screen).write("note", partial(write, said))

    def write(said: str) -> None:
        is_written = False
        with told(screen, "Note not saved"):
            write_note(summary.folder, said)
            is_written = True
        screen.app.call_from_thread(written if is_written else partial(ask_again, said))

    def ask_again(said: str) -> None:
        if screen.is_current:  # what was typed is not lost
            note_on(screen, summary, said, written)

    return screen.app.push_screen(LineEditor(f"Note on {shown(summary.name, 50)}", text, LONGEST), answered)
