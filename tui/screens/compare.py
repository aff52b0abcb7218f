"""Compare: what runs came to, side by side, and all that can be looked at behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from rich.console import Console
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static
from textual.worker import get_current_worker

from engine.comparison.rows import part_compared
from engine.states.state import ExperimentState, condition
from engine.text import shown
from tui.compared import Compared, places_in
from tui.drawing import bands
from tui.drawing.theme import GREY, rgb
from tui.errors import unexpected
from tui.host import app_of
from tui.messages import CompareFailed, ComparisonMade
from tui.screens.frame import Mode
from tui.widgets.chart import Chart
from tui.widgets.comparison_table import ComparisonTable
from tui.widgets.confusion import ConfusionView
from tui.widgets.cost_view import CostView
from tui.widgets.detail import DetailView
from tui.widgets.dialogs import Reading, reading_width
from tui.widgets.mistakes import MistakesView
from tui.words.spec_differences import SpecDifference, side_by_side, spec_differences
from tui.work.loading import load_for_comparing

if TYPE_CHECKING:
    from pathlib import Path

    from tui.work.comparing import Marks

EMPTY = "Nothing to compare: press 1 to start a comparison, or 4 to open an earlier one."
TALL = 30
"""Rows from which on there is room below the table, and above it for more than the verdict."""
View = Literal["table", "detail", "confusion", "mistakes", "cost"]
COMPARING = "Comparing …"


class CompareScreen(Mode):
    """The verdict above a table of strategies; also while runs are still going on."""

    DEFAULT_CSS = """
    CompareScreen #compare-main { height: 1fr; padding: 0 1; }
    CompareScreen #compare-words { height: auto; margin-bottom: 1; }
    CompareScreen #compare-below { height: 1fr; min-height: 10; margin-top: 1; }
    CompareScreen #compare-differences { width: auto; max-width: 60%; text-wrap: nowrap; text-overflow: ellipsis; }
    CompareScreen #compare-chart { width: 1fr; padding-left: 2; }
    CompareScreen #compare-foot { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    CompareScreen #compare-empty { height: 1fr; padding: 0 4; content-align: center middle; text-align: center;
                                   color: $text-muted; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "p",
            "positive",
            "Positive",
            show=False,
            id="compare.positive",
            tooltip="swap the positive class",
        ),
        Binding("t", "cost", "Plot", id="compare.plot", tooltip="accuracy vs. time and memory"),
        Binding("d", "mistakes", "Images", id="compare.disagree", tooltip="compare two runs image by image"),
        Binding(
            "v", "words", "Verdict", id="compare.words", tooltip="the verdict, what was not equal, and the settings"
        ),
        Binding("m", "confusion", "Matrix", id="compare.matrix", tooltip="the confusion matrix"),
        Binding(
            "w",
            "worst",
            "Worst",
            id="compare.worst",
            tooltip="its worst mistakes over all its runs, by loss",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.empty = Static(EMPTY, markup=False, id="compare-empty")
        self.words = Static(markup=False, id="compare-words")
        self.table = ComparisonTable()
        self.differences = Static(markup=False, id="compare-differences")
        self.foot = Static(markup=False, id="compare-foot")
        self.chart = Chart(id="compare-chart")
        self.below = Horizontal(self.differences, self.chart, id="compare-below")
        self.main = Vertical(self.words, self.table, self.below, self.foot, id="compare-main")
        self.detail, self.mistakes, self.cost = DetailView(), MistakesView(), CostView()
        self.confusion = ConfusionView()
        self.view: View = "table"
        self.compared: Compared | None = None
        self.verdict, self.brief = Text(), Text()
        self.came_from: View = "table"  # to the confusion matrix
        self.wanted: View | Literal["words"] | None = None  # asked for while it was being compared
        self._seen: tuple[object, ...] | None = None

    def compose(self) -> ComposeResult:
        """The table; beside it, not shown, what it opens."""
        yield self.empty
        yield self.main
        yield self.detail
        yield self.confusion
        yield self.mistakes
        yield self.cost

    def on_mount(self) -> None:
        """Nothing is there yet."""
        self._turn_to("table")

    def on_resize(self) -> None:
        """What is below the table fits the window."""
        self._say()

    def show(self, state: ExperimentState) -> None:
        """Compares again when a run began, finished an epoch, or ended, or when others were marked."""
        app = app_of(self)
        marks = dict(app.marks)
        chosen = app.folder, marks  # not the name, which a copied folder's experiment has too
        seen = (
            chosen,
            app.positive,
            [(run.run, condition(run, state), len(run.epochs), run.parameters_total) for run in state.runs],
        )
        if seen == self._seen:
            return
        if self._seen is not None and chosen != self._seen[0]:  # what was open is of other experiments
            self.compared = None
            self._turn_to("table")
        self._seen = seen
        if state.runs or app.marks:
            if self.compared is None:
                self.empty.update(COMPARING)
            self._make(seen, state, app.folder, marks, app.positive)
        else:
            self.workers.cancel_group(self, "compare")
            self.compared, self.wanted = None, None
            self.empty.update(EMPTY)
            self._turn_to("table")

    def about(self, state: ExperimentState) -> ExperimentState:
        """What the header tells of: the experiment that is compared; of several the data alone, which is the same."""
        app = app_of(self)
        if not app.marks or list(app.marks) == [app.folder]:
            return state
        there = {one.source.folder: one.source.state for one in self.compared.runs} if self.compared else {}
        told = [there[folder] for folder in app.marks if folder in there]
        first = told[0] if told else ExperimentState()
        return first if len(told) < 2 else ExperimentState(spec=first.spec, data=first.data, decoded=first.decoded)

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False)
    def _make(
        self, asked: object, state: ExperimentState, folder: Path | None, marks: Marks, positive: str | None
    ) -> None:
        # In a thread: it reads files, and the first comparison loads scipy.
        worker = get_current_worker()
        made: ComparisonMade | CompareFailed
        try:
            load_for_comparing()
            from tui.work.comparing import compare_all  # noqa: PLC0415

            made = compare_all(state, folder, marks, positive)
        except Exception as error:
            made = CompareFailed(f"Comparison failed: {unexpected(error)}")
        made.asked = asked
        if not worker.is_cancelled:
            self.post_message(made)

    @on(ComparisonMade)
    def _made(self, message: ComparisonMade) -> None:
        if message.asked != self._seen:
            return
        self.compared, self.verdict, self.brief = message.compared, message.words, message.brief
        self.show_header(app_of(self).state)
        self.table.show(message.compared.comparison)
        wanted, self.wanted = self.wanted, None
        self._turn_to(self.view if wanted is None or wanted == "words" else wanted)
        self._say()
        self._show_view()
        self.refresh_bindings()
        if wanted == "words" and self.is_current:
            self.action_words()

    @on(CompareFailed)
    def _failed(self, message: CompareFailed) -> None:
        if message.asked != self._seen:
            return
        self.compared, self.wanted = None, None
        self.show_header(app_of(self).state)
        self.empty.update(message.reason)
        self._turn_to("table")

    def _say(self) -> None:
        """What stands above and below the table."""
        if self.compared is None:
            return
        tall = self.size.height >= TALL
        said = self.verdict if tall else self.brief
        rows = max(3, self.size.height * 4 // 10)
        self.words.styles.max_height = rows
        said = shortened(said, max(20, self.size.width - 2), rows)
        if self.words.content != said:
            self.words.update(said)
        self._place_table()
        self.below.display = tall
        if tall:
            self._show_below()
        self._explain()

    def _place_table(self) -> None:
        """The table is as high as its lines where something stands below it."""
        self.table.styles.height = (
            "1fr" if self.size.height < TALL else min(self.table.count + 1, self.size.height // 3)
        )

    def _show_below(self) -> None:
        """In what the strategies differ, and how accurate they became."""
        compared = self.compared
        if compared is None:
            return
        found = self._spec_differences()
        self.differences.display = bool(found)
        text = side_by_side(compared.strategies, found, max(20, self.size.width * 6 // 10 - 2))
        if text != self.differences.content:
            self.differences.update(text)
        runs = [(name, compared.runs_of(name)) for name in compared.strategies]
        self.chart.curves = bands.together(runs)

    def _spec_differences(self) -> tuple[SpecDifference, ...]:
        compared = self.compared
        if compared is None:
            return ()
        return spec_differences([compared.runs_of(name) for name in compared.strategies])

    @on(ComparisonTable.Moved)
    def _moved(self) -> None:
        if self.size.height >= TALL:
            self._place_table()

    @on(ComparisonTable.Chosen)
    def _explain(self) -> None:
        one = self.table.measure
        if one is not None:
            several = " · mean ± sd" if one.spread and self._has_seeds() else ""
            text = Text.assemble((f"{one.title}: ", "bold"), f"{one.words}{several}")
            if text != self.foot.content:
                self.foot.update(text, layout=False)

    def _has_seeds(self) -> bool:
        return self.compared is not None and len(self.compared.strategies) < len(self.compared.runs)

    # What it opens

    def _turn_to(self, view: View) -> None:
        """Shows one of the views and puts the keys there."""
        there = self.compared is not None
        self.view = view if there else "table"
        self.empty.display = not there
        parts = {
            "table": self.main,
            "detail": self.detail,
            "confusion": self.confusion,
            "mistakes": self.mistakes,
            "cost": self.cost,
        }
        for name, part in parts.items():
            part.display = there and name == self.view
        if not there:
            return
        match self.view:
            case "table":
                self.table.focus()
            case "detail":
                self.detail.focus()
            case "confusion":
                self.confusion.take_focus()
            case "mistakes":
                self.mistakes.take_focus()
            case "cost":
                self.cost.take_focus()

    def _show_view(self) -> None:
        """Gives the view that is shown what there is now."""
        if self.compared is None:
            return
        match self.view:
            case "detail" if self.table.current is not None:
                self.detail.show(self.compared, self.table.current)
            case "confusion":
                self.confusion.show(self.compared)
            case "mistakes":
                self.mistakes.show(self.compared)
            case "cost":
                self.cost.show(self.compared.comparison)
            case _:
                pass

    def _open(self, view: View) -> None:
        if self.compared is None:
            self.wanted = view
        else:
            self._turn_to(view)
            self._show_view()
            self.refresh_bindings()

    @on(ComparisonTable.Opened)
    def _opened(self) -> None:
        self._open("detail")
        self.detail.take_focus()

    @on(DetailView.Other)
    def _other(self, event: DetailView.Other) -> None:
        self.table.action_move(event.step)
        self._show_view()

    @on(DetailView.Cells)
    def _cells(self) -> None:
        self.action_confusion()

    @on(DetailView.Back)
    @on(CostView.Back)
    def _back(self) -> None:
        self._open("table")

    @on(MistakesView.Back)
    def _back_from_images(self) -> None:
        self._open("table" if self.mistakes.cell is None else "confusion")

    @on(ConfusionView.Back)
    def _back_from_matrix(self) -> None:
        self._open(self.came_from)

    @on(ConfusionView.Opened)
    def _cell_opened(self, event: ConfusionView.Opened) -> None:
        if self.compared is not None and self.view == "confusion":
            self._turn_to("mistakes")
            self.mistakes.show_side(self.compared, (event.place,), event.part, event.cell)
            self.refresh_bindings()

    def action_cost(self) -> None:
        """Shows accuracy against cost."""
        self._open("cost")

    def action_mistakes(self) -> None:
        """Shows the images that one of two runs, or neither, gets right."""
        self.mistakes.leave_side()
        self._open("mistakes")

    def action_worst(self) -> None:
        """Shows the images that the run under the table's cursor, or all of its strategy's, get most wrong."""
        if self.compared is None or self.table.current is None:
            return
        column = self.table.current.column
        if any(row.has_result for row in column.rows):
            self._turn_to("mistakes")
            part = part_compared(self.compared.comparison.runs)
            self.mistakes.show_side(self.compared, places_in(self.compared, column), part)
            self.refresh_bindings()
        else:
            self.notify(f"{shown(column.title, 60)} has no result yet.", severity="warning")

    def action_confusion(self) -> None:
        """Shows the confusion matrix of what is under the table's cursor."""
        if self.view not in ("table", "detail"):
            return  # asked for twice
        self.came_from = self.view
        if self.compared is not None and self.table.current is not None:
            self.confusion.show(self.compared, self.table.current.column)
        self._open("confusion")

    def action_positive(self) -> None:
        """Makes the other of two classes the positive one."""
        if self.compared is None:
            return
        app, comparison = app_of(self), self.compared.comparison
        app.positive = next(name for name in comparison.data.classes if name != comparison.positive)
        self.notify(f"Positive class: {shown(app.positive, 60)}")
        self.show(app.state)

    def action_words(self) -> None:
        """Shows all the words, and in what the strategies differ."""
        if self.compared is None:
            self.wanted = "words"
            return
        text = self.verdict.copy()
        if found := self._spec_differences():
            text.append("\n\nSettings that differ\n", "bold")
            text.append_text(side_by_side(self.compared.strategies, found, reading_width(self.size.width)))
        self.app.push_screen(Reading("Verdict", text))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the table work where it is; what it opens, but of a line of it, also while it is being made."""
        del parameters
        if action not in ("positive", "cost", "mistakes", "words", "confusion", "worst"):
            return True
        if self.view != "table" and (action, self.view) != ("confusion", "detail"):
            return False
        if self.compared is None:
            return True if action not in ("positive", "worst") and self.empty.content == COMPARING else None
        return True if action != "positive" or self.compared.comparison.positive else None


def shortened(text: Text, width: int, rows: int) -> Text:
    """The text on so many rows; where it needs more, the last one tells which key shows all of it."""
    lines = text.wrap(Console(width=width), width)
    if len(lines) <= rows:
        return text
    return Text("\n").join([*lines[: rows - 1], Text("… v shows all of it", rgb(GREY))])
