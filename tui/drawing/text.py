"""Text that has to fit, or to be harmless."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from engine.text import visible

SEPARATORS = "-_ /"
"""What stands between the words of a name."""


def cut_in_the_middle(text: str, width: int) -> str:
    """The text, with its middle left out where it is longer than ``width`` cells; nothing where there is no room."""
    if width < 1:
        return ""
    if cell_len(text) <= width:
        return text
    head = Text(text)
    head.truncate((width - 1) // 2)
    return f"{head.plain}{_end(text, width - head.cell_len)}"


def keys_that_fit(keys: str, width: int) -> str:
    """Keys and what they do, ``a one · b two · esc close``: the last, and of the others the first, as many as have room
    in ``width`` cells.
    """
    *first, last = keys.split(" · ")
    while first and cell_len(" · ".join((*first, last))) > width:
        first.pop()
    return " · ".join((*first, last))


def told_apart(names: Sequence[str], width: int) -> list[str]:
    """Every name in at most ``width`` cells, its middle left out where it is longer.

    Names that would read alike then are cut elsewhere, so that what they differ in stays.
    """
    return list(_apart(tuple(names), width))


@lru_cache(maxsize=16)  # a list asks for each of its lines
def _apart(names: tuple[str, ...], width: int) -> tuple[str, ...]:
    said = {name: cut_in_the_middle(name, width) for name in names}
    alike: dict[str, list[str]] = {}
    for name, cut in said.items():
        alike.setdefault(cut, []).append(name)
    for group in alike.values():
        if len(group) > 1 and width > 0:
            begin = _alike(group)
            end = _alike([name[begin:][::-1] for name in group])
            said |= {name: _around(name, begin, len(name) - end, width) for name in group}
    return tuple(said[name] for name in names)


def _alike(names: Sequence[str]) -> int:
    """With how many characters all of them begin."""
    first, last = min(names), max(names)
    return next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))


def _around(name: str, begin: int, end: int, width: int) -> str:
    """The part from ``begin`` to ``end``, with the rest of its words; of what is around it as much as has room."""
    while begin > 0 and name[begin - 1] not in SEPARATORS and cell_len(name[begin - 1 : end]) <= width // 2:
        begin -= 1
    while end < len(name) and name[end] not in SEPARATORS and cell_len(name[begin : end + 1]) <= width // 2:
        end += 1
    part = cut_in_the_middle(name[begin:end], max(0, width - 2))
    room = width - cell_len(part)
    behind = min(cell_len(name[end:]), room // 2)
    head = Text(name[:begin])
    head.truncate(room - behind, overflow="ellipsis")
    return f"{head.plain}{part}{_end(name[end:], behind)}"


def _end(text: str, width: int) -> str:
    """The end of the text, behind an ellipsis where it is longer than ``width`` cells."""
    if cell_len(text) <= width:
        return text
    tail = Text(text)
    while tail.cell_len > max(0, width - 1):
        tail = tail[1:]
    return f"…{tail.plain}" if width > 0 else ""


def wrapped(text: str, width: int, most: int) -> list[str]:
    """The text in lines of at most ``width`` cells, the last of the ``most`` cut where there is more."""
    lines = [line.plain.rstrip() for line in Text(text).wrap(Console(width=width), width)] if text else []
    if len(lines) > most:
        rest = Text(" ".join(lines[most - 1 :]))
        rest.truncate(width, overflow="ellipsis")
        lines = [*lines[: most - 1], rest.plain]
    return lines


def print_line(text: str, *, to_stderr: bool = False) -> None:
    """A line that is never read as markup, and of which a terminal obeys nothing."""
    Console(stderr=to_stderr, soft_wrap=True).print(Text(visible(text)))


def below(folder: str, text: str) -> str:
    """What is said of a place in a folder, without the folder's path, which the reader knows."""
    return text.removeprefix(folder).lstrip("/: ") if folder and text.startswith(folder) else text
