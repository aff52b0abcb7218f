"""What is asked about images that runs get wrong, and the answer: reads predictions, so it belongs into a thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from textual.message import Message

from engine.comparison.confusion import Cell
from engine.comparison.measured_parts import MeasuredPart
from engine.text import listed, shown
from tui.compared import RunKey
from tui.errors import unexpected
from tui.work.loading import load_for_comparing

if TYPE_CHECKING:
    from engine.comparison.mistakes import Answered
    from engine.comparison.predictions import Predictions


Side = tuple[RunKey, ...]
"""The runs that answer together."""


class MistakeQuery(NamedTuple):
    """Two sides, each of one run or of several together, or where nothing is beside it a single one.

    ``worst``: what the first of them gets most wrong on the ``part``; ``cell``: what it takes there for what; where
    neither is asked for, what either gets wrong there.
    """

    sides: tuple[Side, ...]
    cell: Cell | None = None
    part: MeasuredPart = "val"
    worst: bool = False


@dataclass
class MistakeResult(Message):
    """The images that were ``asked`` for, or why these cannot be told; ``images``: how many were seen at all.

    ``is_alone``: what the side beside the one that is asked about said was not saved.
    """

    asked: MistakeQuery
    found: tuple[Answered, ...] = ()
    images: int = 0
    is_alone: bool = False
    problem: str = ""


def find(asked: MistakeQuery) -> MistakeResult:
    """Looks for what is asked; of several runs those count that have left what they said."""
    try:
        load_for_comparing()
        return _find(asked)
    except OSError as error:
        said = f"Predictions cannot be read right now; try again: {error}"
        return MistakeResult(asked, problem=shown(said, 600))
    except Exception as error:
        return MistakeResult(asked, problem=unexpected(error))


def _find(asked: MistakeQuery) -> MistakeResult:
    from engine.comparison.mistakes import OtherClassesError, in_cell, mistakes, seen_by_both, together, worst  # noqa: PLC0415 - loads numpy and scipy

    try:
        said = [together(_read(runs, asked.part)) for runs in asked.sides]
        one, other = said[0], said[1] if len(said) > 1 else None
        if one is not None and (asked.cell is not None or asked.worst):
            is_alone = other is None and len(asked.sides) > 1
            found = worst(one, other) if asked.cell is None else in_cell(one, other, *asked.cell)
            return MistakeResult(asked, found, len(one.paths), is_alone)
        if one is not None and other is not None:
            return MistakeResult(asked, mistakes(one, other), seen_by_both(one, other))
    except OtherClassesError as error:
        return MistakeResult(asked, problem=shown(str(error)))
    missing = listed([run for _, run in asked.sides[0 if one is None else 1]])
    return MistakeResult(asked, problem=f"No predictions of {missing}: not saved, or damaged.")


def _read(runs: Side, part: MeasuredPart) -> Iterator[Predictions]:
    """What they said, as far as it is there: one after the other, since that of many images and classes is large."""
    from engine.comparison.predictions import read, saved  # noqa: PLC0415 - loads numpy and scipy

    for folder, run in runs:
        if folder is not None and saved(folder, run) is not None and (said := read(folder, run, part)) is not None:
            yield said
