"""Colours and signs, in one place."""

from __future__ import annotations

from collections.abc import Iterable

from textual.theme import Theme

from engine.data.findings import Level
from engine.states.state import Condition

Colour = tuple[int, int, int]
GROUND: Colour = (18, 21, 27)
"""What everything stands on."""
LINE: Colour = (58, 65, 80)
"""Of what only divides or waits to be filled."""
CURSOR: Colour = (42, 51, 66)
"""What the line under the cursor stands on, wherever there is one: what is in it keeps its own colours."""
CURSOR_AWAY: Colour = (30, 36, 46)
"""Likewise while the keys go elsewhere."""
BLUE: Colour = (122, 162, 214)
GREY: Colour = (136, 144, 160)
AMBER: Colour = (217, 178, 111)
GREEN: Colour = (143, 192, 138)
ROSE: Colour = (217, 120, 138)
VIOLET: Colour = (160, 140, 200)
COLOURS: tuple[Colour, ...] = (BLUE, GREEN, AMBER, ROSE, VIOLET, GREY)
"""Of strategies side by side."""


def rgb(colour: Colour) -> str:
    """The colour as Rich writes it: ``#7aa2d6``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


THEME = Theme(
    name="tl-tui",
    primary=rgb(BLUE),
    secondary="#8fb8a8",
    accent=rgb(AMBER),
    warning=rgb(AMBER),
    error=rgb(ROSE),
    success=rgb(GREEN),
    foreground="#d5d9e0",
    background=rgb(GROUND),
    surface="#181c24",
    panel="#20252f",
    variables={
        "block-cursor-background": rgb(CURSOR),
        "block-cursor-foreground": "#d5d9e0",
        "block-cursor-blurred-background": rgb(CURSOR_AWAY),
        "block-cursor-blurred-foreground": "#d5d9e0",
        "scrollbar": rgb(LINE),
        "scrollbar-hover": "#4d566a",
        "scrollbar-active": rgb(BLUE),
        "scrollbar-background": "#161a21",
        "scrollbar-background-hover": "#161a21",
        "scrollbar-background-active": "#161a21",
        "footer-background": rgb(GROUND),
        "footer-key-foreground": rgb(AMBER),
        "footer-description-foreground": "#9aa3b2",
        "footer-item-background": rgb(GROUND),
    },
)

SIGNS: dict[Condition, str] = {
    "waiting": "○",
    "running": "●",
    "finished": "✓",
    "stopped": "■",
    "skipped": "»",
    "failed": "✗",
    "paused": "‖",
    "interrupted": "!",
    "not begun": "○",
}

LEVELS: dict[Level, tuple[str, str]] = {
    "alarm": ("✗", f"bold {rgb(ROSE)}"),
    "warning": ("!", f"bold {rgb(AMBER)}"),
    "note": ("·", rgb(GREY)),
}
"""How what was found in data is marked: the sign, and its style."""


def strategy_colours(names: Iterable[str]) -> dict[str, Colour]:
    """The colour that each strategy has wherever it is shown. ``names``: of all that are compared or train together, in
    the order of their runs, each once or more often.
    """
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(dict.fromkeys(names))}


STYLES: dict[Condition, str] = {
    "waiting": rgb(GREY),
    "running": f"bold {rgb(BLUE)}",
    "finished": rgb(GREEN),
    "stopped": rgb(AMBER),
    "skipped": rgb(GREY),
    "failed": f"bold {rgb(ROSE)}",
    "paused": f"bold {rgb(AMBER)}",
    "interrupted": rgb(AMBER),
    "not begun": rgb(GREY),
}
