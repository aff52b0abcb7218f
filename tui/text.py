"""Text that has to fit."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text


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
