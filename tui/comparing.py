"""Compares what is asked for: reads logs and predictions, so it belongs into a thread."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from rich.text import Text

from engine import export
from engine.comparison.chosen import Source
from engine.comparison.rows import Comparison, compare
from engine.comparison.verdict import choices, verdict
from engine.folder import EVENTS
from engine.history import read_state, with_writer
from engine.state import ExperimentState
from engine.text import shown
from tui.compared import compared
from tui.messages import CompareFailed, ComparisonMade
from tui.theme import AMBER, BLUE, rgb

Marks = Mapping[Path, frozenset[str] | None]
"""Experiments that are compared, by folder, and of each which runs: None for all."""


def compare_all(
    state: ExperimentState, folder: Path | None, marks: Marks, positive: str | None
) -> ComparisonMade | CompareFailed:
    """The marked runs, or where none are marked those of the open experiment, which ``state`` tells, side by side."""
    sources = sources_of(state, folder, marks)
    comparison = compare(sources, positive)
    if not comparison.runs:
        return CompareFailed("Nothing of what is marked has a result yet.")
    brief = words(comparison, len(marks))
    return ComparisonMade(compared(comparison, sources), brief + in_favour(comparison), brief)


def export_all(state: ExperimentState, folder: Path | None, marks: Marks, positive: str | None, out: Path) -> str:
    """Writes the comparison of the same runs into ``out``, and says which files; ``OSError`` where that cannot be."""
    paths = export.write(compare(sources_of(state, folder, marks), positive), out)
    networks = "" if marks else "; the trained networks are in its checkpoints"
    return f"{', '.join(path.name for path in paths)} in {shown(str(out))}{networks}"


def sources_of(state: ExperimentState, folder: Path | None, marks: Marks) -> list[Source]:
    """What is marked, or where nothing is the open experiment, which ``state`` tells."""
    if not marks:
        return [Source(state, folder)]
    return [
        Source(state, one, runs) if one == folder and state.runs else Source(state_of(one), one, runs)
        for one, runs in marks.items()
    ]


def words(comparison: Comparison, experiments: int) -> Text:
    """The verdict and what was not fair."""
    text = Text()
    if experiments > 1:
        text.append(f"{experiments} marked experiments: ", rgb(BLUE)).append(shown(comparison.experiment, 160) + "\n")
    if comparison.data_differs:
        return text.append(f"No verdict: {shown(comparison.data_differs, 400)}.", f"bold {rgb(AMBER)}")
    said, stop, more = shown(verdict(comparison), 4000).partition(". ")
    text.append(said + stop, "bold").append(more)
    for sentence in comparison.fairness:
        text.append("\nunequal: ", rgb(AMBER)).append(shown(sentence, 400))
    return text


def in_favour(comparison: Comparison) -> Text:
    """When each strategy is the better choice, a line each."""
    text = Text()
    for choice in () if comparison.data_differs else choices(comparison):
        text.append(f"\n{shown(choice.strategy, 120)}: ", rgb(BLUE)).append(choice.sentence)
    return text


def state_of(folder: Path) -> ExperimentState:
    """What the log in the folder tells now; an empty state where it cannot be read."""
    try:
        return state_now(folder)
    except OSError:
        return ExperimentState(folder.name)


def state_now(folder: Path) -> ExperimentState:
    """What the log in the folder tells now; ``OSError`` where it cannot be read."""
    found = (folder / EVENTS).stat()
    return with_writer(_state(folder, found.st_size, found.st_mtime_ns), folder)


@lru_cache(maxsize=16)
def _state(folder: Path, size: int, changed: int) -> ExperimentState:
    del size, changed  # only that it is read again when the log has grown
    return read_state(folder)
