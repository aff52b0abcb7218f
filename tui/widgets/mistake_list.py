"""Images of which runs said something, one a line: those that at least one of two gets wrong, or those of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from engine.text import shown
from tui.drawing.text import cut_in_the_middle, told_apart
from tui.drawing.theme import BLUE, GREEN, GREY, ROSE, rgb
from tui.widgets.listing import Listing

if TYPE_CHECKING:
    from engine.comparison.mistakes import Answered

LETTERS = "AB"
PREFIX = 13
"""Cells before the file's name."""
MOST = 60
"""Cells that the list takes at most."""
FACTS = 40
"""Cells that what is said of an image needs beside the list."""
PICTURE_SHAPE = 3
"""Cells of width a row of height that a picture needs: a photograph is three to two, and a cell is as high as two."""
BESIDE_NAME = 12
"""Cells of what a run says besides the name of the class that it takes the image for: its letter, a sign, how sure."""
BETWEEN = 3
"""Cells before what a run that is wrong says of the class that is right."""
COLOURS = (BLUE, GREEN)
"""Of the first and of the other run."""


class MistakeList(Listing):
    """Which run is right and which wrong, how sure that one is of its mistake, and the file's name; or which is right,
    and the first run's loss.
    """

    def __init__(self) -> None:
        super().__init__(id="mistake-list")
        self.found: Sequence[Answered] = ()
        self.has_losses = False

    @property
    def count(self) -> int:
        """Images."""
        return len(self.found)

    @property
    def current(self) -> Answered | None:
        """The image under the cursor."""
        return self.found[self.cursor] if self.found else None

    def put_all(self, found: Sequence[Answered], *, losses: bool) -> None:
        """Shows these, with losses or with how sure; the cursor stays with its image, if it is among them."""
        self.has_losses = losses
        path = self.current.path if self.current else ""
        self.found = found
        self.cursor = next((number for number, one in enumerate(found) if one.path == path), 0)
        self.draw()

    def nearby(self) -> list[str]:
        """The images that are likely to be looked at next."""
        return [self.found[at].path for at in (self.cursor + 1, self.cursor - 1) if 0 <= at < len(self.found)]

    def head(self, width: int) -> list[Text]:
        """What the columns are: who is right, who is wrong, and with which confidence; or the first run's loss."""
        del width
        return [Text("✓      loss  image" if self.has_losses else "✓  ✗  conf.  image", rgb(GREY))]

    def line(self, number: int, width: int) -> Text:
        """``A  B  99 %  image.jpg``; ``B      4.61  image.jpg`` with a loss."""
        one = self.found[number]
        names = [shown(PurePath(other.path).name) for other in self.found[self.first : self.first + self.size.height]]
        name = told_apart(names, max(8, width - PREFIX))[number - self.first]
        right, wrong = ("".join(LETTERS[run] for run in runs) for runs in (one.right, one.wrong))
        style = f"bold {rgb(COLOURS[one.right[0]])}" if len(one.right) == 1 else "bold" if one.right else rgb(GREY)
        said = f"{one.loss:8.2f}" if self.has_losses else f"{wrong:<2}{100 * one.confidence:4.0f} %"
        sure = Text(said, rgb(ROSE if wrong else GREY))
        return Text.assemble((f"{right or '–':<3}", style), sure, f"  {name}")


def list_width(names: Iterable[str], width: int, height: int) -> int:
    """Cells of ``width`` for the list: two fifths, or more for its names where a picture of ``height`` leaves them."""
    longest = max(map(cell_len, names), default=0)
    left = width - max(FACTS, PICTURE_SHAPE * height)
    return min(MOST, max(2 * width // 5, min(PREFIX + longest, left)))


def facts(one: Answered, width: int) -> Text:
    """An image in words: its file, its label, and what each of the runs says, in lines of at most ``width`` cells."""
    folder, name = str(PurePath(one.path).parent), PurePath(one.path).name
    lines = [
        Text.assemble((cut_in_the_middle(shown(name), width), "bold")),
        Text(cut_in_the_middle(shown(folder), width), rgb(GREY)),
        Text.assemble(("label  ", rgb(GREY)), (shown(one.label, 60), "bold")),
    ]
    if one.group:
        lines[-1].append("   group  ", rgb(GREY)).append(shown(one.group, 60))
    of_label = [f" {100 * probability:.1f} %" for probability in one.of_label]
    names, label = _cut(one, width - BESIDE_NAME, BETWEEN + max(map(len, of_label)))
    longest = max(map(cell_len, names))
    for run, name in enumerate(names):
        is_right = run in one.right
        said = f"{name}{' ' * (longest - cell_len(name))} {100 * one.probabilities[run]:5.1f} %"
        line = Text.assemble(
            (f"{LETTERS[run]} ", f"bold {rgb(COLOURS[run])}"),
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
    """The classes that the runs take the image for, and its own, cut so that they and every number have ``room``.

    ``beside_label``: cells that the latter takes besides its name in the line of a run that is wrong.
    """
    names, label = [shown(name, 60) for name in one.predicted], shown(one.label, 40)
    if not one.wrong:
        return told_apart(names, room), label
    room = max(2, room - beside_label)
    of_label = min(cell_len(label), max(room // 2, room - max(map(cell_len, names))))
    said = [*names, label]
    return told_apart(said, room - of_label)[:-1], told_apart(said, of_label)[-1]
