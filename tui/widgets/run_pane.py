"""One run: what it does, how well, and its curves."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Grid
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from engine.specs.strategy import Strategy
from engine.states.state import ExperimentState, RunState, condition
from engine.text import shown
from tui.drawing.curves import CHARTS
from tui.drawing.text import told_apart, wrapped
from tui.drawing.theme import GREY, ROSE, STYLES, rgb, strategy_colours
from tui.widgets.chart import Chart
from tui.widgets.rows import Rows
from tui.widgets.schedule_preview import preview
from tui.words import run_words
from tui.words.strategies import described

HEAD_LINES = 4
CHART_HEIGHT = 7
TWO_COLUMNS = 70
LOSS, LEARNING_RATE, MEMORY = 1, 2, 3
"""Places among the charts of those that have something to show before an epoch has ended; the loss once it is known."""
BESIDE_NAME = 9
"""Cells of the upper edge that the name of a run cannot have."""
TITLES = 14
"""Cells of the column that says what a planned value is."""
MOST_LINES = 10
"""Of a planned value."""


class RunPane(Widget):
    """A run of the experiment; :meth:`show` tells it which and how it stands."""

    DEFAULT_CSS = """
    RunPane { width: 1fr; height: 1fr; border-top: solid $surface-lighten-2; border-title-color: $foreground;
              border-title-style: bold; padding: 0 1; margin-left: 1; }
    RunPane:first-child { margin-left: 0; }
    RunPane.-selected { border-top: solid $primary; border-title-color: $text-primary; }
    RunPane #head { height: 4; text-wrap: nowrap; text-overflow: ellipsis; }
    RunPane #charts { grid-size: 1; grid-gutter: 0 2; height: 1fr; }
    RunPane #words { height: 1fr; padding: 1 0; }
    RunPane.-waiting #head { height: 2; }
    RunPane.-waiting #words { height: auto; padding: 0; }
    RunPane #planned { height: 1fr; max-height: 18; margin-top: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = Rows(id="head")
        self.words = Static(id="words", markup=False)
        self.planned = Chart(id="planned")
        self._planned: Strategy | None = None
        self.charts = tuple(Chart() for _ in CHARTS)
        for chart in self.charts:
            chart.display = False  # until it is known which have room
        self.grid = Grid(*self.charts, id="charts")
        self.first_chart: int | None = None  # until a person turns to others
        self._shown: tuple[RunState, ExperimentState] | None = None
        self._drawn: list[object] = [None] * len(self.charts)
        self._room = 0
        self._fits = Size(0, 0)

    def compose(self) -> ComposeResult:
        """Four lines of words, then curves, or what is going to be done with its learning rates, or why it failed."""
        yield self.head
        yield self.words
        yield self.planned
        yield self.grid

    def show(self, run: RunState, state: ExperimentState) -> None:
        """Shows the run as it stands now."""
        before = self._shown
        self._shown = (run, state)
        if not self.content_size.area:
            self._fits = Size(0, 0)  # it has yet to be laid out, maybe as it was before
        if before is None or (before[0].run, before[1].name) != (run.run, state.name):
            self._drawn = [None] * len(self.charts)
            self.border_title = self._called(run, state)
        said = head(run, state, max(20, self.content_size.width))
        if said != self.head.content:
            self.head.put(said)
        self._say(run)
        self.grid.display = not self.words.display
        if self._room and not self.charts[self._first()].display:
            self.place_charts()
        self._draw()

    def _called(self, run: RunState, state: ExperimentState) -> Text:
        """Its strategy, as far as there is room, told apart from the others, which of its runs it is, and what network
        it has where that has room too.
        """
        part = run_words.part_of(run, state)
        names = list(dict.fromkeys(one.strategy.name for one in state.runs))
        room = (self.size.width or 58) - len(part) - BESIDE_NAME
        cut = told_apart([shown(name, run_words.MOST_NAME) for name in names], max(12, min(50, room)))
        called = Text(f"{dict(zip(names, cut, strict=True))[run.strategy.name]} · {part}")
        network = f" · {shown(run.strategy.backbone, 40)}"
        if called.cell_len + len(network) + BESIDE_NAME <= self.size.width:
            called.append(network, f"not bold {rgb(GREY)}")
        return called

    def _say(self, run: RunState) -> None:
        """Words in place of the charts: what a run is going to do, or why it failed."""
        waits = run.failure is None and run.status == "waiting"
        self.words.display = waits or run.failure is not None
        self.planned.display = waits and not run.strategy.is_probe
        self.set_class(waits, "-waiting")
        if self.planned.display and self._planned != run.strategy:
            self._planned = run.strategy
            self.planned.curves = preview(run.strategy)
        if self.words.display:
            said = failure(run) if run.failure is not None else plan(run, self.content_size.width)
            if said != self.words.content:
                self.words.update(said, layout=False)

    def _draw(self) -> None:
        """Gives the charts that are shown their curves, where what these are made of has changed."""
        if self._shown is None or not self.grid.display:
            return
        run, state = self._shown
        colour = strategy_colours(one.strategy.name for one in state.runs)[run.strategy.name]
        for number, (chart, (curves, made_of)) in enumerate(zip(self.charts, CHARTS, strict=True)):
            present = made_of(run)
            if chart.display and present != self._drawn[number]:
                self._drawn[number] = present
                chart.curves = curves(run, colour)

    def fit(self) -> None:
        """Lays out as many charts as have room, where that has changed."""
        if self.content_size == self._fits or not self.content_size.area:
            return
        self._fits = self.content_size
        if self._shown is not None:
            self.show(*self._shown)
            self.border_title = self._called(*self._shown)
        self.place_charts()

    def cycle(self) -> None:
        """Shows the next charts where not all of them have room."""
        columns, rows = layout(*self._charts_size())
        self.first_chart = (self._first() + columns * rows) % len(self.charts)
        self.place_charts()

    def _first(self) -> int:
        """The first chart that is shown: the one turned to, else one that has something to show by now."""
        columns, rows = layout(*self._charts_size())
        room = columns * rows
        if room >= len(self.charts):
            return 0
        first = self.first_chart
        if first is None and self._shown is not None and not (run := self._shown[0]).epochs:
            first = LOSS if run.losses else MEMORY if run.strategy.is_probe else LEARNING_RATE
        return (first or 0) // room * room

    def place_charts(self) -> None:
        """Shows the charts that have room."""
        columns, rows = layout(*self._charts_size())
        room = columns * rows
        first = self._first()
        for number, chart in enumerate(self.charts):
            chart.display = first <= number < first + room
        self.grid.styles.grid_size_columns = columns
        self._draw()
        if room != self._room:  # whether there are other charts to show
            self._room = room
            self.screen.refresh_bindings()

    @property
    def shows_all_charts(self) -> bool:
        """Whether there is room for every chart at once."""
        columns, rows = layout(*self._charts_size())
        return columns * rows >= len(self.charts)

    def _charts_size(self) -> tuple[int, int]:
        return self.content_size.width, self.content_size.height - HEAD_LINES


