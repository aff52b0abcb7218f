"""Where two runs disagree, what one or a strategy gets most wrong, or a cell of a matrix: images, and who says what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from engine.comparison.columns import columns, seed_of
from engine.comparison.confusion import Cell
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.rows import part_compared
from engine.text import shown
from tui.compared import Compared, beside, best_pair, key_of, offered, places_in, places_of
from tui.drawing.theme import Colour
from tui.widgets.dialogs import Pick
from tui.widgets.mistake_head import head, whose
from tui.widgets.mistake_list import PREFIX, MistakeList, facts, list_width
from tui.widgets.picture import Picture
from tui.widgets.rows import Rows
from tui.widgets.view import View
from tui.work.finding_mistakes import MistakeQuery, MistakeResult, Side, find

ABOVE_AND_BELOW = 8
"""Rows of the head and of what is said of an image, which a picture does not have."""
NO_PAIR = "Needs two finished runs. For one run press w in the table."


class MistakesView(View):
    """Two runs' mistakes on the part on which runs are compared: those of one of the two, of A or of B alone, or those
    of both; also of one class alone.

    Of a run, or of all of a strategy's together, the images that it gets most wrong, or of a run those in a ``cell`` of
    its confusion matrix, and what the other says of them.
    """

    DEFAULT_CSS = """
    MistakesView { padding: 0 1; }
    MistakesView #mistake-head { height: 2; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    MistakesView #mistake-right { width: 3fr; padding-left: 2; }
    MistakesView #mistake-facts { height: 5; }
    MistakesView #mistake-none { height: 1fr; content-align: center middle; text-align: center;
                                 color: $text-muted; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="mistakes.back", tooltip="go back"),
        Binding("o", "copy", "Copy path", id="mistakes.copy", tooltip="copy the image's path to the clipboard"),
        Binding(
            "w",
            "who",
            "Right",
            id="mistakes.who",
            tooltip="one of them right, only A, only B, neither (of one run: all first)",
        ),
        Binding("c", "klass", "Class", id="mistakes.class", tooltip="only images of one class"),
        Binding("r", "runs", "Runs", id="mistakes.runs", tooltip="choose the two"),
    ]

    def __init__(self) -> None:
        super().__init__(id="mistakes")
        self.head = Static(id="mistake-head", markup=False)
        self.listing = MistakeList()
        self.picture = Picture(id="mistake-picture")
        self.facts = Rows(id="mistake-facts")
        self.none = Static(id="mistake-none", markup=False)
        self.body = Horizontal(self.listing, Vertical(self.picture, self.facts, id="mistake-right"))
        self.compared: Compared | None = None
        self.asked: MistakeQuery | None = None
        self.found: MistakeResult | None = None
        self.who = 0
        self.of_class: str | None = None

    def compose(self) -> ComposeResult:
        """The two runs, then the list beside the picture, or why there is none."""
        yield self.head
        yield self.body
        yield self.none

    def show(self, compared: Compared) -> None:
        """Looks at this comparison; at the same runs as before, and the same cell, where it still has them."""
        asked = self.asked
        self.compared = compared
        if self.of_class not in compared.comparison.data.classes:
            self.of_class = None
        there = places_of(compared)
        part = part_compared(compared.comparison.runs)
        if asked is not None and all(run in there for side in asked.sides for run in side):
            is_of_both = asked.cell is None and not asked.worst
            self.asked = asked._replace(part=part if is_of_both else asked.part)
        else:
            pair = best_pair(compared)
            one_each = [_side(compared, [place]) for place in pair or ()]
            self.asked = MistakeQuery(tuple(one_each), part=part) if one_each else None
            self.found = None  # which is of other runs
        self._look()

    def show_side(
        self, compared: Compared, places: Sequence[int], part: MeasuredPart, cell: Cell | None = None
    ) -> None:
        """Looks at what the runs at these places get most wrong, or at a cell of one's matrix, beside what the other
        side says that was looked at, or the one that is compared best.
        """
        side = _side(compared, places)
        sides = self.asked.sides if self.asked is not None and self.compared is compared else ()
        other = next((one for one in sides if one != side), ()) if side in sides else ()
        if not other:
            other = _side(compared, beside(compared, places))
        self.compared, self.who, self.found = compared, 0, None
        self.asked = MistakeQuery((side, other) if other else (side,), cell, part, worst=cell is None)
        self._look()

    def leave_side(self) -> None:
        """Looks at two runs' mistakes the next time, at the same ones where these are two."""
        if self.asked is not None and (self.asked.cell is not None or self.asked.worst):
            sides = self.asked.sides
            are_two_runs = [len(side) for side in sides] == [1, 1]
            self.asked, self.who, self.found = MistakeQuery(sides) if are_two_runs else None, 0, None

    @property
    def cell(self) -> Cell | None:
        """The cell whose images are looked at."""
        return self.asked.cell if self.asked is not None else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A cell is of a class already; of a single side nothing is left out."""
        del parameters
        is_alone = self.asked is not None and len(self.asked.sides) == 1
        return None if (action == "klass" and self.cell is not None) or (action == "who" and is_alone) else True

    def take_focus(self) -> None:
        """The keys work here, also where there is nothing to choose from."""
        self.can_focus = not self.body.display
        self.screen.set_focus(self if self.can_focus else self.listing)

    def action_copy(self) -> None:
        """Copies the path of the image that is shown; says so, since the terminal does not."""
        one = self.listing.current if self.body.display else None
        if one is None:
            return
        self.app.copy_to_clipboard(one.path)
        inside = " In tmux this needs `set-clipboard on`." if "TMUX" in os.environ else ""
        self.notify(f"{shown(one.path)}\n{inside}".strip(), title="Copied")

    def action_who(self) -> None:
        """Shows what either gets right, then what A, then what B, then what neither does; of one run's first all."""
        self.who = (self.who + 1) % len(whose(self.asked))
        self._put()

    def action_klass(self) -> None:
        """Asks for a class."""
        classes = self.compared.comparison.data.classes if self.compared is not None else ()
        names = ["all classes", *(shown(name, 60) for name in classes)]
        at = 0 if self.of_class is None else classes.index(self.of_class) + 1

        def chosen(number: int | None) -> None:
            if number is not None:
                self.of_class = classes[number - 1] if number else None
                self._put()

        self.app.push_screen(Pick("Images of", names, at), chosen)

    def action_runs(self) -> None:
        """Asks for the first run, or of what is most wrong also a strategy with all its runs, then for the other."""
        if self.compared is None or self.asked is None:
            return
        there = self._offered(self.compared, with_strategies=self.asked.worst)
        names, sides = [name for name, _ in there], [side for _, side in there]
        present = [sides.index(side) for side in self.asked.sides if side in sides]
        if len(sides) < 2:
            return

        def second(number: int | None, first: int) -> None:
            if number is not None and number != first:
                self._choose(sides[first], sides[number])

        def first(number: int | None) -> None:
            if number is not None:
                other = next(at for at in (*reversed(present), *range(len(sides))) if at != number)
                self.app.push_screen(
                    Pick("B, the run to compare with", names, other), lambda answer: second(answer, number)
                )

        self.app.push_screen(Pick("A, the first", names, next(iter(present), 0)), first)

    def _offered(self, compared: Compared, *, with_strategies: bool) -> list[tuple[str, Side]]:
        """What may be chosen, by name: the runs that have a result, or with them the strategies that have one."""
        if with_strategies:
            known = [(name, one) for name, one in offered(compared) if any(row.has_result for row in one.rows)]
            return [(name, _side(compared, places_in(compared, one))) for name, one in known]
        rows = enumerate(compared.comparison.runs)
        runs = [_side(compared, [place]) for place, row in rows if row.has_result]
        return [(self._named(run), run) for run in runs]

    def _choose(self, *chosen: Side) -> None:
        """Looks at these two sides, if they are still compared: others may be since they were named."""
        if self.compared is None or self.asked is None:
            return
        now = places_of(self.compared)
        if all(run in now for side in chosen for run in side):
            self.asked = self.asked._replace(sides=chosen)
            self._look()

    def _look(self) -> None:
        """Reads what the runs said, unless that is shown already."""
        if self.compared is None or self.asked is None:
            self.found = None
            self._say(NO_PAIR)
            return
        if self.found is None:
            self._say("reading …")
        self._read(self.asked)

    @work(thread=True, exclusive=True, group="mistakes", exit_on_error=False)
    def _read(self, asked: MistakeQuery) -> None:
        found = find(asked)
        if not get_current_worker().is_cancelled:
            self.post_message(found)

    @on(MistakeResult)
    def _read_them(self, message: MistakeResult) -> None:
        self.found = message
        self._put()

    def _put(self) -> None:
        """Shows what was found, as far as it is asked for."""
        if self.found is None or self.compared is None or self.asked is None or self.found.asked != self.asked:
            return
        _, right = whose(self.asked)[self.who]
        of_class = None if self.cell is not None else self.of_class
        found = [one for one in self.found.found if one.right in right and of_class in (None, one.label)]
        self._head()
        if self.found.problem:
            self._say(self.found.problem)
        elif not found:
            is_filtered = self.found.found or self.cell is not None
            all_right = "It gets every image right." if self.asked.worst else "Both get every image right."
            self._say("No such images." if is_filtered else all_right)
        else:
            self._turn_to(self.body)
            self.listing.put_all(found, self._colours(), losses=self.asked.worst)
            self._divide()
            self.call_after_refresh(self._show_current)  # once it is known how much room there is

    def _head(self) -> None:
        """The runs, what they get right, and what is left out."""
        if self.found is not None and self.found.asked == self.asked:
            names = [self._named(side) for side in self.found.asked.sides]
            of_class = self.of_class if self.cell is None else None
            only = whose(self.asked)[self.who][0]
            self.head.update(head(names, self._colours(), self.found, only, of_class, self.size.width))

    def _say(self, words: str) -> None:
        self._turn_to(self.none)
        self.none.update(words)

    def _turn_to(self, part: Widget) -> None:
        """Shows the list beside the picture, or the words in their place."""
        has_focus = self.has_focus_within
        self.body.display, self.none.display = part is self.body, part is self.none
        if has_focus:
            self.take_focus()

    @on(MistakeList.Moved)
    def _moved(self, event: MistakeList.Moved) -> None:
        event.stop()
        self._show_current()

    def on_resize(self) -> None:
        """The words fit the width."""
        self._head()
        self._divide()
        self.call_after_refresh(self._show_current)

    def _divide(self) -> None:
        """Gives the list the cells that the picture leaves."""
        names = (shown(Path(one.path).name) for one in self.listing.found)
        height, prefix = self.size.height - ABOVE_AND_BELOW, PREFIX + self.listing.counts
        self.listing.styles.width = list_width(names, self.size.width, height, prefix)

    def _show_current(self) -> None:
        one = self.listing.current
        if one is not None and self.body.display:
            self.facts.put(facts(one, self.listing.colours, max(20, self.facts.size.width)))
            self.picture.show(one.path, self.listing.nearby())

    def _colours(self) -> list[Colour]:
        """The sides', each its strategy's."""
        if self.compared is None or self.asked is None:
            return []
        there, rows = places_of(self.compared), self.compared.comparison.runs
        return [self.compared.colours[rows[there[side[0]]].strategy] for side in self.asked.sides]

    def _named(self, side: Side) -> str:
        if self.compared is None:
            return ""
        row = self.compared.comparison.runs[places_of(self.compared)[side[0]]]
        if len(side) == 1:
            return f"{shown(row.strategy, 160)} · {seed_of(row)}"
        note = next(one.note for one in columns(self.compared.comparison) if one.title == row.strategy)
        return f"{shown(row.strategy, 160)} · {note}"


def _side(compared: Compared, places: Sequence[int]) -> Side:
    """The runs at these places."""
    return tuple(key_of(compared, place) for place in places)
