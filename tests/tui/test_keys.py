"""The keys of every screen and widget, as they are declared."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from textual.binding import Binding
from textual.dom import DOMNode

import tui.screens
import tui.widgets
from tui.app import TlTui

ACTIONS_OF_FIELDS = ("app.focus_previous", "app.focus_next", "move_field", "show_overlay")
"""What keys do in any form: no help is needed."""
TAKEN = {"ctrl+b", "ctrl+s", "ctrl+q", "ctrl+z", "ctrl+j", "ctrl+p"}
"""Keys of tmux, of the terminal, and of Textual's palette of commands."""


def classes(base: type[DOMNode] = DOMNode) -> Iterator[type[DOMNode]]:
    """Every class of ours that may have keys."""
    for one in base.__subclasses__():
        if one.__module__.startswith("tui."):
            yield one
        yield from classes(one)


def test_every_key_has_a_name_for_settings_and_an_explanation() -> None:
    for package in (tui.screens, tui.widgets):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    found = set(classes())
    assert TlTui in found and len(found) > 40
    for one in found:
        for binding in one.__dict__.get("BINDINGS", ()):
            assert isinstance(binding, Binding)
            is_usual = binding.action.partition("(")[0] in ACTIONS_OF_FIELDS
            assert is_usual or (binding.id and binding.tooltip), (one, binding)
        assert one._merged_bindings is None or not TAKEN & set(one._merged_bindings.key_to_bindings), one
