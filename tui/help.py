"""The help text, made from the keys that work now."""

from __future__ import annotations

from collections.abc import Iterable

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


def key_name(key: str) -> str:
    """A key as people call it: ``ctrl+r``, ``←``."""
    return KEY_NAMES.get(key, key)


def help_text(active: Iterable[ActiveBinding]) -> Text:
    """Every key that works now, those of the same action on one line, one section per owner of an ``id`` prefix."""
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
            text.append(f"  {', '.join(keys):<14} ", rgb(AMBER) if enabled else rgb(GREY))
            text.append(f"{binding.tooltip or binding.description}\n", "" if enabled else rgb(GREY))
    text.rstrip()
    return text
