"""Text that has to fit, or to be harmless."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from engine.text import visible


def middle(text: str, width: int) -> str:
    """The text, with its middle left out where it is longer than ``width`` cells; nothing where there is no room."""
    if width < 1:
        return ""
    if cell_len(text) <= width:
        return text
    head, tail = Text(text), Text(text)
    head.truncate((width - 1) // 2)
    room = width - 1 - head.cell_len
    while tail.cell_len > room:
        tail = tail[1:]
    return f"{head.plain}…{tail.plain}"


def print_line(text: str) -> None:
    """A line that is never read as markup, and of which a terminal obeys nothing."""
    Console(soft_wrap=True).print(Text(visible(text)))
