"""The help text, made from the keys that work now."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from textwrap import wrap

from rich.text import Text
from textual.binding import ActiveBinding, Binding

from tui.drawing.theme import AMBER, GREY, rgb

KEY_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "escape": "esc",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pageup": "page up",
    "pagedown": "page down",
}

KEYS_WIDTH = 14
"""Cells of the keys' column."""


def key_name(key: str) -> str:
    """A key as people call it: ``ctrl+r``, ``←``."""
    return KEY_NAMES.get(key, key)


def help_text(active: Iterable[ActiveBinding], width: int) -> Text:
    """Every key that works now, those of the same action together, one section per owner of an ``id`` prefix.

    What they do stands in a column of its own, in lines of at most ``width`` cells altogether.
    """
    sections: dict[str, dict[str, tuple[list[str], Binding, bool]]] = {}
    for one in active:
        binding = one.binding
        if not binding.id or binding.system:
            continue
        section = sections.setdefault(binding.id.partition(".")[0], {})
        keys, _, _ = section.setdefault(binding.id, ([], binding, one.enabled))
        keys.append(key_name(binding.key))
    text = Text()
    for name in sorted(sections, key=lambda section: section == "app"):
        text.append("\n" if text else "")
        text.append(f"{'Everywhere' if name == 'app' else name.capitalize()}\n", "bold")
        for keys, binding, enabled in sections[name].values():
            pressed = wrap(", ".join(keys), KEYS_WIDTH)
            said = wrap(binding.tooltip or binding.description, max(20, width - KEYS_WIDTH - 3))
            for left, right in zip_longest(pressed, said, fillvalue=""):
                text.append(f"  {left:<{KEYS_WIDTH}} ", rgb(AMBER) if enabled else rgb(GREY))
                text.append(f"{right}\n", "" if enabled else rgb(GREY))
    text.rstrip()
    return text
