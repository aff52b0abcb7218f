"""Backbones in order before anything trains: what ``tl-tui rank`` prints, while it is being found."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.progress import WorkDone
from engine.specs.spec import DataSource
from engine.text import shown
from tui.drawing.text import below
from tui.drawing.theme import AMBER, BLUE, GREEN, GREY, ROSE, rgb
from tui.screens.compositor import TellingCompositor
from tui.widgets.dialogs import answer
from tui.widgets.listing import Listing
from tui.words.ranking import COLUMNS, caveats, cells
from tui.work.ranking_work import RankingQuery, working

if TYPE_CHECKING:
    from engine.ranking import Ranked

GAPS = (2, 1)
"""Cells between two columns: the first with which all columns have room, else the last."""
KEYS = "↑ ↓ backbone · enter add it"


class RankingList(Listing):
    """A backbone a line: the ranked ones, the best first, the one at work, those that wait, and what was skipped."""

    def __init__(self, backbones: Sequence[str], weights: str) -> None:
        super().__init__(id="ranking-list")
        self.backbones = backbones
        self.weights = weights
        self.done: tuple[Ranked, ...] = ()
        self.now, self.later = "loading PyTorch", "queued"
        self.was_moved = False

    @property
    def count(self) -> int:
        """Backbones."""
        return len(self.backbones)

    @property
    def lines(self) -> list[Ranked | str]:
        """What each line is about: a backbone that is done, or the name of one that is not."""
        names = {one.backbone for one in self.done}
        ranked = [one for one in self.done if not one.skipped]
        return [*ranked, *(name for name in self.backbones if name not in names), *self.done[len(ranked) :]]

    @property
    def current(self) -> Ranked | str:
        """What is under the cursor."""
        return self.lines[self.cursor]

    def take(self, done: tuple[Ranked, ...]) -> None:
        """Shows these as done; the cursor stays with its backbone once a person has moved it, else with the first."""
        name = backbone_of(self.current)
        self.done, self.now = done, "starting"
        if self.was_moved:
            self.cursor = [backbone_of(one) for one in self.lines].index(name)
        self.draw()

    def take_progress(self, now: WorkDone) -> None:
        """Shows how far the work on the first one that is not done is."""
        far = ""
        if now.total:
            far = f" {now.done:,} of {now.total:,}" if now.images else f" {100 * now.done // now.total} %"
        at_work = next((one for one in self.lines if isinstance(one, str)), "")
        self.now = f"{now.detail.removeprefix(f'{at_work}: ')}{far}"
        self.draw()

    def action_move(self, lines: int) -> None:
        """Moves the cursor by so many lines; from then on it stays with its backbone."""
        self.was_moved = True
        super().action_move(lines)

    def head(self, width: int) -> list[Text]:
        """What the columns are."""
        return [self._row(COLUMNS, width, "bold")]

    def line(self, number: int, width: int) -> Text:
        """``resnet18  1.234  96.1 %  0.123  512  11.2 M  3.4``, or why there is nothing of this kind."""
        one = self.lines[number]
        if isinstance(one, str):
            is_next = not any(isinstance(before, str) for before in self.lines[:number])
            said, colour = (self.now, BLUE) if is_next else (self.later, GREY)
            return Text.assemble(f"{shown(one):<{self._names}}  ", (said, rgb(colour)))
        if one.skipped:
            said = below(self.weights, shown(one.skipped, 600))
            return Text(f"{shown(one.backbone):<{self._names}}  skipped: {said}", rgb(AMBER))
        return self._row(cells(one), width, rgb(GREEN) if number == 0 else "")

    @property
    def _names(self) -> int:
        """Cells of the first column."""
        return max(map(len, (COLUMNS[0], *self.backbones)))

    def _row(self, texts: Sequence[str], width: int, style: str) -> Text:
        rows = [COLUMNS, *(cells(one) for one in self.done if not one.skipped)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)][1:]
        gap = next((gap for gap in GAPS if self._names + sum(widths) + gap * len(widths) <= width), GAPS[-1])
        text = f"{texts[0]:<{self._names}}"
        for cell, cells_of in zip(texts[1:], widths, strict=True):
            if len(text) + gap + cells_of > width:
                break
            text += " " * gap + f"{cell:>{cells_of}}"
        return Text(text, style)


class Ranking(ModalScreen[str | None]):
    """Ranks backbones on this data and answers the chosen one, or None if cancelled.

    ``weights`` and ``device`` as in an experiment. Leaving it ends the work.
    """

    DEFAULT_CSS = """
    Ranking #ranking {
        width: 100%; max-width: 100; height: auto; max-height: 100%; border: round $primary; border-title-style: bold;
        border-subtitle-color: $text-muted; background: $surface; padding: 0 1;
    }
    Ranking #ranking-about { height: 5; margin-top: 1; }
    Ranking.-low #ranking-about { height: 4; }
    Ranking #ranking-caveats { height: auto; color: $text-muted; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Add", id="ranking.take", tooltip="add this backbone: choose how it trains"),
        Binding("escape,q", "dismiss", "Close", id="ranking.close", tooltip="cancel and go back"),
    ]

    @dataclass
    class Told(Message):
        """How far the work is, or all backbones that are done."""

        now: WorkDone | tuple[Ranked, ...]

    def __init__(self, source: DataSource, backbones: tuple[str, ...], weights: str, device: str) -> None:
        super().__init__()
        self._compositor = TellingCompositor()
        self.asked = RankingQuery(source, backbones, weights, device, self._tell, threading.Event())
        self.listing = RankingList(backbones, weights)
        self.listing.styles.height = len(backbones) + 1
        self.about = Static(markup=False, id="ranking-about")
        self.problem = ""
        self.frame = Vertical(id="ranking")
        self.frame.border_title = Text("Which backbone suits the data?")
        self.frame.border_subtitle = Text(f"{KEYS} · esc cancel")

    def compose(self) -> ComposeResult:
        """The table, what there is to say of the backbone under the cursor, and what to know of all of it."""
        with self.frame:
            yield self.listing
            yield self.about
            sentences = [Text(one, rgb(colour)) for one, colour in zip(caveats(self.asked.weights), (GREY, AMBER))]  # noqa: B905
            yield Static(Text("\n").join(sentences), id="ranking-caveats")

    def on_mount(self) -> None:
        """Begins."""
        self.listing.focus()
        self._rank()

    def on_unmount(self) -> None:
        """Cancels the work."""
        self.asked.left.set()

    @work(exit_on_error=False)
    async def _rank(self) -> None:
        self.problem = await working.answer(self.asked)
        self.frame.border_subtitle = Text(f"{KEYS} · esc close")
        if self.problem:
            self.listing.now = self.listing.later = "not ranked"
            self.listing.draw()
        self._say()

    def _tell(self, now: WorkDone | tuple[Ranked, ...]) -> None:
        self.post_message(self.Told(now))

    @on(Told)
    def _told(self, message: Told) -> None:
        if isinstance(message.now, WorkDone):
            self.listing.take_progress(message.now)
        else:
            self.listing.take(message.now)
            self._say()

    @on(Listing.Moved)
    def _say(self) -> None:
        one = self.listing.current
        if self.problem:
            self.about.update(Text(f"! {shown(self.problem, 600)}", rgb(ROSE)))
        elif isinstance(one, str):
            self.about.update("")
        elif one.skipped:
            self.about.update(Text(shown(one.skipped, 600), rgb(AMBER)))
        else:
            said = f"weights of {one.backbone}: {shown(one.weights)}"
            if any(other.skipped for other in self.listing.done):
                said += "\n↓ to a skipped one for its full reason"
            self.about.update(Text(said, rgb(GREY)))

    def action_take(self) -> None:
        """Answers with the backbone under the cursor."""
        answer(self, backbone_of(self.listing.current))


def backbone_of(one: Ranked | str) -> str:
    """The name of what a line is about."""
    return one if isinstance(one, str) else one.backbone
