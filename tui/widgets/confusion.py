"""The confusion matrix of a strategy or of one run, with a cursor on its cells; each opens the images in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from engine.comparison.columns import Column, columns, scored, seed_of
from engine.comparison.confusion import Cell, Matrix, matrix
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.rows import of_part
from engine.text import counted, shown
from engine.units import percent
from tui.compared import Compared, key_of, offered, places_of
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, GREY, rgb
from tui.widgets.cells import MatrixCells, PairCells, fits
from tui.widgets.dialogs import Pick
from tui.widgets.listing import Listing
from tui.widgets.rows import Rows
from tui.widgets.view import View

if TYPE_CHECKING:
    from engine.comparison.scores import Scores

NO_MATRIX = "No matrix: predictions not saved, or damaged."
ALL_RIGHT = "No image is misclassified."
NAME = 25
"""Cells of a class's name where a question names it."""
MOST_BELOW = 7
"""Lines below the matrix: the cell in words, then what others have in it."""


class ConfusionView(View):
    """Of as many classes as have room all cells, of more the pairs that are confused, most of all first."""

    DEFAULT_CSS = """
    ConfusionView { padding: 0 1; }
    ConfusionView #confusion-title { height: 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    ConfusionView Listing { height: 1fr; }
    ConfusionView #confusion-below { height: auto; margin-top: 1; }
    ConfusionView #confusion-none { height: 1fr; content-align: center middle; text-align: center;
                                    color: $text-muted; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="matrix.back", tooltip="go back"),
        Binding("enter", "open", "Images", id="matrix.images", tooltip="the images in the cell"),
        Binding("r", "runs", "Runs", id="matrix.runs", tooltip="choose another strategy, or one run"),
    ]

    class Opened(Message):
        """Show the images in a cell of the run at this place in the comparison."""

        def __init__(self, place: int, cell: Cell, part: MeasuredPart) -> None:
            super().__init__()
            self.place, self.cell, self.part = place, cell, part

    def __init__(self) -> None:
        super().__init__(id="confusion")
        self.title = Static(id="confusion-title", markup=False)
        self.cells, self.pairs = MatrixCells(), PairCells()
        self.below = Rows(id="confusion-below")
        self.none = Static(id="confusion-none", markup=False)
        self.none.display = self.pairs.display = False
        self.compared: Compared | None = None
        self.column: Column | None = None
        self.matrix: Matrix | None = None
        self.part: MeasuredPart = "val"
        self.cell: Cell | None = None
        self._beside: list[tuple[Column, list[Scores]]] = []

    def compose(self) -> ComposeResult:
        """The matrix above its cell in words, or why there is none."""
        yield self.title
        yield self.cells
        yield self.pairs
        yield self.none
        yield self.below

    def show(self, compared: Compared, column: Column | None = None) -> None:
        """Shows the matrix of this column, of none the same one's as before.

        The cursor stays on its cell; of another experiment it begins on the worst one.
        """
        wanted = column or self.column
        there = (*columns(compared.comparison), *columns(compared.comparison, single_runs=True))
        found = next((one for one in there if wanted is not None and _runs(one) == _runs(wanted)), there[0])
        if self.compared is compared and self.column == found:
            self._draw()
            return
        is_other = self.compared is None or self.compared.comparison.experiment != compared.comparison.experiment
        self.compared, self.column = compared, found
        beside = (found, *(one for one in columns(compared.comparison) if one != found))
        self.part, known = scored(beside)
        self._beside = [(one, scores) for one, scores in zip(beside, known, strict=True) if scores]
        self.matrix = matrix(found, self.part, known[0]) if known[0] else None
        if self.matrix is not None:
            confused = self.matrix.confused
            self.pairs.pairs = confused
            if is_other or self.cell is None or not {*self.cell} <= {*self.matrix.classes}:
                worst = confused[0] if confused else None
                first = self.matrix.classes[0]
                self.cell = Cell(first, first) if worst is None else worst.cell
        self._draw()

    def take_focus(self) -> None:
        """The keys work here, also where there is nothing to choose from."""
        self.can_focus = bool(self.none.display)
        self.screen.set_focus(self if self.can_focus else self.cells if self.cells.display else self.pairs)

    def on_resize(self) -> None:
        """Of as many classes as have room there is a matrix."""
        self._draw()

    def _draw(self) -> None:
        made, column = self.matrix, self.column
        if column is None or self.compared is None or not self.size.width:
            return
        whole = made is not None and fits(made, self.size.width - 2)
        why = NO_MATRIX if made is None else "" if whole or self.pairs.pairs else ALL_RIGHT
        had_focus = self.has_focus_within
        self.none.update(why)
        self.none.display = bool(why)
        self.cells.display, self.pairs.display, self.below.display = whole, not whole and not why, not why
        title = Text.assemble((shown(column.title, 120), f"bold {rgb(self.compared.colours[column.title])}"))
        title.append(f"  {column.note}" if column.note else "", rgb(GREY))
        if made is not None:
            added = ", summed" if made.runs > 1 else ""
            kind = "rows: true class" if whole else "most confused first"
            ways = (f"{added} · {made.part} images · {kind}", f" · {made.part} · {kind}")
            room = self.size.width - 2 - title.cell_len
            title.append(next((said for said in ways if len(said) <= room), f" · {kind}"), rgb(GREY))
        self.title.update(title)
        if made is not None and self.cell is not None:
            colours = self.compared.colours
            every = [(matrix(one, self.part, scores), colours[one.title]) for one, scores in self._beside]
            self.cells.put_all(every, self.cell, self.size.width - 2)
            self.pairs.put_all(self.cell)
            self._say()
        if had_focus:
            self.take_focus()

    @on(Listing.Moved)
    def _moved(self, event: Listing.Moved) -> None:
        event.stop()
        self.cell = self.cells.cell if self.cells.display else self.pairs.cell
        self._say()

    @property
    def _current(self) -> Cell | None:
        """The cell under the cursor; where the matrix has no room, that is one of the confused pairs."""
        return (self.pairs.cell if self.pairs.display else None) or self.cell

    def _say(self) -> None:
        """The cell in words, and how many images the other strategies have in it."""
        if self.matrix is None or self.compared is None or (cell := self._current) is None:
            return
        true, predicted = (self.matrix.classes.index(name) for name in cell)
        names = [f"{shown(one.title, 160)}{'  ' + one.note if one.note else ''}" for one, _ in self._beside]
        said = told_apart(names, max(12, min(self.size.width - 34, max(map(len, names)))))
        images, of = self.matrix.counts[true][predicted], sum(self.matrix.counts[true])
        lines = [in_words(cell, images, of, self.size.width - 2)]
        for name, (one, scores) in list(zip(said, self._beside, strict=True))[: MOST_BELOW - 1]:
            images, of = (
                _count(scores, true, predicted),
                sum(_count(scores, true, at) for at in range(len(self.matrix.classes))),
            )
            share = f"{percent(images / of):>8}" if of else ""
            is_this = one == self.column
            style = f"{'bold ' if is_this else ''}{rgb(self.compared.colours[one.title])}"
            line = Text.assemble("▸ " if is_this else "  ", (f"{name:<{max(map(len, said))}}  ", style))
            lines.append(
                line.append(f"{images:>7,} of {of:,}{share}", rgb(AMBER) if images and true != predicted else "")
            )
        text = Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
        self.below.styles.height = len(lines)
        self.below.put(text)

    def action_runs(self) -> None:
        """Asks for a strategy, or for one of its runs."""
        if self.compared is None:
            return
        names, there = zip(*offered(self.compared), strict=True)
        compared = self.compared

        def chosen(number: int | None) -> None:
            if number is not None:
                self.show(self.compared or compared, there[number])
                self.take_focus()

        at = there.index(self.column) if self.column in there else 0
        self.app.push_screen(Pick("Confusion matrix of", names, at), chosen)

    def action_open(self) -> None:
        """Asks the screen for the images of the cell; of several runs, the person for one of them."""
        cell = self._current
        if self.compared is None or self.matrix is None or self.column is None or cell is None:
            return
        true, predicted = (self.matrix.classes.index(name) for name in cell)
        images: dict[int, int] = {}
        for row in self.column.rows:
            scores = of_part(row, self.part).scores
            if scores is not None and scores.confusion[true][predicted]:
                place = next(at for at, one in enumerate(self.compared.comparison.runs) if one is row)
                images[place] = scores.confusion[true][predicted]
        if not images:
            said = in_words(cell, 0, sum(self.matrix.counts[true]), self.size.width)
            self.notify(said.plain, severity="warning")
        elif len(images) == 1:
            self.post_message(self.Opened(next(iter(images)), cell, self.part))
        else:
            self._ask(self.compared, cell, images)

    def _ask(self, compared: Compared, cell: Cell, images: dict[int, int]) -> None:
        places = list(images)
        names = [
            f"{seed_of(compared.comparison.runs[place])} · {counted(images[place], 'image', 'images')}"
            for place in places
        ]

        def chosen(number: int | None) -> None:
            now = self.compared or compared  # an experiment may have gone on since the runs were named
            place = None if number is None else places_of(now).get(key_of(compared, places[number]))
            if place is not None:
                self.post_message(self.Opened(place, cell, self.part))

        classes = " → ".join(told_apart([shown(name, 160) for name in cell], NAME))
        self.app.push_screen(Pick(f"{classes}: which run?", names), chosen)


def in_words(cell: Cell, images: int, of: int, width: int) -> Text:
    """``5 of 70 ants predicted as bees``, in ``width`` cells where the names can be cut to that."""
    if not of:
        said = "No images of {} in this part."
    elif cell.true == cell.predicted:
        said = f"{images:,} of {of:,} {{}} predicted correctly"
    else:
        said = f"{images:,} of {of:,} {{}} predicted as {{}}"
    count = said.count("{}")
    room = (width - len(said.replace("{}", ""))) // count
    return Text(said.format(*told_apart([shown(name, 160) for name in cell[:count]], max(8, room))), "bold")


def _runs(column: Column) -> tuple[str, list[str]]:
    """Which they are; how many of them have a result changes while they run."""
    return column.title, [row.run for row in column.rows]


def _count(scores: list[Scores], true: int, predicted: int) -> int:
    return sum(one.confusion[true][predicted] for one in scores)
