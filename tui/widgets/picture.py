"""An image file, shown as well as the terminal can."""

from __future__ import annotations

import os
import random
from asyncio import sleep
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.worker import Worker

from engine.text import shown
from tui.drawing.pictures import Drawn, Kind, draw, forget, kind_of_terminal
from tui.errors import unexpected
from tui.work.latest import Latest

PAUSE = 0.06
"""Seconds that a picture must be wanted before it is decoded: a held key passes over many."""
PATIENCE = 0.3
"""Seconds after which the picture before is taken away where the wanted one is not there yet."""
KEPT = 24
"""Pictures that a widget keeps drawn, unless it is told another number."""
Wanted = tuple[str, int, int]
"""A file and the cells that there are for it."""
_drawing = Latest[tuple[str, int, int, Kind, int], Drawn](lambda asked: draw(*asked), "pictures")
"""One thread for all widgets, so that one image at a time is decoded, and a disk that does not answer takes no more."""


class Picture(Widget):
    """Shows the file it was told last; it, and then those beside it, are decoded in a thread, one at a time.

    ``kept``: how many pictures it keeps drawn.
    """

    DEFAULT_CSS = """
    Picture { height: 1fr; width: 1fr; }
    """

    class Ready(Message):
        """The picture of the file it was told last is there, or it is known why there is none."""

    def __init__(self, *, kept: int = KEPT, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.kept = kept
        self.path = ""
        self.nearby: tuple[str, ...] = ()
        self.drawn: Drawn | None = None
        self._room = Size(0, 0)
        self._kind: Kind | None = None
        self._kept: OrderedDict[Wanted, Drawn] = OrderedDict()
        self._numbers = iter(range(random.randrange(1, 1 << 23), 1 << 24))
        self._told: set[int] = set()
        self._work: Worker[None] | None = None
        self._is_painting = False

    @property
    def kind(self) -> Kind:
        """How this terminal is shown pictures."""
        if self._kind is None:
            truecolor = self.app.console.color_system == "truecolor"
            self._kind = kind_of_terminal(os.environ, colour=not self.app.no_color, truecolor=truecolor)
        return self._kind

    @property
    def ready(self) -> Drawn | None:
        """What is drawn of the file it was told last, None where that is not there yet."""
        return self._kept.get((self.path, self._room.width, self._room.height))

    def show(self, path: str, nearby: Sequence[str] = ()) -> None:
        """Shows a file, and prepares those that are likely to be wanted next."""
        if (path, tuple(nearby)) != (self.path, self.nearby):
            self.path, self.nearby = path, tuple(nearby)
            self._look()

    def on_resize(self) -> None:
        """Fits the new size."""
        if self.content_size != self._room:
            self._room = self.content_size
            self._look()

    def on_unmount(self) -> None:
        """The terminal need not keep what it was sent."""
        self._send("".join(forget(number) for number in self._told))
        self._told.clear()

    def _look(self) -> None:
        """Puts up the picture if it is there already, else has it made."""
        if self._work is not None:
            self._work.cancel()
        if not self._room.area or not self.path:
            return
        wanted = (self.path, self._room.width, self._room.height)
        missing = [name for name in dict.fromkeys((self.path, *self.nearby)) if (name, *wanted[1:]) not in self._kept]
        if wanted in self._kept:
            self._kept.move_to_end(wanted)
            self._put(self._kept[wanted])
        else:
            self.set_timer(PATIENCE, lambda: self._give_up(wanted))
        if missing:
            kind, numbers = self.kind, [next(self._numbers) for _ in missing]
            self._work = self.run_worker(
                partial(self._make, missing, wanted[1], wanted[2], kind, numbers), group="picture", exit_on_error=False
            )

    async def _make(self, paths: Sequence[str], width: int, height: int, kind: Kind, numbers: Sequence[int]) -> None:
        await sleep(PAUSE)
        for path, number in zip(paths, numbers, strict=True):
            try:
                drawn = await _drawing.answer((path, width, height, kind, number))
            except Exception as error:
                drawn = Drawn(problem=unexpected(error))
            self._made((path, width, height), drawn)

    def _made(self, wanted: Wanted, drawn: Drawn) -> None:
        self._kept[wanted] = drawn
        while len(self._kept) > self.kept:
            _, old = self._kept.popitem(last=False)
            if old.number in self._told:
                self._told.remove(old.number)
                self._send(forget(old.number))
        if wanted == (self.path, self._room.width, self._room.height):
            self._put(drawn)

    def _give_up(self, wanted: Wanted) -> None:
        is_wanted = wanted == (self.path, self._room.width, self._room.height)
        if is_wanted and wanted not in self._kept:
            self.drawn = None
            self.refresh()

    def _put(self, drawn: Drawn) -> None:
        if drawn is self.drawn:
            return
        if drawn.kind == "kitty" and drawn.number not in self._told:
            self._told.add(drawn.number)
            self._send(drawn.out_of_band)
        self.drawn = drawn
        self.refresh()
        self.post_message(self.Ready())

    def render_line(self, y: int) -> Strip:
        """A line of the picture in the middle of what room there is, or of the words in its place."""
        width, height = self.size
        if self.drawn is None or self.drawn.problem:
            return self._words(y)
        if self.drawn.kind == "sixel" and not self._is_painting:
            self._is_painting = True
            self.call_after_refresh(self._paint)
        lines = self.drawn.lines
        top = (height - len(lines)) // 2
        if not top <= y < top + len(lines):
            return Strip.blank(width, self.rich_style)
        line = lines[y - top]
        left = max(0, (width - line.cell_length) // 2)
        blank = self.rich_style
        strip = Strip(
            [
                Segment(" " * left, blank),
                *(Segment(text, blank + style if style else blank) for text, style, _ in line),
                Segment(" " * (width - left - line.cell_length), blank),
            ]
        )
        return strip.crop(0, width)  # the window may have become smaller

    def _words(self, y: int) -> Strip:
        width, height = self.size
        if self.drawn is None:
            said = Text("reading …" if self.path else "", "dim")
        else:
            said = Text(f"cannot be shown: {shown(self.drawn.problem, 120)}", "italic")
        lines = said.wrap(self.app.console, max(1, width - 4))
        top = (height - len(lines)) // 2
        if not top <= y < top + len(lines):
            return Strip.blank(width, self.rich_style)
        line = lines[y - top]
        line.align("center", width)
        return Strip(Segment.apply_style(line.render(self.app.console, end=""), self.rich_style), width)

    def _paint(self) -> None:
        """Draws the Sixel picture over the cells that were just cleared for it."""
        self._is_painting = False
        drawn = self.drawn
        if drawn is None or drawn.kind != "sixel" or not self.is_on_screen or self.app.screen is not self.screen:
            return
        region = self.content_region
        if drawn.width > region.width or len(drawn.lines) > region.height:
            return  # as long as that of a smaller window is not there yet, which would go over what is beside it
        left = region.x + (region.width - drawn.width) // 2
        top = region.y + (region.height - len(drawn.lines)) // 2
        self._send(f"\x1b7\x1b[{top + 1};{left + 1}H{drawn.out_of_band}\x1b8")

    def _send(self, text: str) -> None:
        """Tells the terminal something that is no cell of the screen, in order with what is."""
        driver = self.app._driver
        if text and driver is not None:
            driver.write(text)
