"""Images of which runs said something, one a line: those that at least one of two gets wrong, or those of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from engine.text import shown
from tui.drawing.text import cut_in_the_middle, told_apart
from tui.drawing.theme import GREEN, GREY, ROSE, Colour, rgb
from tui.widgets.listing import Listing

if TYPE_CHECKING:
    from engine.comparison.mistakes import Answered

LETTERS = "AB"
PREFIX = 13
"""Cells before the file's name, besides those that count runs."""
MOST = 60
"""Cells that the list takes at most."""
FACTS = 40
"""Cells that what is said of an image needs beside the list."""
GAP = 2
"""Cells before a column."""
PICTURE_SHAPE = 3
"""Cells of width a row of height that a picture needs: a photograph is three to two, and a cell is as high as two."""
BESIDE_NAME = 12
"""Cells of what a side says besides the name of the class that it takes the image for: its letter, a sign, how sure."""
LEAST_CLASSES = 15
"""Cells beside the names from which on a line tells what its image was taken for."""
ARROW = " → "
BETWEEN = 3
"""Cells before what a side that is wrong says of the class that is right."""


class MistakeList(Listing):
    """Which side is right and which wrong, how sure that one is of its mistake, and the file's name; or which is right,
    the first one's loss, and where that is of several runs, how many of these are wrong. Where there is room, and not
    all are alike in it, the true class and what a side that is wrong takes the image for.
    """

    def __init__(self) -> None:
        super().__init__(id="mistake-list")
        self.found: Sequence[Answered] = ()
        self.colours: Sequence[Colour] = ()
        self.has_losses = False
        self.counts = 0
        """Cells that tell how many runs are wrong, with the gap before them."""
        self.longest = 0
        """Cells of the longest name."""
        self.tells_classes = False

    @property
    def count(self) -> int:
        """Images."""
        return len(self.found)

    @property
    def current(self) -> Answered | None:
        """The image under the cursor."""
        return self.found[self.cursor] if self.found else None

    def put_all(self, found: Sequence[Answered], colours: Sequence[Colour], *, losses: bool) -> None:
        """Shows these, with losses or with how sure; the cursor stays with its image, if it is among them.

        ``colours``: of the sides.
        """
        self.has_losses, self.colours = losses, colours
        has_several = losses and any(one.runs[0] > 1 for one in found)
        self.counts = GAP + max(len("wrong"), *(len(how_many_wrong(one, 0)) for one in found)) if has_several else 0
        path = self.current.path if self.current else ""
        self.found = found
        self.longest = max((cell_len(shown(PurePath(one.path).name)) for one in found), default=0)
        self.tells_classes = len({_classes(one) for one in found}) > 1
        self.cursor = next((number for number, one in enumerate(found) if one.path == path), 0)
        self.draw()

    def nearby(self) -> list[str]:
        """The images that are likely to be looked at next."""
        return [self.found[at].path for at in (self.cursor + 1, self.cursor - 1) if 0 <= at < len(self.found)]

    def head(self, width: int) -> list[Text]:
        """What the columns are: who is right, who is wrong, and with which confidence; or the first run's loss."""
        counts = f"{'wrong':>{self.counts - GAP}}{' ' * GAP}" if self.counts else ""
        names = f"{'image':<{self.longest}}{' ' * GAP}true{ARROW}predicted" if self._beside(width) else "image"
        return [Text(f"✓      loss  {counts}{names}" if self.has_losses else f"✓  ✗  conf.  {names}", rgb(GREY))]

    def line(self, number: int, width: int) -> Text:
        """``A  B  99 %  image.jpg  ants → bees``; with losses ``B      4.61  image.jpg``, of several runs also
        ``1/3``.
        """
        one = self.found[number]
        in_view = self.found[self.first : self.first + self.size.height]
        names = [shown(PurePath(other.path).name) for other in in_view]
        name = told_apart(names, max(8, width - PREFIX - self.counts))[number - self.first]
        right, wrong = ("".join(LETTERS[side] for side in sides) for sides in (one.right, one.wrong))
        style = f"bold {rgb(self.colours[one.right[0]])}" if len(one.right) == 1 else "bold" if one.right else rgb(GREY)
        counts = f"{' ' * GAP}{how_many_wrong(one, 0):>{self.counts - GAP}}" if self.counts else ""
        said = f"{one.losses[0]:8.2f}{counts}" if self.has_losses else f"{wrong:<2}{100 * one.confidence:4.0f} %"
        sure = Text(said, rgb(ROSE if wrong else GREY))
        line = Text.assemble((f"{right or '–':<3}", style), sure, f"  {name}")
        if beside := self._beside(width):
            classes = told_apart([shown(name) for other in in_view for name in _classes(other)], beside // 2)
            at = 2 * (number - self.first)
            taken = f"{ARROW}{classes[at + 1]}" if one.wrong else ""
            line.append(f"{' ' * (self.longest - cell_len(name) + GAP)}{classes[at]}{taken}", rgb(GREY))
        return line

    def _beside(self, width: int) -> int:
        """Cells for the two classes of an image; 0 where there is no room, or nothing to tell."""
        left = width - PREFIX - self.counts - self.longest - GAP
        return left - len(ARROW) if self.tells_classes and left >= LEAST_CLASSES else 0


def _classes(one: Answered) -> tuple[str, str]:
    """The true class, and the one that a side which is wrong takes the image for; else the same twice."""
    return one.label, one.predicted[one.wrong[0]] if one.wrong else one.label


def how_many_wrong(one: Answered, side: int) -> str:
    """``2/3``: how many of the side's runs are wrong, of those that predicted the image."""
    return f"{one.runs_wrong[side]}/{one.runs[side]}"


def list_width(names: Iterable[str], width: int, height: int, prefix: int = PREFIX) -> int:
    """Cells of ``width`` for the list: two fifths, or more for its names where a picture of ``height`` leaves them.

    ``prefix``: cells before a name.
    """
    longest = max(map(cell_len, names), default=0)
    left = width - max(FACTS, PICTURE_SHAPE * height)
    return min(MOST, max(2 * width // 5, min(prefix + longest, left)))


def facts(one: Answered, colours: Sequence[Colour], width: int) -> Text:
    """An image in words: its file, its label, and what each side says, in lines of at most ``width`` cells.

    ``colours``: of the sides.
    """
    folder, name = str(PurePath(one.path).parent), PurePath(one.path).name
    lines = [
        Text.assemble((cut_in_the_middle(shown(name), width), "bold")),
        Text(cut_in_the_middle(shown(folder), width), rgb(GREY)),
        Text.assemble(("label  ", rgb(GREY)), (shown(one.label, 60), "bold")),
    ]
    if max(one.runs) > 1:
        wrong = ", ".join(f"{LETTERS[side]} {how_many_wrong(one, side)}" for side in range(len(one.runs)))
        lines[-1].append("   wrong  ", rgb(GREY)).append(wrong)
    if one.group:
        lines[-1].append("   group  ", rgb(GREY)).append(shown(one.group, 60))
    of_label = [f" {100 * probability:.1f} %" for probability in one.of_label]
    names, label = _cut(one, width - BESIDE_NAME, BETWEEN + max(map(len, of_label)))
    longest = max(map(cell_len, names))
    for run, name in enumerate(names):
        is_right = run in one.right
        said = f"{name}{' ' * (longest - cell_len(name))} {100 * one.probabilities[run]:5.1f} %"
        line = Text.assemble(
            (f"{LETTERS[run]} ", f"bold {rgb(colours[run])}"),
            ("✓ " if is_right else "✗ ", rgb(GREEN if is_right else ROSE)),
            (said, "" if is_right else rgb(ROSE)),
        )
        if not is_right:
            line.append(f"{' ' * BETWEEN}{label}{of_label[run]}", rgb(GREY))
        lines.append(line)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def _cut(one: Answered, room: int, beside_label: int) -> tuple[list[str], str]:
    """The predicted classes and the image's own, cut so that they and every number fit in ``room``.

    ``beside_label``: cells that the latter takes besides its name in the line of a run that is wrong.
    """
    names, label = [shown(name, 60) for name in one.predicted], shown(one.label, 40)
    if not one.wrong:
        return told_apart(names, room), label
    room = max(2, room - beside_label)
    of_label = min(cell_len(label), max(room // 2, room - max(map(cell_len, names))))
    said = [*names, label]
    return told_apart(said, room - of_label)[:-1], told_apart(said, of_label)[-1]