def layout(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of charts that have room: all four, two, or one."""
    columns = 2 if width >= TWO_COLUMNS else 1
    rows = max(1, height // CHART_HEIGHT)
    if columns * rows >= 4:
        return columns, 4 // columns
    return (columns, 1) if columns == 2 or rows == 1 else (1, 2)


def head(run: RunState, state: ExperimentState, width: int) -> Text:
    """Four lines of at most ``width`` cells: status with a bar, activity, results, facts; of a run that waits one."""
    status = run_words.status(run, state)
    if run.status == "waiting":
        line = Text.assemble(status, "  ", run_words.activity(run, state), no_wrap=True)
        line.truncate(width, overflow="ellipsis")
        return line
    epoch = run_words.epoch(run)
    time = run_words.time_with_features(run, state, width - status.cell_len - len(epoch) - 4)
    room = width - status.cell_len - len(epoch) - len(time) - 6
    style = STYLES[condition(run, state)].replace("bold ", "")
    first = Text.assemble(status, "  ", (epoch, ""))
    if room >= 4:
        first.append("  ")
        first.append_text(run_words.bar(run_words.overall(run), room, style))
    first.append("  ")
    first.append(time)
    lines = [first, run_words.activity(run, state), run_words.results(run), run_words.facts(run, state)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def plan(run: RunState, width: int) -> Text:
    """What a run that waits is going to do, in lines of at most ``width`` cells."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for title, value in described(run.strategy):
        lines = wrapped(shown(value, 100), max(TITLES, width - TITLES), MOST_LINES) or [""]
        text.append(f"{title:<{TITLES}}", rgb(GREY)).append(f"\n{'':{TITLES}}".join(lines)).append("\n")
    text.rstrip()
    return text


def failure(run: RunState) -> Text:
    """Why a run failed and what to do about it."""
    if run.failure is None:
        return Text("")
    text = Text.assemble(
        (f"Failed: {shown(run.failure.kind, 60)}", f"bold {rgb(ROSE)}"), "\n\n", shown(run.failure.message, 600)
    )
    if run.failure.advice:
        text.append("\n\nWhat to do: ", "bold").append(shown(run.failure.advice, 300))
    return text
