"""Text from outside (file names, class names, error messages) made fit to be shown. Imports without torch."""

from __future__ import annotations


def shown(text: str, limit: int = 300) -> str:
    """The text on one line without anything that a terminal would obey, at most ``limit`` characters (at least 3).

    Control characters, newlines, invisible and unencodable characters become escapes such as ``\\x1b``; where the
    text is too long its middle is left out. What was shown once stays the same when shown again.
    """
    line = "".join(character if character.isprintable() else _escape(character) for character in text)
    if len(line) <= limit:
        return line
    head = (limit - 1) // 2
    return f"{line[:head]}…{line[head + 1 - limit :]}"


def listed(names: list[str], limit: int = 3) -> str:
    """The first few names, and how many more there are: ``a, b, c and 4 more``."""
    first = ", ".join(shown(name, 100) for name in names[:limit])
    more = len(names) - limit
    return f"{first} and {more:,} more" if more > 0 else first


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
