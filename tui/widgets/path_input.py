"""An input for a path that completes folders and CSV files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import Suggester

from tui.widgets.order import caught_up
from tui.widgets.text_input import TextInput

MOST_ENTRIES = 20_000
"""A folder with more entries than this is not searched to its end: completion must stay quick."""


def completion(value: str, words: Sequence[str] = ()) -> str | None:
    """``value`` completed to the first matching word, folder (ending in ``/``) or CSV file; None if nothing matches, or
    where a whole folder is named and there are several to go on to: Tab would choose one of them.

    Hidden entries match only where their dot was typed; names with unprintable characters never do.
    """
    if not value:
        return None
    for word in words:
        if word.startswith(value) and word != value:
            return word
    folder, _, start = value.rpartition("/")
    matches = sorted(_matches(folder + "/" if "/" in value else ".", start))
    if not start and len(matches) > 1:
        return None
    return f"{folder}/{matches[0]}" if matches and "/" in value else next(iter(matches), None)


def with_slash(text: str) -> str:
    """The path with a slash before it, if it is there only so and nothing here begins like it: of what was typed after
    a key that is itself a slash.
    """
    if not text or text[0] in "/~" or os.path.lexists(text) or completion(text) is not None:
        return text
    return f"/{text}" if os.path.lexists(f"/{text}") else text


def unquoted(text: str) -> str:
    """The path without blanks around it, and without the quotes of a shell: those of a name stay behind ``./``."""
    text = text.strip()
    is_quoted = len(text) > 2 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if is_quoted else text


def _matches(folder: str, start: str) -> list[str]:
    found: list[str] = []
    try:
        with os.scandir(os.path.expanduser(folder)) as entries:  # noqa: PTH111 - keeps what was typed as it is
            for number, entry in enumerate(entries):
                if number >= MOST_ENTRIES:
                    break
                name = entry.name
                if not name.startswith(start) or not name.isprintable() or (name.startswith(".") and not start):
                    continue
                if entry.is_dir():
                    found.append(name + "/")
                elif name.lower().endswith(".csv") and name != start:
                    found.append(name)
    except (OSError, ValueError):  # ValueError: a null character, or one that no name can have
        return []
    return found


class _PathSuggester(Suggester):
    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.words = words

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(completion, value, self.words)


class PathInput(TextInput):
    """A path; Tab or → takes the completion that is shown, Tab without one moves on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "tab",
            "complete",
            "Complete",
            show=False,
            priority=True,
            id="path.complete",
            tooltip="accept the completion",
        ),
    ]

    def __init__(self, value: str = "", *, placeholder: str = "", words: Sequence[str] = (), id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(
            value,
            placeholder=placeholder,
            suggester=_PathSuggester(words),
            compact=True,
            select_on_focus=False,
            id=id or None,
        )

    def on_resize(self) -> None:
        """Of a long path the end tells more than the beginning."""
        if not self.has_focus:
            self._show_end()

    def on_blur(self) -> None:
        """Sets the value and puts the cursor at its end."""
        self._show_end()

    def _show_end(self) -> None:
        self.call_after_refresh(lambda: self.scroll_to(x=self.max_scroll_x, animate=False))

    async def action_complete(self) -> None:
        """Takes the completion of all that was typed, or moves on where there is none."""
        await caught_up(self)
        before = self.value
        if self.cursor_at_end:
            self.action_cursor_right()
        if self.value == before:
            self.screen.focus_next()
