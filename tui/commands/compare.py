"""``tl-tui compare``: the comparison of experiments, or of some of their runs, as a table or in a file's format."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.comparison.rows import Comparison
from engine.errors import UserError
from engine.export import FORMATS
from engine.export.to_markdown import to_markdown
from engine.files import write_text
from engine.history.experiment_state import read_state
from engine.text import shown
from tui.commands.find import find_run, named_runs
from tui.drawing.tables import comparison_table
from tui.drawing.text import print_line

FILE_WIDTH = 120
"""Cells that a table in a file is wide."""


def print_comparison(
    experiments: Sequence[str],
    format_: str | None,
    output: Path | None,
    out: Path,
    *,
    positive: str | None = None,
    single_runs: bool = False,
) -> int:
    """The comparison of experiments in a format, on stdout or into a file.

    ``experiments``: each a folder, a name below ``out``, or either with ``:RUN`` behind it, a run or a strategy; the
    newest where there are none. ``positive``: of two classes, the one that sensitivity is about. ``single_runs``: a
    column a run. ``UserError`` where one of them is not there, or the file's ending names no format.
    """
    format_ = format_ or _format_of(output)
    sources = _sources(experiments, out)
    comparison = compare(sources, positive)
    if positive is not None and positive != comparison.positive:
        raise UserError(_not_positive(positive, comparison))
    renders: dict[str, Callable[[Comparison], str]] = {**FORMATS, "md": partial(to_markdown, single_runs=single_runs)}
    if format_ in renders:
        text = renders[format_](comparison)
    elif output is None:
        Console().print(comparison_table(comparison, single_runs=single_runs))
        return 0
    else:
        text = _table_as_text(comparison, single_runs=single_runs)
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text)
        print_line(f"wrote {output}")
    return 0


def _format_of(output: Path | None) -> str:
    """The format that a file's ending names, the table where it is that of a text."""
    ending = "" if output is None else output.suffix.lower()
    if ending in ("", ".txt"):
        return "table"
    if ending[1:] not in FORMATS:
        known = ", ".join(f".{one}" for one in FORMATS)
        raise UserError(f"-o {shown(str(output), 400)}: unknown ending {ending}; use {known} or .txt, or give --format")
    return ending[1:]


def _sources(experiments: Sequence[str], out: Path) -> list[Source]:
    """What is to be compared, in the order in which it was named; one named twice, by whatever paths, is there once."""
    folders: dict[Path, Path] = {}  # as they were first named, by where they are
    chosen: dict[Path, frozenset[str] | None] = {}
    names: Sequence[str | None] = experiments or [None]
    for name in names:
        found, run = find_run(name, out)
        folder = folders.setdefault(found.resolve(), found)
        before = chosen.get(folder, frozenset())
        chosen[folder] = None if run is None or before is None else before | {run}
    return [_source(folder, runs) for folder, runs in chosen.items()]


def _source(folder: Path, wanted: frozenset[str] | None) -> Source:
    state = read_state(folder)
    if not state.runs:
        raise UserError(f"{folder.name} has nothing to compare: {shown(state.error) or 'it has only just started'}")
    runs = None
    if wanted is not None:
        runs = frozenset(run.run for run in named_runs(folder, state.runs, wanted))
    return Source(state, folder, runs)


def _not_positive(positive: str, comparison: Comparison) -> str:
    classes = comparison.data.classes
    if positive not in classes:
        return f"--positive {positive!r} is not a class of this data; there are {', '.join(classes)}"
    return f"--positive needs two classes; this data has {len(classes)}"


def _table_as_text(comparison: Comparison, *, single_runs: bool) -> str:
    console = Console(file=io.StringIO(), width=FILE_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(comparison_table(comparison, single_runs=single_runs))
    return capture.get()
