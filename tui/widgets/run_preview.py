"""An experiment beside the list of all: words and the curves of its strategies."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize

from tui.drawing.plot import Curves
from tui.widgets.chart import Chart
from tui.widgets.rows import Rows


class RunPreview(Container):
    """Words, and beside or below them a chart; :meth:`show` tells the words for the width that they have."""

    DEFAULT_CSS = """
    RunPreview { border-top: solid $surface-lighten-2; border-title-color: $text-muted; border-title-style: bold; }
    RunPreview > Rows { width: 1fr; height: 1fr; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.words = _Words()
        self.chart = Chart()

    def compose(self) -> ComposeResult:
        """Words first."""
        yield self.words
        yield self.chart

    def show(self, title: str, said: Callable[[int], Text]) -> None:
        """Shows another experiment; its curves come when they are read (:meth:`draw`)."""
        self.border_title = Text(title)
        self.words.say(said)

    def clear(self) -> None:
        """Shows no curves until they are read, rather than another's."""
        self.chart.curves = None

    def draw(self, curves: Curves | None) -> None:
        """Shows its curves; None where there are none: then the words have their room."""
        self.chart.curves = curves
        self.chart.display = curves is not None


class _Words(Rows):
    def __init__(self) -> None:
        super().__init__()
        self._said: Callable[[int], Text] = lambda _: Text()

    def say(self, said: Callable[[int], Text]) -> None:
        self._said = said
        self._put()

    def _put(self) -> None:
        if width := self.content_size.width:
            self.put(self._said(width))

    def on_resize(self, event: Resize) -> None:
        """Fits the new width."""
        del event
        self._put()
