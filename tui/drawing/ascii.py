"""The app in plain ASCII, for terminals and fonts that have nothing else."""

from __future__ import annotations

import locale
import os
import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

SIGNS = {
    "●": "*",
    "✓": "+",
    "○": "o",
    "✗": "x",
    "‖": "=",
    "■": "#",
    "◆": "#",
    "»": ">",
    "×": "x",
    "·": "-",
    "–": "-",
    "…": "~",
    "━": "=",
    "─": "-",
    "┄": ".",
    "▸": ">",
    "▹": ")",
    "▾": "v",
    "▼": "v",
    "▲": "^",
    "▴": "^",
    "±": "~",
    "→": ">",
    "←": "<",
    "↑": "^",
    "↓": "v",
    "•": "*",
    "├": "|",
    "┤": "|",
    "│": "|",
    "┃": "|",
    "█": "#",
}
UPPER_DOTS, LOWER_DOTS = 0b00011011, 0b11100100
"""Bits of a Braille character for the upper two of its four rows of dots, and for the lower two."""
LEFT_DOTS, RIGHT_DOTS = 0b01000111, 0b10111000
"""Likewise for its two columns."""
STEEP, FULL = 3, 6
"""So many dots in one column are a steep line, and so many in both an area."""


def wanted() -> bool:
    """Whether the terminal should be given ASCII alone: ``TL_TUI_ASCII`` is set, it says so itself, or no UTF-8."""
    if os.environ.get("TL_TUI_ASCII"):
        return True
    if os.environ.get("TERM", "") in ("linux", "dumb", "vt100", "vt220"):
        return True
    return locale.getpreferredencoding(False).lower().replace("-", "") != "utf8"


class Ascii(LineFilter):
    """Replaces every other character by one that looks like it and takes the same room."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments in ASCII."""
        del background
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]


@lru_cache(4096)
def to_ascii(text: str) -> str:
    """The text in ASCII, of the same width in cells."""
    return text if text.isascii() else "".join(map(_replacement, text.replace(" ±", "+-")))


def _replacement(character: str) -> str:
    if character.isascii():
        return character
    if character in SIGNS:
        return SIGNS[character]
    code = ord(character)
    if 0x2800 <= code <= 0x28FF:
        return _dots(code - 0x2800)
    if 0x2500 <= code <= 0x257F:
        return "+"
    if 0x2580 <= code <= 0x259F:
        return " "
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    width = cell_len(character)
    return plain if len(plain) == width else "?" * width


def _dots(pattern: int) -> str:
    """A solid line goes through both columns of dots, a dotted one has a dot in one of them."""
    if not pattern:
        return " "
    upper, lower = pattern & UPPER_DOTS, pattern & LOWER_DOTS
    if pattern & LEFT_DOTS and pattern & RIGHT_DOTS:
        if pattern.bit_count() >= FULL:
            return ":"
        return "=" if upper and lower else '"' if upper else "_"
    if pattern.bit_count() >= STEEP:
        return "|"
    return ":" if upper and lower else "'" if upper else "."
