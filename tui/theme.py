"""Colours and signs, in one place."""

from __future__ import annotations

from typing import Literal

from textual.theme import Theme

THEME = Theme(
    name="tl-tui",
    primary="#7aa2d6",
    secondary="#8fb8a8",
    accent="#d9b26f",
    warning="#d9b26f",
    error="#d9788a",
    success="#8fc08a",
    foreground="#d5d9e0",
    background="#12151b",
    surface="#181c24",
    panel="#20252f",
    variables={
        "scrollbar": "#3a4150",
        "scrollbar-hover": "#4d566a",
        "scrollbar-active": "#7aa2d6",
        "scrollbar-background": "#161a21",
        "scrollbar-background-hover": "#161a21",
        "scrollbar-background-active": "#161a21",
        "footer-background": "#12151b",
        "footer-key-foreground": "#d9b26f",
        "footer-description-foreground": "#9aa3b2",
        "footer-item-background": "#12151b",
    },
)

Colour = tuple[int, int, int]
GROUND: Colour = (18, 21, 27)
"""What everything stands on."""
BLUE: Colour = (122, 162, 214)
GREY: Colour = (136, 144, 160)
AMBER: Colour = (217, 178, 111)
GREEN: Colour = (143, 192, 138)
ROSE: Colour = (217, 120, 138)
VIOLET: Colour = (160, 140, 200)
COLOURS: tuple[Colour, ...] = (BLUE, GREEN, AMBER, ROSE, VIOLET, GREY)
"""Of things side by side."""


Condition = Literal["waiting", "running", "finished", "stopped", "skipped", "failed", "paused", "interrupted"]
"""A run's status as a person sees it: also ``paused``, and ``interrupted`` where its process is gone."""

SIGNS: dict[Condition, str] = {
    "waiting": "○",
    "running": "●",
    "finished": "✓",
    "stopped": "■",
    "skipped": "»",
    "failed": "✗",
    "paused": "‖",
    "interrupted": "!",
}


def rgb(colour: Colour) -> str:
    """The colour as Rich writes it: ``#7aa2d6``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def colour_of(number: int) -> Colour:
    """Of the strategy that comes so many places after the first, wherever it is shown."""
    return COLOURS[number % len(COLOURS)]


STYLES: dict[Condition, str] = {
    "waiting": rgb(GREY),
    "running": f"bold {rgb(BLUE)}",
    "finished": rgb(GREEN),
    "stopped": rgb(AMBER),
    "skipped": rgb(GREY),
    "failed": f"bold {rgb(ROSE)}",
    "paused": f"bold {rgb(AMBER)}",
    "interrupted": rgb(AMBER),
}
