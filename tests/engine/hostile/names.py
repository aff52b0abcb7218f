"""Names that a terminal, a spreadsheet or the app's own markup might obey, and what must never be seen of them."""

from __future__ import annotations

import os
import unicodedata

NAMES = {
    "markup": "[bold red]x[/]",
    "unbalanced": "[/bold]x[/]",
    "action": "[@click=app.quit]x[/]",
    "link": "[link=https://example.org]x[/link]",
    "backslashes": "[b]x\\\\\\",
    "emoji code": ":bomb:",
    "colour": "\x1b[31mx\x1b[0m",
    "clear": "\x1b[2J\x1b[1;1Hx",
    "title": "\x1b]0;owned\x07x",
    "hyperlink": "\x1b]8;;https://example.org\x1b\\x\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07x",
    "device control": "\x1bP+q544e\x1b\\x",
    "c1": "\x9b31mx\x9d0;owned\x9c",
    "newlines": "one\ntwo\r\nthree",
    "overwritten": "good\rbad\b\b\bx",
    "tab": "\tx",
    "delete": "x\x7f",
    "bidi": "invoice\u202egpj.exe",
    "isolates": "\u2067x\u2069\u200f\u061c",
    "separators": "x\u2028y\u2029z\x85w",
    "invisible": "x\u200b\u200d\ufeffy",
    "not utf-8": os.fsdecode(b"\xff\xfe\x80x"),
    "formula": "=cmd|' /C calc'!A0",
    "formula with plus": "+1+1",
    "formula with at": "@SUM(A1)",
    "formula with minus": "-2+3",
    "formula after tab": "\t=1+1",
    "formula after return": "\r=1+1",
    "long": "x" * 10_000,
    "long escapes": "\x1b" * 10_000,
    "combining": "x" + "\u0301" * 500,
}
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def unsafe(text: str) -> set[str]:
    """The characters that must not reach a terminal: controls but the newline, bidi controls, halves of pairs."""
    return {
        one
        for one in text
        if (unicodedata.category(one) in ("Cc", "Cs") and one != "\n")
        or unicodedata.bidirectional(one) in BIDI
        or one in "\u200e\u200f\u061c\u2028\u2029"
    }


def fits_a_folder(name: str) -> bool:
    """Whether a file system takes it as the name of a file."""
    return "/" not in name and "\0" not in name and len(os.fsencode(name)) <= 255
