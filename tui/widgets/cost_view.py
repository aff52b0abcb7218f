"""The plot of accuracy against cost, with what its letters mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from engine.comparison.measured_parts import PART_WORDS
from engine.comparison.rows import Comparison
from engine.comparison.strategy_means import part
from tui.compared import Compared
from tui.drawing.cost_plot import COSTS, Cost, curves, in_words, key, marks
from tui.widgets.chart import Chart
from tui.widgets.view import View


class CostView(View, can_focus=True):
    """A mark a strategy; a key turns from time to memory to processor time."""

    DEFAULT_CSS = """
    CostView { padding: 0 1; }
    CostView #cost-about { height: 1; margin-top: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    CostView VerticalScroll { height: auto; max-height: 40%; }
    CostView #cost-key { height: auto; text-wrap: nowrap; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="plot.back", tooltip="back to the table"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="plot.up", tooltip="scroll the legend"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="plot.down", tooltip="scroll the legend"),
        Binding("m", "measure", "Other cost", id="plot.cost", tooltip="vs. time, memory or CPU time"),
    ]

    def __init__(self) -> None:
        super().__init__(id="cost")
        self.chart = Chart(id="cost-chart")
        self.about = Static(id="cost-about", markup=False)
        self.key = Static(id="cost-key", markup=False)
        self.letters = VerticalScroll(self.key, can_focus=False)
        self.cost: Cost = "time"
        self.comparison: Comparison | None = None

    def compose(self) -> ComposeResult:
        """The plot above the words."""
        yield self.chart
        yield self.about
        yield self.letters

    def show(self, compared: Compared) -> None:
        """Shows this comparison."""
        self.comparison = compared.comparison
        self._draw()

    def on_resize(self) -> None:
        """The words fit the width."""
        self._draw()

    def action_measure(self) -> None:
        """Turns to the next kind of cost."""
        kinds = list(COSTS)
        self.cost = kinds[(kinds.index(self.cost) + 1) % len(kinds)]
        self._draw()

    def action_scroll(self, lines: int) -> None:
        """Scrolls what the letters mean."""
        self.letters.scroll_relative(y=lines, animate=False)

    def _draw(self) -> None:
        if self.comparison is None:
            return
        found = marks(self.comparison, self.cost)
        self.chart.curves = curves(found, self.cost)
        measured_on, cost = part(self.comparison), in_words(self.cost, self.comparison)
        said = f"{PART_WORDS[measured_on]} accuracy with 95 % interval, vs. {cost}; means over runs"
        short = f"{measured_on} accuracy, 95 % interval, vs. {cost}; means"
        self.about.update(said if len(said) <= self.size.width - 2 else short)
        text = key(found, self.cost, max(20, self.size.width - 4))
        if text != self.key.content:
            self.key.update(text)
