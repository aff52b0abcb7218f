"""What to bear in mind beside a verdict, a sentence each. Imports without numpy."""

from __future__ import annotations

from engine.comparison.columns import columns, scored
from engine.comparison.parts import PARTS, Part
from engine.comparison.rows import Comparison
from engine.comparison.strategy_means import is_whole
from engine.data import leaks
from engine.models.origin import RANDOM
from engine.text import listed


def caveats(comparison: Comparison, part: Part) -> tuple[str, ...]:
    """Why the numbers of a part may be other than they seem, the gravest first; empty where nothing is known against
    them.
    """
    done, leak = [row for row in comparison.runs if row.has_result], comparison.leak
    said = []
    if leak is not None and leaks.is_far_above(leak):
        said.append(f"{leaks.leak_sentence(leak)}.")
    if any(row.weights == RANDOM for row in done):
        said.append("Weights were random at the start, so this is no transfer learning.")
    said += _without_an_image(comparison)
    if 0 < len(done) < len(comparison.runs):
        are_to_come = any(row.state in ("waiting", "running", "paused") for row in comparison.runs)
        so_far = " so far" if are_to_come else ""
        said.append(f"{len(done)} of {len(comparison.runs)} runs have a result{so_far}.")
    short = {row.state for row in done if not is_whole(row)}
    if short:
        is_going_on = not short.isdisjoint(("running", "paused"))
        said.append(f"Not every run {'has trained all its epochs yet' if is_going_on else 'trained all its epochs'}.")
    if part == "val" and any(row.epochs > 1 for row in done):
        said.append(
            "The best epoch was chosen on these very images, which flatters; a test fraction sets others apart."
        )
    return tuple(said)


def _without_an_image(comparison: Comparison) -> list[str]:
    """That nothing was measured of some classes."""
    measured_on, by_column = scored(columns(comparison))
    classes = [one for known in by_column for scores in known for one in scores.classes]
    measured = {one.name for one in classes if one.support}
    if not classes or measured >= {*comparison.data.classes}:
        return []
    missing = listed([name for name in comparison.data.classes if name not in measured])
    return [f"No {PARTS[measured_on]} image is of {missing}, so accuracy on that was not measured."]
