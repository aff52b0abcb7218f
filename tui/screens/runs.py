"""Runs: every earlier experiment in the folder of experiments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widgets import Static
from textual.worker import get_current_worker

from engine.history.experiment_state import requested_experiment
from engine.history.summaries import Summary
from engine.specs.spec import Experiment
from engine.text import shown
from engine.units import percent_range
from tui.drawing.text import cut_in_the_middle
from tui.errors import told
from tui.host import app_of
from tui.screens.deleting import delete
from tui.screens.frame import Mode
from tui.screens.marking_runs import mark_runs
from tui.screens.noting import note_on
from tui.screens.reusing import reuse
from tui.widgets.dialogs import Question, Reading
from tui.widgets.filter_line import FilterLine
from tui.widgets.run_preview import RunPreview
from tui.widgets.runs_table import RunsTable
from tui.words.preview import preview
from tui.words.spec_differences import unlike
from tui.words.summaries import detail, earlier, matching, of_marks, this_year
from tui.work.marking import Marking
from tui.work.previewing import drawing
from tui.work.reading_runs import read_runs

if TYPE_CHECKING:
    from engine.states.state import ExperimentState

HIGH, WIDE = 30, 150
"""Rows from which on there is room for a preview below the list, and columns from which on there is beside it."""
PREVIEW_PAUSE = 0.1
"""Seconds for which the cursor rests before curves are read: a held key passes over many experiments."""
READ_EVERY = 3.0
"""Seconds after which the folder is looked at again for what others began or went on with."""


class RunsScreen(Mode):
    """The experiments, and the one under the cursor: a preview, or in a small window where it is and why it ended."""

    DEFAULT_CSS = """
    RunsScreen #runs-empty {
        height: 1fr; padding: 0 4; content-align: center middle; text-align: center; color: $text-muted;
    }
    RunsScreen #runs-detail { height: 2; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    RunsScreen #runs-body, RunsScreen #runs-list { height: 1fr; }
    RunsScreen.-below RunPreview { height: 1fr; layout: horizontal; }
    RunsScreen.-below.-previewing #runs-list { height: auto; min-height: 30%; max-height: 60%; }
    RunsScreen.-below.-previewing RunsTable { height: auto; }
    RunsScreen.-beside #runs-body { layout: horizontal; }
    RunsScreen.-beside RunPreview { width: 37%; margin-left: 1; }
    RunsScreen.-beside Chart { max-height: 16; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", id="runs.mark", tooltip="mark or unmark the experiment for Compare"),
        Binding("c", "compare", "Compare", id="runs.compare", tooltip="compare the marked experiments, or this one"),
        Binding("l", "live", "Live", id="runs.live", tooltip="open the experiment in Live"),
        Binding(
            "slash",
            "filter",
            "Find",
            key_display="/",
            id="runs.filter",
            tooltip="filter by name, note, data, strategy or state",
        ),
        Binding("escape", "clear_filter", "Show all", id="runs.clear-filter", tooltip="clear the filter"),
        Binding(
            "v",
            "differs",
            "Differs",
            show=False,
            id="runs.differs",
            tooltip="all settings that differ from the previous experiment on its data, or from the marked one",
        ),
        Binding("u", "reuse", "Reuse", id="runs.reuse", tooltip="load its settings into Setup for a new experiment"),
        Binding("n", "note", "Note", id="runs.note", tooltip="write a note on it"),
        Binding(
            "delete,backspace",
            "delete",
            "Delete",
            key_display="del",
            id="runs.delete",
            tooltip="delete the experiment's folder (asks first)",
        ),
        Binding("m", "mark_runs", "Mark runs", id="runs.mark-runs", tooltip="mark individual runs of the experiment"),
        Binding("x", "unmark", "Unmark all", show=False, id="runs.unmark", tooltip="clear all marks"),
        Binding("r", "refresh", "Refresh", id="runs.refresh", tooltip="look for new experiments and results"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.table = RunsTable(id="runs")
        self.table.display = False
        self.empty = Static("reading …", markup=False, id="runs-empty")
        self.filter = FilterLine("name, note, data, strategy or state", id="runs-filter")
        self.preview = RunPreview(id="runs-preview")
        self.detail = Static(markup=False, id="runs-detail")
        self.known: tuple[Summary, ...] = ()
        self.has_read = False
        self.marking = Marking(self, self._show_marks, partial(self.call_later, self.action_compare))
        self._last_seen: object = None
        self._drawn: tuple[Path, object] | None = None  # whose curves the preview has, and of when

    def compose(self) -> ComposeResult:
        """The table, or what to do where there is nothing to show."""
        with Container(id="runs-body"):
            yield Vertical(self.table, self.empty, self.filter, id="runs-list")
            yield self.preview
        yield self.detail

    def on_mount(self) -> None:
        """Looks again every few seconds; logs that have not changed are not read."""
        self.set_interval(READ_EVERY, self._look_again)

    def _look_again(self) -> None:
        reads = any(one.is_running and one.node is self and one.group == "runs" for one in self.workers)
        if self.is_current and not reads:
            self.action_refresh()

    def on_screen_resume(self) -> None:
        """Reads the list again at every visit."""
        self.marking.stop_waiting()
        self.action_refresh()

    def on_resize(self) -> None:
        """A preview where it has room; the folder's name fits the width."""
        beside = self.size.width >= WIDE
        self.set_class(beside, "-beside")
        self.set_class(not beside and self.size.height >= HIGH, "-below")
        self._say()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing can be done with an experiment before there is one; in the filter keys are typed."""
        del parameters
        match action:
            case "filter" | "note" | "mark" if self.filter.is_typed_in:
                return False
            case "live" | "mark" | "mark_runs" | "differs" | "reuse" | "note" | "delete":
                return None if self.table.current is None else True
            case "compare":
                return None if self.table.current is None and not app_of(self).marks else True
            case "unmark" | "filter":
                return None if not self.known else True
            case "clear_filter":
                return self.filter.display
            case _:
                return True

    def show(self, state: ExperimentState) -> None:
        """Looks again when an epoch or the experiment ended."""
        seen = (app_of(self).folder, state.end, sum(len(run.epochs) for run in state.runs))
        if seen != self._last_seen:
            self._last_seen = seen
            self._look_again()

    def action_refresh(self) -> None:
        """Reads the logs that have changed."""
        self._read(app_of(self).out, self.known)

    async def action_compare(self) -> None:
        """Compares what is marked, or where nothing is the experiment under the cursor."""
        if self.marking.must_wait():
            return
        if app_of(self).marks:
            await app_of(self).action_go("compare")
        else:
            await self._open("compare")

    async def action_live(self) -> None:
        """Opens the experiment under the cursor in Live."""
        await self._open("live")

    def action_mark(self) -> None:
        """Marks the experiment under the cursor, or takes its mark away."""
        if (summary := self._markable()) is not None:
            self.marking.turn(summary.folder)

    def action_mark_runs(self) -> None:
        """Asks which of the experiment's runs to mark."""
        if (summary := self._markable()) is not None:
            mark_runs(self, self.marking, summary.folder)

    def action_unmark(self) -> None:
        """Takes all marks away."""
        self.marking.clear()

    def action_filter(self) -> None:
        """Goes to the line whose words narrow the list."""
        self.filter.open()
        self._narrow()

    def action_leave_filter(self) -> None:
        """Goes back back to the list, still filtered if anything was typed."""
        if self.filter.words:
            self._narrow()
            self._focus_list()
        else:
            self.action_clear_filter()

    def action_clear_filter(self) -> None:
        """Shows every experiment again."""
        self._focus_list()
        self.filter.close()
        self._narrow()

    def action_move(self, step: int) -> None:
        """Goes to the next experiment (1), or to the one before (-1)."""
        if self.filter.is_waiting:
            self._narrow()
        self.table.move_cursor(row=self.table.cursor_row + step, animate=False)

    def action_differs(self) -> None:
        """Shows all that the experiment was asked for otherwise than the marked one, or than the one before it."""
        if (summary := self.table.current) is None:
            return
        marked = [one for one in self.known if one.folder in app_of(self).marks and one.folder != summary.folder]
        other = marked[0] if len(marked) == 1 else earlier(self.known, summary)
        if summary.spec is None or other is None or other.spec is None:
            self.notify("No earlier experiment on this data. Mark one (space) to compare settings.")
            return
        said = unlike(other.spec, summary.spec) or ("same settings",)
        title = f"Compared with {shown(other.name, 60)}"
        self.app.push_screen(Reading(title, Text("\n".join(f"· {part}" for part in said))))

    def action_reuse(self) -> None:
        """Loads the settings of the experiment into Setup."""
        if (summary := self.table.current) is not None:
            self._read_settings(summary)

    @work(thread=True, exclusive=True, group="ask", exit_on_error=False)
    def _read_settings(self, summary: Summary) -> None:
        with told(self, "Its settings cannot be read"):
            experiment = requested_experiment(summary.folder)
            self.app.call_from_thread(self._set_up, experiment, summary.name)

    def _set_up(self, experiment: Experiment, name: str) -> None:
        if self.is_current:  # the person may have gone on meanwhile
            reuse(app_of(self), experiment, name)

    async def action_note(self) -> None:
        """Asks for the note on the experiment; what is typed next is meant for that window."""
        if (summary := self.table.current) is not None:
            await note_on(self, summary, summary.note, self.action_refresh)

    def action_delete(self) -> None:
        """Asks, then deletes the experiment's folder."""
        if (summary := self.table.current) is not None:
            delete(self, summary.folder, partial(self._deleted, summary.folder))

    def _deleted(self, folder: Path) -> None:
        self.marking.unmark(folder)
        app_of(self).forget(folder)
        self.action_refresh()

    def _markable(self) -> Summary | None:
        summary = self.table.current
        if summary is None or summary.strategies:
            return summary
        self.notify(f"{shown(summary.name)}: {shown(summary.problem)}", severity="warning")
        return None

    def _show_marks(self) -> None:
        self.table.mark(app_of(self).marks)
        self._say()

    @on(RunsTable.RowSelected)
    async def _selected(self, message: RunsTable.RowSelected) -> None:
        self.table.move_cursor(row=message.cursor_row)  # keys that came later may have moved it
        summary = self.table.current
        if summary is None or summary.status != "interrupted":
            await self._open("compare" if summary is not None and self._is_to_compare(summary) else "live")
            return
        reached = summary.reached.items()
        best = ", ".join(f"{shown(name, 60)} {percent_range(some)}" for name, some in reached if some)
        so_far = f"Best validation accuracy so far: {best}" if best else "No epoch finished."
        self.app.push_screen(
            Question(
                "Resume this experiment?",
                f"{shown(summary.name)} was interrupted.\n{so_far}\nIt resumes exactly where it stopped.",
                "Resume (y)",
                "Just view (n)",
            ),
            partial(self._answered, summary),
        )

    def _is_to_compare(self, summary: Summary) -> bool:
        """Whether Compare has what is wanted of it: results, and nobody goes on with it; and would not show others."""
        marks = app_of(self).marks
        return (
            summary.status in ("finished", "stopped")
            and bool(summary.best)
            and summary.folder in (marks or {summary.folder})
        )

    async def _answered(self, summary: Summary, resume: bool | None) -> None:
        if resume:
            await app_of(self).lifecycle.resume(summary.folder)
        elif resume is False:
            await app_of(self).open_experiment(summary.folder)

    @on(RunsTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._say()

    async def _open(self, mode: Literal["live", "compare"]) -> None:
        summary = self.table.current
        if summary is None:
            return
        if summary.status == "damaged":
            self.notify(f"{shown(summary.name)}: {shown(summary.problem)}", severity="warning")
            return
        await app_of(self).open_experiment(summary.folder, mode)

    @work(thread=True, exclusive=True, group="runs")
    def _read(self, out: Path, known: Sequence[Summary]) -> None:
        worker = get_current_worker()
        with told(self, "Runs"):
            show = partial(self.app.call_from_thread, self._put)
            read_runs(out, known, show, lambda: not worker.is_cancelled)

    def _put(self, summaries: tuple[Summary, ...]) -> None:
        if summaries == self.known and self.has_read:
            return
        self.has_read = True
        self.known = summaries
        self.table.mark(app_of(self).marks)
        self._narrow()

    @on(FilterLine.Changed)
    def _narrow(self) -> None:
        """Shows the experiments that the filter leaves."""
        found = matching(self.known, self.filter.words)
        if not self.filter.is_typed_in and not found:
            self.set_focus(None)  # else hiding the list would put the cursor into the filter
        self.table.display, self.empty.display = bool(found), not found
        self.empty.update(self._nothing())
        if found != self.table.summaries:  # of thousands, drawing takes long
            self.table.put(found)
        self.filter.say(len(found), len(self.known))
        if not self.filter.is_typed_in:
            self._focus_list()
        self._say()
        self.refresh_bindings()

    def _focus_list(self) -> None:
        self.set_focus(self.table if self.table.display else None)

    def _nothing(self) -> str:
        if self.known:
            return f"No experiment matches {shown(' '.join(self.filter.words), 100)!r}.\nEsc clears the filter."
        out = cut_in_the_middle(shown(str(app_of(self).out)), 50)
        return f"No experiments in {out} yet.\nPress 1 for Setup, then Enter to start the first one."

    def _say(self) -> None:
        summary, marked = self.table.current, len(app_of(self).marks)
        has_preview = self.has_class("-beside") or self.has_class("-below")
        self.preview.display = has_preview and summary is not None
        self.set_class(self.preview.display, "-previewing")
        self.detail.display = not has_preview or bool(marked)
        self.detail.styles.height = 1 if has_preview else 2
        if summary is None:
            self.detail.update("", layout=False)
        elif not has_preview:
            width = max(20, self.size.width - 2)
            self.detail.update(detail(self.known, summary, marked, width, this_year()), layout=False)
        else:
            self.detail.update(of_marks(marked), layout=False)
            title = cut_in_the_middle(shown(str(summary.folder)), max(20, self.preview.size.width - 4))
            self.preview.show(title, partial(preview, self.known, summary, year=this_year()))
            self._show_curves(summary)

    def _show_curves(self, summary: Summary) -> None:
        before, self._drawn = self._drawn, (summary.folder, summary.stamp)
        if before is None or before[0] != summary.folder:
            self.preview.clear()
        if before != self._drawn:
            self._draw(summary.folder)

    @work(exclusive=True, group="preview", exit_on_error=False)
    async def _draw(self, folder: Path) -> None:
        await asyncio.sleep(PREVIEW_PAUSE)
        curves = await drawing.answer(folder)
        if (summary := self.table.current) is not None and summary.folder == folder:
            self.preview.draw(curves)
