"""Compares what is asked for: reads logs and predictions, so it belongs into a thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from rich.text import Text

from engine import export
from engine.comparison.compare import compare
from engine.comparison.compared_runs import ComparedRun, Source, compared_runs
from engine.comparison.rows import Comparison
from engine.comparison.verdict import choices, verdict
from engine.history.experiment_state import read_state, with_writer
from engine.logs.folder import EVENTS
from engine.states.state import ExperimentState
from engine.text import joined, shown
from tui.compared import Compared, compared, standing
from tui.drawing.theme import AMBER, BLUE, rgb, strategy_colours
from tui.errors import in_words
from tui.messages import CompareFailed, ComparisonMade, ComparisonStands
from tui.words.headline import answer

Marks = Mapping[Path, frozenset[str] | None]
"""Experiments that are compared, by folder, and of each which runs: None for all."""


def compare_all(
    state: ExperimentState, folder: Path | None, marks: Marks, positive: str | None, before: Compared | None = None
) -> ComparisonMade | CompareFailed | ComparisonStands:
    """The marked runs, or where none are marked those of the open experiment, which ``state`` tells, side by side;
    nothing where they stand as in the comparison of the same ``before``.
    """
    sources, left_out = sources_of(state, folder, marks)
    if before is not None and _standings(before.runs) == _standings(compared_runs(sources)):
        return ComparisonStands()
    comparison = compare(sources, positive)
    if not comparison.runs:
        return CompareFailed("\n".join(left_out) or "Nothing marked has a result yet.")
    brief = words(comparison, len(marks), left_out)
    return ComparisonMade(compared(comparison, sources), answer(comparison), brief + in_favour(comparison), brief)


def _standings(runs: Iterable[ComparedRun]) -> list[object]:
    return [(one.source.folder, *standing(one.run, one.source.state)) for one in runs]


def export_all(state: ExperimentState, folder: Path | None, marks: Marks, positive: str | None, out: Path) -> str:
    """Writes the comparison of the same runs into ``out``, and says which files; ``OSError`` where that cannot be."""
    sources, left_out = sources_of(state, folder, marks)
    paths = export.write(compare(sources, positive), out)
    first, *others = paths
    also = joined([path.suffix for path in others], "and")
    networks = "" if len(marks) > 1 else "; the trained networks are in its checkpoints"
    return "\n".join([f"{shown(str(first))}, {also}{networks}", *left_out])


def sources_of(state: ExperimentState, folder: Path | None, marks: Marks) -> tuple[list[Source], list[str]]:
    """What is marked, or where nothing is the open experiment, which ``state`` tells; and of each marked one that has
    become unreadable since a line that says so and why.
    """
    if not marks:
        return [Source(state, folder)], []
    sources, left_out = [], []
    for one, runs in marks.items():
        try:
            told = state if one == folder and state.runs else state_now(one)
        except OSError as error:
            left_out.append(f"{shown(one.name, 120)} is left out: its log cannot be read ({in_words(error)})")
            continue
        if told.runs:
            sources.append(Source(told, one, runs))
        else:
            left_out.append(f"{shown(one.name, 120)} is left out: its log no longer has any run")
    return sources, left_out


def words(comparison: Comparison, experiments: int, left_out: Sequence[str]) -> Text:
    """The verdict and what was not fair; before it which of the marked ``experiments`` are left out. Where no run has a
    result, which the headline says, only why.
    """
    lines = []
    if experiments > 1:
        lines.append(
            Text.assemble((f"{experiments} marked experiments: ", rgb(BLUE)), shown(comparison.experiment, 160))
        )
    lines += [Text(sentence, rgb(AMBER)) for sentence in left_out]
    if comparison.data_differs:
        lines.append(Text(f"No verdict: {shown(comparison.data_differs, 400)}.", f"bold {rgb(AMBER)}"))
        return Text("\n").join(lines)
    has_result = any(row.has_result for row in comparison.runs)
    if said := verdict(comparison) if has_result else comparison.error:
        lines.append(Text(shown(said, 4000)))
    lines += [Text.assemble(("not equal: ", rgb(AMBER)), shown(sentence, 400)) for sentence in comparison.fairness]
    return Text("\n").join(lines)


def in_favour(comparison: Comparison) -> Text:
    """When each strategy is the better choice, a line each."""
    text, colours = Text(), strategy_colours(row.strategy for row in comparison.runs)
    for choice in () if comparison.data_differs else choices(comparison):
        text.append(f"\n{shown(choice.strategy, 120)}: ", rgb(colours[choice.strategy])).append(choice.sentence)
    return text


def state_now(folder: Path) -> ExperimentState:
    """What the log in the folder tells now; ``OSError`` where it cannot be read."""
    found = (folder / EVENTS).stat()
    return with_writer(_state(folder, found.st_size, found.st_mtime_ns), folder)


@lru_cache(maxsize=16)
def _state(folder: Path, size: int, changed: int) -> ExperimentState:
    del size, changed  # only that it is read again when the log has grown
    return read_state(folder)
