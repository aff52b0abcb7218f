"""The comparison as Markdown tables, for a README or a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.comparison.aspects import images, sections
from engine.comparison.columns import Column, columns
from engine.comparison.confusion import LARGEST, Matrix, matrices
from engine.comparison.rows import Comparison
from engine.comparison.verdict import choices, verdict
from engine.text import visible
from engine.units import percent


def to_markdown(comparison: Comparison, *, single_runs: bool = False) -> str:
    """A heading, the table, the verdict with what speaks for and against it, and the confusion matrices.

    A column a strategy; with ``single_runs``, a column a run.
    """
    shown = columns(comparison, single_runs=single_runs)
    lines = [
        f"## {_cell(comparison.experiment)}",
        "",
        f"{images(comparison, 'training', 'validation', ', ')}, {len(comparison.data.classes)} classes.",
        "",
        *_table(comparison, shown),
        "",
        _cell(verdict(comparison)),
        "",
        *(f"- not equal: {_cell(sentence)}" for sentence in comparison.fairness),
        "",
        *(f"- **{_cell(choice.strategy)}**: {_cell(choice.sentence)}" for choice in choices(comparison)),
        *(line for matrix in matrices(shown) for line in _matrix(matrix)),
    ]
    kept = [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
    return "\n".join(kept).rstrip() + "\n"


def _table(comparison: Comparison, shown: Sequence[Column]) -> Iterator[str]:
    yield _row("", *map(_named, shown))
    yield "| --- |" + " ---: |" * len(shown)
    for section in sections(comparison, shown):
        if section.title:
            yield f"| **{_cell(section.title)}** |" + " |" * len(shown)
        for line in section.lines:
            yield _row(line.title, *line.values)


def _matrix(matrix: Matrix) -> Iterator[str]:
    name = _named(matrix.column) if matrix.runs == 1 else matrix.column.title
    added = f", {matrix.runs} runs summed" if matrix.runs > 1 else ""
    yield from ("", f"Confusion of {_cell(name)} on the {matrix.part} images{added}:", "")
    if len(matrix.classes) > LARGEST:
        for pair in matrix.most_confused:
            share = percent(pair.images / pair.of)
            yield f"- {_cell(pair.true)} predicted as {_cell(pair.predicted)}: {pair.images} ({share})"
        return
    yield _row("true, predicted", *matrix.classes)
    yield "| --- |" + " ---: |" * len(matrix.classes)
    for true, counts in zip(matrix.classes, matrix.counts, strict=True):
        yield _row(true, *map(str, counts))


def _named(column: Column) -> str:
    return ", ".join(filter(None, (column.title, column.note)))


def _row(*texts: str) -> str:
    return "| " + " | ".join(map(_cell, texts)) + " |"


def _cell(text: str) -> str:
    """Text that stays inside a table cell and is not read as markup, nor obeyed by a terminal."""
    text = visible(" ".join(text.split()))
    for character in "\\|`*_[]<>&~":
        text = text.replace(character, f"\\{character}")
    return text
