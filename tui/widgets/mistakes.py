"""Where two runs disagree: the images, each with its picture and what both say of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from engine.comparison.columns import seed_of
from engine.text import shown
from tui.compared import Compared, best_pair
from tui.errors import unexpected
from tui.loading import load_for_comparing
from tui.screens.dialogs import Pick
from tui.text import apart
from tui.theme import AMBER, GREY, rgb
from tui.widgets.mistake_list import COLOURS, LETTERS, MistakeList, facts, list_width
from tui.widgets.picture import Picture
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from engine.comparison.mistakes import Mistake

ABOVE_AND_BELOW = 8
"""Rows of the head and of what is said of an image, which a picture does not have."""
WHO: tuple[tuple[str, tuple[int | None, ...]], ...] = (
    ("", (0, 1)),
    ("A right", (0,)),
    ("B right", (1,)),
    ("neither", (None,)),
)
"""Whose right images are shown, in words and as a mistake tells it: of either alone, of A, of B, of neither."""
NO_PAIR = "Two runs with a result are needed to disagree."


@dataclass
class Found(Message):
    """What two runs get wrong, or why that cannot be told; ``images``: how many both have seen, at most."""

    pair: tuple[int, int]
    found: tuple[Mistake, ...]
    images: int
    problem: str = ""


class MistakesView(Vertical):
    """Two runs' mistakes: those of one of the two, of A or of B alone, or those of both; also of one class alone."""

    DEFAULT_CSS = """
    MistakesView { padding: 0 1; }
    MistakesView #mistake-head { height: 2; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    MistakesView #mistake-right { width: 3fr; padding-left: 2; }
    MistakesView #mistake-facts { height: 5; }
    MistakesView #mistake-none { height: 1fr; content-align: center middle; text-align: center;
                                 color: $text-muted; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="mistakes.back", tooltip="back to the table"),
        Binding("o", "copy", "Copy path", id="mistakes.copy", tooltip="copy the image's path to the clipboard"),
        Binding("w", "who", "Right", id="mistakes.who", tooltip="one of them right, A alone, B alone, neither"),
        Binding("c", "klass", "Class", id="mistakes.class", tooltip="only images of one class"),
        Binding("r", "runs", "Runs", id="mistakes.runs", tooltip="choose the two runs"),
    ]

    class Back(Message):
        """The person wants to see the table again."""

    def __init__(self) -> None:
        super().__init__(id="mistakes")
        self.head = Static(id="mistake-head", markup=False)
        self.listing = MistakeList()
        self.picture = Picture(id="mistake-picture")
        self.facts = Rows(id="mistake-facts")
        self.none = Static(id="mistake-none", markup=False)
        self.body = Horizontal(self.listing, Vertical(self.picture, self.facts, id="mistake-right"))
        self.compared: Compared | None = None
        self.pair: tuple[int, int] | None = None
        self.found: Found | None = None
        self.who = 0
        self.of_class: str | None = None

    def compose(self) -> ComposeResult:
        """The two runs, then the list beside the picture, or why there is none."""
        yield self.head
        yield self.body
        yield self.none

    def show(self, compared: Compared) -> None:
        """Looks at this comparison; at the same two runs as before, where it still has them."""
        before = [identity(self.compared, place) for place in self.pair or ()] if self.compared is not None else []
        self.compared = compared
        places = {identity(compared, place): place for place in range(len(compared.runs))}
        kept = [places[one] for one in before if one in places]
        self.pair = (kept[0], kept[1]) if len(kept) == 2 else best_pair(compared)
        self._look()

    def take_focus(self) -> None:
        """The keys work here."""
        self.listing.focus()

    def action_back(self) -> None:
        """Goes back to the table."""
        self.post_message(self.Back())

    def action_copy(self) -> None:
        """Copies the path; says so, since the terminal does not."""
        if (one := self.listing.current) is None:
            return
        self.app.copy_to_clipboard(one.path)
        inside = " tmux passes it on where `set-clipboard` is on." if "TMUX" in os.environ else ""
        self.notify(f"{shown(one.path)}\n{inside}".strip(), title="Copied")

    def action_who(self) -> None:
        """Shows what either gets right, then what A, then what B, then what neither does."""
        self.who = (self.who + 1) % len(WHO)
        self._put()

    def action_klass(self) -> None:
        """Asks for a class."""
        classes = self.compared.comparison.data.classes if self.compared is not None else ()
        names = ["every class", *(shown(name, 60) for name in classes)]
        at = 0 if self.of_class is None or self.of_class not in classes else classes.index(self.of_class) + 1

        def chosen(number: int | None) -> None:
            if number is not None:
                self.of_class = classes[number - 1] if number else None
                self._put()

        self.app.push_screen(Pick("Images of", names, at), chosen)

    def action_runs(self) -> None:
        """Asks for the first run, then for the other."""
        if self.compared is None or self.pair is None:
            return
        compared, pair = self.compared, self.pair
        places = [place for place, row in enumerate(compared.comparison.runs) if row.has_result]
        names = [self._named(place) for place in places]
        present = [places.index(place) for place in pair if place in places]
        if len(places) < 2:
            return

        def second(number: int | None, first: int) -> None:
            if number is not None and number != first:
                self._choose(identity(compared, places[first]), identity(compared, places[number]))

        def first(number: int | None) -> None:
            if number is not None:
                other = next(at for at in (*reversed(present), *range(len(places))) if at != number)
                self.app.push_screen(Pick("B, to compare it with", names, other), lambda answer: second(answer, number))

        self.app.push_screen(Pick("A, the first run", names, next(iter(present), 0)), first)

    def _choose(self, *chosen: tuple[str, str]) -> None:
        """Looks at these two runs, wherever they are by now: an experiment may have gone on since they were named."""
        if self.compared is None:
            return
        places = {identity(self.compared, place): place for place in range(len(self.compared.runs))}
        one, other = (places.get(run) for run in chosen)
        if one is not None and other is not None:
            self.pair = one, other
            self._look()

    def _look(self) -> None:
        """Reads what the two runs said, unless that is shown already."""
        if self.compared is None or self.pair is None:
            self.found = None
            self._say(NO_PAIR)
            return
        if self.found is None:
            self._say("reading …")
        chosen = [self.compared.runs[place] for place in self.pair]
        self._read(self.pair, [(one.source.folder, one.run.run) for one in chosen])

    @work(thread=True, exclusive=True, group="mistakes", exit_on_error=False)
    def _read(self, pair: tuple[int, int], runs: Sequence[tuple[Path | None, str]]) -> None:
        load_for_comparing()
        from engine.comparison.mistakes import mistakes, seen_by_both  # noqa: PLC0415 - loads numpy and scipy
        from engine.comparison.predictions import read  # noqa: PLC0415

        said = [read(folder, run) if folder is not None else None for folder, run in runs]
        one, other = said
        if one is None or other is None:
            missing = runs[0 if one is None else 1][1]
            result = Found(pair, (), 0, f"What {shown(missing, 80)} said of each image was not saved, or is damaged.")
        else:
            try:
                result = Found(pair, mistakes(one, other), seen_by_both(one, other))
            except ValueError as error:
                result = Found(pair, (), 0, shown(str(error)))
            except Exception as error:  # a person wants to know, and to go on
                result = Found(pair, (), 0, unexpected(error))
        if not get_current_worker().is_cancelled:
            self.post_message(result)

    @on(Found)
    def _read_them(self, message: Found) -> None:
        self.found = message
        self._put()

    def _put(self) -> None:
        """Shows what was found, as far as it is asked for."""
        if self.found is None or self.compared is None or self.pair is None or self.found.pair != self.pair:
            return
        _, right = WHO[self.who]
        found = [one for one in self.found.found if one.right in right and self.of_class in (None, one.label)]
        self._head()
        if self.found.problem:
            self._say(self.found.problem)
        elif not found:
            self._say("No such image." if self.found.found else "Both get every image right.")
        else:
            self.none.display, self.body.display = False, True
            self.listing.put_all(found)
            self._divide()
            self.call_after_refresh(self._show_current)  # once it is known how much room there is

    def _head(self) -> None:
        """The two runs, how many images each alone gets right, and what is left out."""
        if self.found is None or self.pair is None:
            return
        names = [self._named(place) for place in self.pair]
        room = max(20, self.size.width - 46)
        cells = min(room, max(map(len, names)))
        lines = [Text(no_wrap=True, overflow="ellipsis") for _ in names]
        said = apart(names, cells)
        for run, line in enumerate(lines):
            alone = sum(one.right == run for one in self.found.found)
            line.append(f"{LETTERS[run]} ", f"bold {rgb(COLOURS[run])}")
            line.append(f"{said[run]:<{cells}}", "bold").append(f"  alone right {alone:,}", rgb(GREY))
        neither = sum(one.right is None for one in self.found.found)
        lines[0].append(f" · neither {neither:,} of {self.found.images:,} images", rgb(GREY))
        if only := WHO[self.who][0]:
            lines[1].append(f" · only {only}", rgb(AMBER))
        if self.of_class is not None:
            lines[1].append(f" · only {shown(self.of_class, 40)}", rgb(AMBER))
        text = Text("\n").join(lines)
        self.head.update(text)

    def _say(self, words: str) -> None:
        self.body.display, self.none.display = False, True
        self.none.update(words)

    @on(MistakeList.Moved)
    def _moved(self, event: MistakeList.Moved) -> None:
        event.stop()
        self._show_current()

    def on_resize(self) -> None:
        """The words fit the width."""
        self._divide()
        self.call_after_refresh(self._show_current)

    def _divide(self) -> None:
        """Gives the list the cells that the picture leaves."""
        names = (shown(Path(one.path).name) for one in self.listing.found)
        self.listing.styles.width = list_width(names, self.size.width, self.size.height - ABOVE_AND_BELOW)

    def _show_current(self) -> None:
        one = self.listing.current
        if one is not None and self.pair is not None and self.body.display:
            self.facts.put(facts(one, max(20, self.facts.size.width)))
            self.picture.show(one.path, self.listing.nearby())

    def _named(self, place: int) -> str:
        if self.compared is None:
            return ""
        row = self.compared.comparison.runs[place]
        return f"{shown(row.strategy, 160)} · {seed_of(row)}"


def identity(compared: Compared, place: int) -> tuple[str, str]:
    """By what a run is known, whatever is compared with it."""
    row = compared.comparison.runs[place]
    return row.experiment, row.run
