"""Images that are there twice or look alike: every pair, with both pictures side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from rich.cells import set_cell_size
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen

from engine.text import counted, shown
from tui.drawing.text import cut_in_the_middle
from tui.drawing.theme import AMBER, GREY, ROSE, Colour, rgb
from tui.widgets.listing import Listing
from tui.widgets.picture import Picture
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from engine.data.duplicates import Copy, Pair

SIGN_WIDTH = 14
"""Cells for what is wrong with a pair."""


class PairList(Listing):
    """A pair a line: what is wrong with it, and both files' names."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__(id="copies-list")
        self.pairs = pairs

    @property
    def count(self) -> int:
        """Pairs."""
        return len(self.pairs)

    def line(self, number: int, width: int) -> Text:
        """``two labels   first.jpg   second.jpg``."""
        pair = self.pairs[number]
        said, colour = wrong(pair)
        room = max(8, (width - SIGN_WIDTH - 3) // 2)
        names = [cut_in_the_middle(shown(PurePath(one.path).name), room) for one in (pair.first, pair.second)]
        return Text.assemble(
            (f"{said:<{SIGN_WIDTH}}", rgb(colour)),
            f"{set_cell_size(names[0], room)} {'=' if pair.exact else '≈'} {names[1]}",
        )


class Copies(ModalScreen[None]):
    """Looks through the pairs of a data set, the gravest first."""

    DEFAULT_CSS = """
    Copies { background: $background; }
    Copies #copies { width: 1fr; height: 1fr; border: round $primary; border-title-style: bold;
                     border-subtitle-color: $text-muted; padding: 0 1; }
    Copies #copies-list { height: 1fr; margin-bottom: 1; }
    Copies #copies-pictures { height: 2fr; }
    Copies #copies-pictures Vertical { width: 1fr; padding: 0 1; }
    Copies Rows.-facts { height: 3; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="copies.close", tooltip="go back"),
        Binding("o", "copy", "Copy paths", id="copies.copy", tooltip="copy both paths to the clipboard"),
    ]

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__()
        self.listing = PairList(pairs)
        self.listing.styles.max_height = min(12, len(pairs))
        self.pictures = (Picture(id="copies-first"), Picture(id="copies-second"))
        self.facts = (Rows(), Rows())

    def compose(self) -> ComposeResult:
        """The list above both pictures, each with its file, part and label."""
        count = self.listing.count
        with Vertical(id="copies") as window:
            window.border_title = Text(f"Duplicate and near-duplicate images: {counted(count, 'pair', 'pairs')}")
            window.border_subtitle = Text("↑ ↓ pairs · o copy paths · esc close")
            yield self.listing
            with Horizontal(id="copies-pictures"):
                for picture, facts in zip(self.pictures, self.facts, strict=True):
                    facts.add_class("-facts")
                    yield Vertical(picture, facts)

    def on_mount(self) -> None:
        """The arrow keys work at once."""
        self.listing.focus()
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        """The words are laid out by width."""
        self.call_after_refresh(self._show)

    def action_copy(self) -> None:
        """Copies both paths, one a line."""
        pair = self.listing.pairs[self.listing.cursor]
        self.app.copy_to_clipboard(f"{pair.first.path}\n{pair.second.path}\n")
        self.notify("both paths", title="Copied")

    @on(Listing.Moved)
    def _show(self) -> None:
        pairs, at = self.listing.pairs, self.listing.cursor
        pair, following = pairs[at], pairs[at + 1 : at + 2]
        for side, (picture, facts) in enumerate(zip(self.pictures, self.facts, strict=True)):
            one = (pair.first, pair.second)[side]
            picture.show(one.path, [(other.first, other.second)[side].path for other in following])
            facts.put(_facts(one, pair, facts.content_size.width))


def _facts(one: Copy, pair: Pair, width: int) -> Text:
    folder, name = os.path.split(one.path)
    lines = [
        Text(cut_in_the_middle(shown(name), width), "bold"),
        Text(cut_in_the_middle(shown(folder), width), rgb(GREY)),
        Text.assemble(
            (f"{one.part} · ", rgb(AMBER if pair.across else GREY)),
            (shown(one.label, 60), f"bold {rgb(wrong(pair)[1])}" if pair.conflict else "bold"),
            ("" if pair.exact else f" · {pair.bits} of 256 bits differ", rgb(GREY)),
        ),
    ]
    for line in lines:
        line.truncate(max(width, 1), overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def wrong(pair: Pair) -> tuple[str, Colour]:
    """What is wrong with a pair in at most 13 cells."""
    if pair.conflict:
        return "labels differ", ROSE if pair.exact else AMBER
    if pair.across:
        return f"{pair.first.part} and {pair.second.part}", AMBER
    return f"both {pair.first.part}", GREY
