"""Text from outside (file names, class names, error messages) made fit to be shown. Imports without torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def shown(text: str, limit: int = 300) -> str:
    """The text :func:`visible` on one line, at most ``limit`` characters of it (at least 3).

    Where it is too long its middle is left out. What was shown once stays the same when shown again.
    """
    if len(text) > 2 * limit:
        text = text[:limit] + text[-limit:]  # what is between would be left out anyway
    line = visible(text)
    if len(line) <= limit:
        return line
    head = (limit - 1) // 2
    return f"{line[:head]}…{line[head + 1 - limit :]}"


def visible(text: str, keep: str = "") -> str:
    """The text without anything that a terminal would obey, at any length.

    Control characters, newlines, invisible and unencodable characters become escapes such as ``\\x1b``, but for those
    in ``keep``.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _escape(one) for one in text)


def in_one_line(error: BaseException) -> str:
    """What an exception says, its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def listed(names: list[str], limit: int = 3) -> str:
    """The first few names, and how many more there are: ``a, b, c and 4 more``."""
    first = ", ".join(shown(name, 100) for name in names[:limit])
    more = len(names) - limit
    return f"{first} and {more:,} more" if more > 0 else first


def joined(parts: Sequence[str], joint: str) -> str:
    """All of them in words, ``joint`` before the last: ``a, b and c``; at least one."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joint} {parts[-1]}"


def counted(count: int, one: str, many: str) -> str:
    """``1 image is``, ``2,000 images are``."""
    return f"{count:,} {one if count == 1 else many}"


def numbers(sorted_ones: list[int]) -> str:
    """Ascending numbers, each followed by the next three or more as a range: ``0 to 4, 7, 9``."""
    ranges = consecutive(sorted_ones)
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 3 else ", ".join(map(str, run)) for run in ranges)


def consecutive(ones: Iterable[int]) -> list[list[int]]:
    """The numbers in their order, together where each is the next after the one before."""
    ranges: list[list[int]] = []
    for number in ones:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ranges


def did_you_mean(name: str, there: Iterable[str], most: int = 3) -> str:
    """``; did you mean resnet18 or resnet50?``: the nearest of the names there are, empty where none is near."""
    near = [shown(one, 100) for one in difflib.get_close_matches(name, list(there), most)]
    return f"; did you mean {joined(near, 'or')}?" if near else ""


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
