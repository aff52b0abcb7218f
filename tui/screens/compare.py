"""Compare: what runs came to, side by side, and all that can be looked at behind it."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import ClassVar, Literal

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from engine.comparison.rows import part_compared
from engine.states.state import ExperimentState
from engine.text import shown
from tui.compared import Compared, places_in, standing
from tui.errors import unexpected
from tui.host import app_of
from tui.messages import CompareFailed, ComparisonMade, ComparisonStands
from tui.screens.frame import Mode
from tui.widgets.comparison_table import ComparisonTable
from tui.widgets.confusion import ConfusionView
from tui.widgets.cost_view import CostView
from tui.widgets.detail import DetailView
from tui.widgets.dialogs import Reading
from tui.widgets.mistakes import MistakesView
from tui.widgets.table_view import TableView
from tui.widgets.view import View
from tui.work.latest import Latest
from tui.work.loading import load_for_comparing
from tui.work.turns import CompareQuery, Turn

EMPTY = "Nothing to compare: press 1 to start a comparison, or 4 to open an earlier one."
COMPARING = "Comparing …"
ViewName = Literal["table", "detail", "confusion", "mistakes", "cost"]
LOOK_EVERY = 3.0
"""Seconds after which the logs of marked experiments that are not over are looked at again."""


def _answer(asked: CompareQuery) -> ComparisonMade | CompareFailed | ComparisonStands:
    try:
        load_for_comparing()  # scipy, for the first one
        from tui.work.comparing import compare_all  # noqa: PLC0415

        return compare_all(*asked)
    except Exception as error:
        return CompareFailed(f"Comparison failed: {unexpected(error)}")


_comparing = Latest[CompareQuery, ComparisonMade | CompareFailed | ComparisonStands](_answer, "comparing")
"""One thread, however often something else is to be compared."""


class CompareScreen(Mode):
    """Compares, also while runs are still going on, and shows one of five views of it."""

    DEFAULT_CSS = """
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
        # the table's own key, where that has no focus: while what it shows is being made
        Binding("enter", "detail", "Open", id="compare.detail", tooltip="details of this strategy or run"),
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
        self.main = TableView()
        self.table = self.main.table
        self.detail, self.confusion, self.mistakes = DetailView(), ConfusionView(), MistakesView()
        self.views: dict[ViewName, View] = {
            "table": self.main,
            "detail": self.detail,
            "confusion": self.confusion,
            "mistakes": self.mistakes,
            "cost": CostView(),
        }
        self.view: ViewName = "table"
        self.compared: Compared | None = None
        self.came_from: ViewName = "table"  # to the confusion matrix
        self.wanted: ViewName | Literal["words"] | None = None  # asked for while it was being compared
        self._seen: tuple[object, ...] | None = None
        self._turn: Turn | None = None  # the latest comparison that was asked for

    def compose(self) -> ComposeResult:
        """The table; beside it, not shown, what it opens."""
        yield self.empty
        yield from self.views.values()

    def on_mount(self) -> None:
        """Nothing is there yet; what is marked is looked at every few seconds."""
        self._turn_to("table")
        self.set_interval(LOOK_EVERY, self._look_again)

    def on_screen_resume(self) -> None:
        """The logs of marked experiments may tell more than at the last visit."""
        if self._seen is not None and app_of(self).marks:
            self._compare()

    def _look_again(self) -> None:
        """Compares what marked experiments that are not over tell now; of the one that is open its states come."""
        are_over = self.compared is None or all(one.source.state.end is not None for one in self.compared.runs)
        if self.is_current and app_of(self).marks and not are_over:
            self._compare()

    def on_resize(self) -> None:
        """What is around the table fits the window."""
        self.main.fit()

    def show(self, state: ExperimentState) -> None:
        """Compares again when a run began, finished an epoch, or ended, or when others were marked."""
        app = app_of(self)
        chosen = app.folder, dict(app.marks)  # not the name, which a copied folder's experiment has too
        seen = chosen, app.positive, [standing(run, state) for run in state.runs]
        if seen == self._seen:
            return
        if self._seen is not None and chosen != self._seen[0]:  # what was open is of other experiments
            self.compared, self.wanted = None, None
            self._turn_to("table")
        self._seen = seen
        if state.runs or app.marks:
            self._compare()
        else:
            self.workers.cancel_group(self, "compare")
            self._turn = None
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

    def _compare(self) -> None:
        """Compares as things are now, or once it may."""
        app, now, last = app_of(self), monotonic(), self._turn
        query = CompareQuery(app.state, app.folder, dict(app.marks), app.positive)
        if last is not None and query.is_of_same(last.query):
            if wait := last.wait(now, trains=app.state.end is None):
                last.is_due = True
                if wait < inf:
                    self.set_timer(wait, self._compare_if_due)
                return
            query = query._replace(before=self.compared)
        self._turn = Turn(query, now)
        if self.compared is None:
            self.empty.update(COMPARING)
        self._make(self._turn)

    def _compare_if_due(self) -> None:
        if self._turn is not None and self._turn.is_due:
            self._compare()

    @property
    def _is_making(self) -> bool:
        """Whether the first comparison of what is chosen is being made."""
        return self.empty.content == COMPARING

    @work(exclusive=True, group="compare")
    async def _make(self, turn: Turn) -> None:
        made = await _comparing.answer(turn.query)  # unless something else is asked for before that
        turn.end(monotonic())
        if not self.app.is_running:  # it ends, and other screens have gone
            return
        self.call_later(self._compare_if_due)
        match made:
            case ComparisonMade():
                self._put(made)
            case CompareFailed(reason):
                self.compared, self.wanted = None, None
                self.show_header(app_of(self).state)
                self.empty.update(reason)
                self._turn_to("table")

    def _put(self, made: ComparisonMade) -> None:
        self.compared = made.compared
        self.show_header(app_of(self).state)
        self.main.answer, self.main.verdict, self.main.brief = made.answer, made.words, made.brief
        self.main.show(self.compared)  # also where it is not in sight: the others are of its lines
        wanted, self.wanted = self.wanted, None
        self._open(self.view if wanted is None or wanted == "words" else wanted)
        if wanted == "words" and self.is_current:
            self.action_words()

    def _turn_to(self, view: ViewName) -> None:
        """Shows one of the views and puts the keys there."""
        there = self.compared is not None
        self.view = view if there else "table"
        self.empty.display = not there
        for name, part in self.views.items():
            part.display = there and name == self.view
        if there:
            self.views[self.view].take_focus()

    def _show_view(self) -> None:
        """Gives the view that is shown what there is now."""
        if self.compared is not None:
            self.detail.line = self.table.current
            self.views[self.view].show(self.compared)

    def _open(self, view: ViewName) -> None:
        if self.compared is None:
            self.wanted = view
        else:
            self._turn_to(view)
            self._show_view()
            self.refresh_bindings()

    @on(ComparisonTable.Opened)
    def action_detail(self) -> None:
        """Shows the details of what is under the table's cursor."""
        if self.compared is None and not self._is_making:
            return
        self._open("detail")
        self.detail.to_top()

    @on(DetailView.Other)
    def _other(self, event: DetailView.Other) -> None:
        self.table.action_move(event.step)
        self._show_view()

    @on(DetailView.Cells)
    def _cells(self) -> None:
        self.action_confusion()

    @on(View.Back)
    def _back(self, event: View.Back) -> None:
        if event.view is self.confusion:
            self._open(self.came_from)
        elif event.view is self.mistakes and self.mistakes.cell is not None:
            self._open("confusion")
        else:
            self._open("table")

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
        self.app.push_screen(Reading("Verdict", self.main.in_full()))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the table work where it is; what it opens, but of a line of it, also while it is being made."""
        del parameters
        if action == "detail":
            return self.view == "table" and (self.compared is not None or self._is_making)
        if action not in ("positive", "cost", "mistakes", "words", "confusion", "worst"):
            return True
        if self.view != "table" and (action, self.view) != ("confusion", "detail"):
            return False
        if self.compared is None:
            return True if action not in ("positive", "worst") and self._is_making else None
        return True if action != "positive" or self.compared.comparison.positive else None
