"""Which sides' images are shown, and whose right ones, in two lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from engine.comparison.measured_parts import PART_WORDS
from engine.text import counted, shown
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, GREY, Colour, rgb
from tui.widgets.mistake_list import LETTERS
from tui.work.finding_mistakes import MistakeQuery, MistakeResult

LEAST_NAME = 20
"""Cells that a name has, whatever stands behind it."""
CLASS_NAME = 30
"""Cells of a class's name, at most."""
Who = tuple[tuple[str, tuple[tuple[int, ...], ...]], ...]
"""Whose right images may be shown, in words and as an image tells who is right of it."""
WHO: Who = (("", ((0,), (1,))), ("A right", ((0,),)), ("B right", ((1,),)), ("neither", ((),)))
"""Of mistakes: either's alone, A's, B's, nobody's."""
OF_WRONG: Who = (("", ((1,), ())), ("B right", ((1,),)), ("neither", ((),)))
"""Of what A gets wrong, or a cell of it: all of it first."""
OF_RIGHT: Who = (("", ((0,), (0, 1))), ("A right", ((0,),)), ("both", ((0, 1),)))
"""Of a cell that A gets right."""


def whose(asked: MistakeQuery | None) -> Who:
    """The choices for this query."""
    if asked is None or (asked.cell is None and not asked.worst):
        return WHO
    return OF_RIGHT if asked.cell is not None and asked.cell.true == asked.cell.predicted else OF_WRONG


def head(
    names: Sequence[str],
    colours: Sequence[Colour],
    found: MistakeResult,
    only: str,
    of_class: str | None,
    width: int,
) -> Text:
    """The sides' names, how many images which of them gets right, and what is left out: a line a side.

    ``colours``: of the sides. ``only``: whose images are shown; ``of_class``: of which class, None for all.
    """
    lines = [Text(no_wrap=True, overflow="ellipsis") for _ in names]
    if found.problem:
        numbers = Text(), Text()
    else:
        is_of_one = found.asked.worst or found.asked.cell is not None
        numbers = _of_one(found) if is_of_one else _of_mistakes(found, width - LEAST_NAME - len(f"{LETTERS[0]} "))
    behind = len(f"{LETTERS[0]} ") + max(number.cell_len for number in numbers)
    cells = min(max(LEAST_NAME, width - behind), max(map(len, names)))
    for run, (line, name, number) in enumerate(zip(lines, told_apart(names, cells), numbers, strict=False)):
        line.append(f"{LETTERS[run]} ", f"bold {rgb(colours[run])}")
        line.append(f"{name:<{cells}}", f"bold {rgb(colours[run])}").append_text(number)
    if kept := ", ".join(filter(None, (only, "" if of_class is None else shown(of_class, 40)))):
        lines[-1].append(f" · filter: {kept}", rgb(AMBER))
    return Text("\n").join(lines)


def _of_mistakes(found: MistakeResult, room: int) -> tuple[Text, Text]:
    """What stands behind the names, the first in ``room`` cells, if that can be."""
    alone, other = (sum(one.right == (run,) for one in found.found) for run in (0, 1))
    neither = sum(not one.right for one in found.found)
    part = found.asked.part  # short, since at 80 cells the names have to be whole
    images = counted(found.images, f"{part} image", f"{part} images")
    said = f"  only A right {alone:,} · neither {neither:,} of "
    return (
        Text(said + (images if len(said + images) <= room else f"{found.images:,}"), rgb(GREY)),
        Text(f"  only B right {other:,}", rgb(GREY)),
    )


def _of_one(found: MistakeResult) -> tuple[Text, Text]:
    """What stands behind the names where the first side is asked about."""
    cell = found.asked.cell
    count, right = len(found.found), sum(1 in one.right for one in found.found)
    unseen = sum(len(one.predicted) == 1 for one in found.found)
    kind = PART_WORDS[found.asked.part]
    several = [any(side < len(one.runs) and one.runs[side] > 1 for one in found.found) for side in (0, 1)]
    if several[0]:  # short, since at 80 cells the names have to be whole
        by_all, part = sum(one.runs_wrong[0] == one.runs[0] for one in found.found), found.asked.part
        images = counted(found.images, f"{part} image", f"{part} images")
        wrong = f"  any run wrong {count:,}, all {by_all:,} of {images}"
    else:
        wrong = f"  wrong on {count:,} of {counted(found.images, f'{kind} image', f'{kind} images')}"
    is_right = "all runs right" if several[1] else "right"
    return (
        Text(wrong, rgb(GREY))
        if cell is None
        else Text.assemble(
            ("  " + " → ".join(told_apart([shown(name, 160) for name in cell], CLASS_NAME)), rgb(AMBER)),
            (f" · {counted(count, f'{kind} image', f'{kind} images')}", rgb(GREY)),
        ),
        Text("  predictions not saved", rgb(AMBER))
        if found.is_alone
        else Text(
            f"  {is_right} {right:,}" + (f" · {unseen:,} not in its validation set" if unseen else ""), rgb(GREY)
        ),
    )
