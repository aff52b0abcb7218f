"""The comparison as a Markdown table, one column a run, for a README or a message."""

from __future__ import annotations

from engine.comparison.aspects import aspects
from engine.comparison.rows import Comparison
from engine.comparison.verdict import choices, verdict
from engine.text import visible


def to_markdown(comparison: Comparison) -> str:
    """A heading, the table of aspects, the verdict, and when to choose which."""
    data = comparison.data
    lines = [
        f"## {_cell(comparison.experiment)}",
        "",
        f"{data.train} training and {data.val} validation images, {len(data.classes)} classes.",
        "",
        "| | " + " | ".join(_cell(row.run) for row in comparison.runs) + " |",
        "| --- |" + " ---: |" * len(comparison.runs),
        *(
            "| " + " | ".join(_cell(text) for text in (aspect.title, *aspect.values)) + " |"
            for aspect in aspects(comparison)
        ),
        "",
        verdict(comparison),
        "",
        *(f"- **{_cell(choice.strategy)}**: {choice.sentence}" for choice in choices(comparison)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    """Text that stays inside a table cell and is not read as markup, nor obeyed by a terminal."""
    text = visible(" ".join(text.split()))
    for character in "\\|`*_[]<>&~":
        text = text.replace(character, f"\\{character}")
    return text
