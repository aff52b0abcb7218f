"""The cells of a confusion matrix to move over: all of them, or a line each of those of confused classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.text import Text
from textual.binding import Binding, BindingType

from engine.comparison.confusion import Cell, Confused, Matrix
from engine.text import shown
from engine.units import percent
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, GREEN, GREY, GROUND, Colour, rgb
from tui.widgets.listing import Listing

NAME = (8, 24)
"""Cells of a row's name: at least and at most."""
COLUMN = (6, 18)
"""Cells of a column, with what parts it from the one before."""
SHORT = 8
"""Cells of a column in which a name's beginning alone says more than with an ellipsis in it."""
GAP = 3
"""Cells between two matrices."""
SHARE = 8
"""Cells for a count's share of its row."""
FAINT, STRONG = 0.08, 0.6
"""How much of its colour a cell has whose share of its row is nothing, or all."""
NUMBERS = 28
"""Cells before the names of two confused classes."""


def fits(matrix: Matrix, width: int) -> bool:
    """Whether there is room for all columns."""
    room = (width - NAME[0]) // len(matrix.classes)
    return room >= COLUMN[0] and room >= _digits(matrix) + 3


def _digits(matrix: Matrix) -> int:
    return len(f"{max(map(max, matrix.counts)):,}")


class MatrixCells(Listing):
    """A row a true class, a column a predicted one; as wide as it needs to be. Beside it, in the same rows, as many
    other matrices as have room.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "column(-1)", "Column ←", show=False, id="matrix.left", tooltip="previous predicted class"),
        Binding("right,l", "column(1)", "Column →", show=False, id="matrix.right", tooltip="next predicted class"),
    ]

    def __init__(self) -> None:
        super().__init__(id="confusion-cells")
        self.matrix: Matrix | None = None
        self.column = 0
        self._names: list[str] = []
        self._heads: list[str] = []
        self._cells = (0, 0)  # of a row's name and of a column
        self._has_shares = False
        self._beside: list[tuple[Matrix, Colour]] = []

    @property
    def count(self) -> int:
        """Classes."""
        return len(self._names)

    @property
    def cell(self) -> Cell | None:
        """The one under the cursor."""
        if self.matrix is None:
            return None
        return Cell(self.matrix.classes[self.cursor], self.matrix.classes[self.column])

    def put_all(self, every: Sequence[tuple[Matrix, Colour]], cell: Cell, width: int) -> None:
        """Shows the first of the matrices within so many cells, the cursor on that cell; nothing of one that does not
        fit. The others lie beside it as far as they do; each has its strategy's colour.
        """
        matrix = every[0][0]
        if not fits(matrix, width):
            return
        self.matrix = matrix
        self.cursor, self.column = (matrix.classes.index(name) for name in cell)
        names, count = [shown(name, 80) for name in matrix.classes], len(matrix.classes)
        column = max(COLUMN[0], _digits(matrix) + 3)
        first = max(NAME[0], min(NAME[1], max(map(cell_len, names)), width - count * column))
        column = max(
            column, min(COLUMN[1], max(*map(cell_len, names), _digits(matrix) + SHARE) + 3, (width - first) // count)
        )
        self._cells, self._has_shares = (first, column), column > _digits(matrix) + SHARE + 2
        self._names = told_apart(names, first)
        begun = [next(iter(chop_cells(name, column - 3)), "") for name in names]
        self._heads = begun if column <= SHORT and len({*begun}) == count else told_apart(names, column - 3)
        fitting = 1 + max(0, width - first - count * column) // (GAP + count * column)
        self._beside = [one for one in every if one[0].classes == matrix.classes][:fitting]
        several = len(self._beside)
        self.styles.width = first + several * count * column + (several - 1) * GAP
        self.styles.max_height = count + len(self.head(width))
        self.draw()

    def action_column(self, step: int) -> None:
        """Moves the cursor to the next column, or to the one before."""
        before, self.column = self.column, max(0, min(self.column + step, self.count - 1))
        if self.column != before:
            self.draw()
            self.post_message(self.Moved())

    def head(self, width: int) -> list[Text]:
        """The predicted classes; above them, where there are several matrices, their titles."""
        del width
        first, column = self._cells
        room = self.count * column - 1
        names = told_apart([shown(matrix.column.title, 160) for matrix, _ in self._beside], room)
        titles, text = Text(" " * first), Text(" " * first)
        for at, (name, (matrix, colour)) in enumerate(zip(names, self._beside, strict=True)):
            note = f"  {matrix.column.note}"
            title = Text.assemble((name, f"bold {rgb(colour)}"))
            title.append(note if title.cell_len + len(note) <= room else "", rgb(GREY))
            title.pad_right(room - title.cell_len)
            titles.append(" " * GAP if at else "").append(" ").append_text(title)
            text.append(" " * GAP if at else "")
            for number, said in enumerate(self._heads):
                head = Text(said, "bold" if number == self.column else rgb(GREY))
                text.append(" " * (column - 1 - head.cell_len)).append_text(head).append(" ")
        return [titles, text] if len(self._beside) > 1 else [text]

    def line(self, number: int, width: int) -> Text:
        """``ants    65  92.9 %     5   7.1 %``; the shares where there is room."""
        del width
        if self.matrix is None:
            return Text()
        text = Text(self._names[number], "bold" if number == self.cursor else "")
        text.pad_right(self._cells[0] - text.cell_len)
        for at, (matrix, _) in enumerate(self._beside):
            self._row(text.append(" " * GAP if at else ""), matrix.counts[number], number, is_first=at == 0)
        return text

    def _row(self, text: Text, counts: Sequence[int], number: int, *, is_first: bool) -> None:
        """Appends a row of a matrix."""
        total, cells = max(1, sum(counts)), self._cells[1] - 2
        for place, images in enumerate(counts):
            share = f"{percent(images / total):>{SHARE}}" if self._has_shares else ""
            colour = GREEN if place == number else AMBER
            style = f"on {rgb(_shade(colour, images / total))}" if images else rgb(GREY)
            if (number, place) == (self.cursor, self.column):
                style = f"bold reverse {rgb(colour if images else GREY)}" if is_first else f"{style} bold underline"
            text.append(" ").append(f"{f'{images:,}{share}':>{cells}} ", style)


def _shade(colour: Colour, share: float) -> Colour:
    """Of a cell with this share (0..1) of its row."""
    part = FAINT + (STRONG - FAINT) * share
    red, green, blue = (round(part * value + (1 - part) * ground) for value, ground in zip(colour, GROUND, strict=True))
    return red, green, blue


class PairCells(Listing):
    """Two classes a line, of which one is taken for the other."""

    def __init__(self) -> None:
        super().__init__(id="confusion-pairs")
        self.pairs: Sequence[Confused] = ()

    @property
    def count(self) -> int:
        """Pairs."""
        return len(self.pairs)

    @property
    def cell(self) -> Cell | None:
        """The one under the cursor."""
        return self.pairs[self.cursor].cell if self.pairs else None

    def put_all(self, cell: Cell) -> None:
        """Shows its pairs, the cursor on that cell where it is one of them."""
        self.cursor = next((place for place, one in enumerate(self.pairs) if one.cell == cell), 0)
        self.draw()

    def head(self, width: int) -> list[Text]:
        """What the columns are."""
        del width
        return [Text(f"{'images':>8}{'of':>8}{'share':>9}   true → predicted", rgb(GREY))]

    def line(self, number: int, width: int) -> Text:
        """``5   70   7.1 %   ants → bees``."""
        pair = self.pairs[number]
        room = max(8, (width - NUMBERS - 3) // 2)
        names = told_apart([shown(pair.true, 160), shown(pair.predicted, 160)], room)
        numbers = f"{pair.of:>8,}{percent(pair.images / pair.of):>9}   "
        return Text.assemble((f"{pair.images:>8,}", rgb(AMBER)), (numbers, rgb(GREY)), " → ".join(names))
