"""Setup: choose the data and the strategies, then start."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static

from engine.errors import UserError
from engine.logs.events import Forecast
from engine.specs.presets import known_strategies, presets
from engine.specs.spec import DataSource, Experiment, changed, default_experiment, with_absolute_paths
from engine.specs.strategy import Strategy, settings
from engine.text import shown
from tui.host import app_of
from tui.screens.frame import Mode
from tui.widgets.data_picker import DataPicker
from tui.widgets.field import Field
from tui.widgets.order import all_caught_up
from tui.widgets.path_input import PathInput
from tui.widgets.run_options import RunOptions
from tui.widgets.schedule_preview import SchedulePreview, nothing_learnt
from tui.widgets.start_line import LOOKING, RUNNING, SEEKING, STARTING, StartLine, planned
from tui.widgets.strategy_form import OTHER_SIZE, StrategyForm, with_value
from tui.widgets.strategy_list import StrategyList
from tui.words.plan import images_found, plan, reached_before
from tui.words.strategies import of_parameter

if TYPE_CHECKING:
    from pathlib import Path

    from engine.states.state import ExperimentState
    from tui.work.foretelling import Earlier

ROOMY = 36
"""Rows from which on there is room for the plan."""
STOP_FIRST = "an experiment is already running; stop it first (2, then s)"


class SetupScreen(Mode):
    """The data, the strategies, what holds for every run, and the highlighted strategy's parameters."""

    DEFAULT_CSS = """
    SetupScreen #setup { height: 1fr; }
    SetupScreen #setup > Vertical { width: 1fr; height: 1fr; }
    SetupScreen #setup > #left { margin: 0 1 0 0; }
    SetupScreen #data-panel { height: 1fr; max-height: 18; }
    SetupScreen .panel {
        border-top: solid $surface-lighten-2; border-title-color: $text-muted; border-title-style: bold;
    }
    SetupScreen .panel:focus-within { border-top: solid $primary; border-title-color: $text-primary; }
    SetupScreen #strategies-panel { height: auto; max-height: 10; }
    SetupScreen #run-panel { height: auto; }
    SetupScreen #plan-panel { height: auto; }
    SetupScreen #plan { height: auto; padding: 0 1; }
    SetupScreen.-narrow .field-note { display: none; }
    SetupScreen.-narrow .-wrong > .field-note { display: block; }
    SetupScreen.-low RunOptions { height: 3; overflow-y: auto; scrollbar-size-vertical: 1; }
    SetupScreen #parameters-panel { height: 15fr; max-height: 19; }
    SetupScreen #still { height: 1; padding: 0 1; color: $text-warning; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    AUTO_FOCUS = "#strategies"  # at once: keys that were typed before are no text for the first field

    BINDINGS: ClassVar[list[BindingType]] = [
        # Some with priority: a widget in which a person may be has the same key.
        Binding(
            "ctrl+r,f5",
            "start",
            "Start",
            show=False,
            priority=True,
            id="setup.start",
            tooltip="start the comparison from any field",
        ),
        Binding(
            "slash",
            "path",
            "Path",
            key_display="/",
            id="setup.path",
            tooltip="edit the data path (PgDn scrolls the findings)",
        ),
        Binding("ctrl+o", "browse", "Browse", id="setup.browse", tooltip="pick the data from a folder tree"),
        Binding("r", "rank", "Rank", id="setup.rank", tooltip="rank backbones on the data, before training"),
        Binding("b", "other_size", "Size", id="setup.size", tooltip="MobileNetV3: the small or the large backbone"),
        Binding("c", "classes", "Classes", id="setup.classes", tooltip="show the images of each class"),
        Binding(
            "g",
            "split",
            "By group",
            show=False,
            id="setup.split",
            tooltip="split by group (--split grouped), or undo",
        ),
        Binding(
            "t",
            "test",
            "Test",
            show=False,
            id="setup.test",
            tooltip="hold out a test set (--test-fraction), or undo",
        ),
        Binding(
            "p",
            "groups",
            "Use groups",
            show=False,
            id="setup.groups",
            tooltip="use the groups that file names or a column suggest",
        ),
        Binding(
            "i",
            "images",
            "Copies",
            show=False,
            id="setup.images",
            tooltip="find duplicate images, then show them",
        ),
        Binding(
            "escape", "leave", "Strategies", id="setup.leave", tooltip="back to the strategies, where single keys work"
        ),
        Binding(
            "tab",
            "next_field",
            show=False,
            priority=True,
            id="setup.tab",
            tooltip="next field (shift+tab: previous)",
        ),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
        Binding("up", "move_field(-1)", "Previous field", show=False, priority=True, id="setup.previous"),
        Binding("down", "move_field(1)", "Next field", show=False, priority=True, id="setup.next"),
    ]

    def __init__(self, experiment: Experiment | None = None) -> None:
        super().__init__()
        known, self.problem_with_known = _known()
        self.experiment = experiment or default_experiment(known)
        self.strategies = StrategyList(known, self.experiment.strategies, id="strategies")
        self.data = DataPicker(self.experiment.data, id="data")
        self.options = RunOptions(self.experiment, id="options")
        self.form = StrategyForm(self.experiment.strategies[0], id="parameters")
        self.preview = SchedulePreview(id="preview")
        self.still = Static(markup=False, id="still")
        self.still.display = False
        self.plan = Static(markup=False, id="plan")
        self.plan_panel = _panel("Plan", self.plan, id_="plan-panel")
        self.plan_panel.display = False
        self.start_line = StartLine()
        self._resumed = False
        self._earlier: Earlier | None = None  # what is known of runs before
        self._said_of = False, False  # whether anything was being started here, and trained
        self._entered_in: tuple[Input, DataSource] | None = None
        self._first = self._written  # what it began with

    def compose(self) -> ComposeResult:
        """Left what is compared, right the highlighted strategy, below what would start, or why it cannot."""
        with Horizontal(id="setup"):
            with Vertical(id="left"):
                yield _panel("Data", self.data, id_="data-panel")
                unknown = Static(shown(self.problem_with_known), markup=False, classes="-problem")
                unknown.display = bool(self.problem_with_known)
                yield _panel("Strategies", unknown, self.strategies, id_="strategies-panel")
                yield _panel("All runs", self.options, id_="run-panel")
                yield self.plan_panel
            with Vertical(id="right"):
                yield _panel(self.form.strategy.name, self.form, id_="parameters-panel")
                yield self.still
                yield self.preview
        yield self.start_line

    def on_mount(self) -> None:
        """The first strategy is under the cursor; what can be started follows what trains here."""
        self.set_interval(1, self._follow_hosting)
        self.strategies.highlighted = list(self.strategies.strategies).index(self.experiment.strategies[0].name)
        self._say()

    def on_screen_resume(self) -> None:
        """Says what can be started now; the first time goes on once the first frame is on the terminal."""
        if not self._resumed:
            self._resumed = True
            self.call_after_refresh(self._complete)
        else:
            self.strategies.seek_again()  # meanwhile an experiment may have fetched weights
            self._say()
            self._read_earlier()
            if not app_of(self).hosting.is_busy:
                self.data.check_images()  # which starting stopped, where nothing came of it

    async def _complete(self) -> None:
        """Adds what the first frame did not wait for: most of the widgets, and what is in the data."""
        self.data.look()
        await self.options.complete()
        await self.form.complete()
        self._describe(self.strategies.current or self.form.strategy)
        self._seek_weights()
        self._read_earlier()

    @property
    def _written(self) -> object:
        """All that is typed, chosen and ticked, be it right or wrong."""
        strategies = dict(self.strategies.strategies), set(self.strategies.ticked), dict(self.form.problems)
        return *strategies, self.data.source, self.options.values

    @property
    def is_unsaved(self) -> bool:
        """Whether it holds what it did not begin with, and what was started last here is not that."""
        if self._written == self._first:
            return False
        host = app_of(self).hosting.host
        try:
            return host is None or with_absolute_paths(self.asked()) != host.experiment
        except UserError:
            return True

    def on_resize(self) -> None:
        """The plan where it has room."""
        self._show_plan()

    def show(self, state: ExperimentState) -> None:
        """Nothing of an experiment is shown here but whether one trains, which no event tells."""
        del state

    async def action_start(self) -> None:
        """Starts the comparison as the keys before have left it, or says why not."""
        await all_caught_up(self.focused or self)
        await self.options.looked()
        hosting = app_of(self).hosting
        if hosting.is_busy and not hosting.is_training:
            return
        problem = self._problem()
        if hosting.is_training:
            problem = STOP_FIRST
        elif not problem and self.data.found is None:
            problem = "still reading the data"
        elif not problem:
            try:
                asked = self.asked()
                self.data.stop_checking()
                self.set_focus(self.strategies)  # at once: the keys that come next are meant for no field
                await app_of(self).lifecycle.start(asked)
            except UserError as error:
                problem = str(error)
        self._say(problem)
        if problem:
            self.app.bell()

    def asked(self) -> Experiment:
        """The experiment as it is set up now; :class:`UserError` where it cannot be."""
        return self.options.applied(changed(self.experiment, strategies=self.strategies.chosen, data=self.data.source))

    def _problem(self) -> str:
        if self.data.problem:
            return "the data cannot be used"
        for label, problem in (self.form.problems | self.options.problems).items():
            return f"{label}: {problem}"
        return "" if self.strategies.chosen else "no strategy selected: space ticks one"

    async def action_browse(self) -> None:
        """Opens the folder tree where the path points, or at the root where no disk answers."""
        from tui.screens.pick_folder import PickFolder, nearest  # noqa: PLC0415 - not needed for the first frame

        self.app.push_screen(PickFolder(await nearest(self.data.source.path)), self._picked)

    def _picked(self, path: Path | None) -> None:
        if path is not None:
            self.data.put(path)

    def action_path(self) -> None:
        """Goes to the path of the data, which typing replaces."""
        self.data.take_focus()

    def action_other_size(self) -> None:
        """Changes the highlighted strategy between the small and the large MobileNetV3."""
        strategy = self.strategies.current
        if strategy is not None and strategy.backbone in OTHER_SIZE:
            other = with_value(strategy, "backbone", OTHER_SIZE[strategy.backbone])
            self.strategies.put(other)
            self._present(other)
            self._say()

    def action_split(self) -> None:
        """From the given split to one that keeps groups whole, and back."""
        self.data.turn_split()

    def action_test(self) -> None:
        """Sets images apart for a test, and back."""
        self.data.turn_test()

    def action_groups(self) -> None:
        """Takes the groups that names or a column suggest."""
        self.data.take_proposed()

    def action_images(self) -> None:
        """Looks for images that are there twice, and then shows them."""
        if pairs := self.data.copies:
            from tui.screens.copies import Copies  # noqa: PLC0415 - not needed for the first frame

            self.app.push_screen(Copies(pairs))
        else:
            self.data.check_images(asked=True)

    def action_classes(self) -> None:
        """Shows the images of each class."""
        from tui.screens.classes import Classes  # noqa: PLC0415 - not needed for the first frame

        self.app.push_screen(Classes(self.data.source, self.data.copies))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The small or large backbone is a choice for MobileNetV3 alone; only a field can be left, and a slash is typed
        there; groups must be known for a split that keeps them whole. Tab completes a path; ↑ and ↓ move in a list.
        """
        del parameters
        can: bool | None = True
        match action:  # asked for every key that is shown, so nothing is looked at that another key is about
            case "split":
                can = self.data.may_be_grouped
            case "test":
                can = self.data.may_be_tested
            case "groups":
                can = bool(self.data.proposed)
            case "images":
                can = self.data.may_be_checked or bool(self.data.copies)
            case "classes" | "rank":
                can = True if self.data.found is not None else None
            case "path":
                can = not isinstance(self.focused, Input)
            case "next_field":
                can = not isinstance(self.focused, PathInput)
            case "move_field":
                can = not isinstance(self.focused, OptionList)
            case "leave":
                can = self.focused is not self.strategies
            case "other_size":
                strategy = self.strategies.current
                can = True if strategy is not None and strategy.backbone in OTHER_SIZE else None
        return can

    def action_next_field(self) -> None:
        """Goes to the next field."""
        self.focus_next()

    def action_move_field(self, step: int) -> None:
        """Goes to the next field (1), or to the one before (-1)."""
        (self.focus_next if step > 0 else self.focus_previous)()

    def action_edit(self) -> None:
        """Goes to the first parameter of the highlighted strategy."""
        if (strategy := self.strategies.current) is not None:
            self._present(strategy)  # which it may be only since the key before
        self.form.focus_first()

    def action_to_all(self) -> None:
        """Gives every ticked strategy the value of the parameter that the cursor is in."""
        if (found := self.form.at_cursor) is None:
            self.app.bell()
            return
        (entry, value), chosen, refused = found, self.strategies.chosen, list[str]()
        for strategy in chosen:
            if entry.key not in settings(strategy):
                refused.append(f"{strategy.name} has no such setting")
                continue
            try:
                self.strategies.put(with_value(strategy, entry.key, value))
            except UserError as error:
                refused.append(f"{strategy.name}: {error}")
        have = len(chosen) - len(refused)
        said = f"{entry.label} {of_parameter(entry.key, value, ' ')} in {have} of {len(chosen)} ticked strategies"
        self.notify("; ".join((said, *refused)), severity="warning" if refused else "information")

    async def action_add(self) -> None:
        """Asks for another strategy; what is typed next is meant for that window."""
        from tui.screens.adding import add  # noqa: PLC0415 - not needed for the first frame

        await self.options.looked()
        current = self.strategies.current
        await add(self, current.backbone if current else "resnet18", self.options, self.strategies.add)

    async def action_rank(self) -> None:
        """Ranks backbones on the data; the one that is chosen is added on a rung that is asked for."""
        from tui.screens.adding import rank  # noqa: PLC0415 - not needed for the first frame

        await self.options.looked()
        problems = self.options.problems
        problem = "; ".join(f"{label}: {problems[label]}" for label in ("weights", "device") if label in problems)
        if app_of(self).hosting.is_busy:
            problem = STOP_FIRST
        if problem:
            self._say(problem)
            self.app.bell()
            return
        self.data.stop_checking()
        rank(self, self.data.source, self.options, self.strategies.add)

    def action_leave(self) -> None:
        """Goes to the strategies, where keys are keys again; at once, for a key that arrived together with this one."""
        self.set_focus(self.strategies)

    @on(Button.Pressed, "#start")
    def _start(self) -> None:
        self.app.call_later(self.action_start)  # as by a key: the app waits for it before it gives the next one on

    @on(StrategyList.OptionHighlighted, "#strategies")
    def _highlighted(self) -> None:
        if (strategy := self.strategies.current) is not None:  # by now: the one that was may have been removed
            self._present(strategy)
            self._say()  # what was wrong with the one before was not kept

    @on(DataPicker.Changed)
    def _looked_at(self) -> None:
        self.refresh_bindings()
        self._say()
        self._go_on()
        if not app_of(self).hosting.is_training:
            self.data.check_images()

    @on(StrategyList.Ticked)
    @on(RunOptions.Changed)
    def _settled(self) -> None:
        self._say()

    @on(StrategyForm.Changed)
    def _edited(self) -> None:
        # Not what the message could carry: by now more may have been typed.
        self.strategies.put(self.form.strategy)
        self._describe(self.form.strategy)
        self._say()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        field = event.input.parent
        if isinstance(field, Field) and field.is_wrong:
            self.app.bell()
        elif event.input in self.data.inputs:
            self._entered_in = (event.input, self.data.source)
            self.data.look_now()
            self._go_on()
        else:
            self.focus_next()

    def _go_on(self) -> None:
        """From the field of the data that Enter was pressed in, once what is typed there can be used."""
        if self._entered_in is None or self.data.is_looking:
            return
        if self.data.problem:
            self.app.bell()
        elif self._entered_in == (self.focused, self.data.source):
            self.focus_next()
        self._entered_in = None

    def _present(self, strategy: Strategy) -> None:
        self.form.load(strategy)
        self._describe(strategy)

    def _describe(self, strategy: Strategy) -> None:
        if self.form.children:
            self.preview.show(strategy)
            self.still.update(nothing_learnt(strategy))
            self.still.display = bool(self.still.content)
        changed = " (changed)" if self.strategies.is_changed(strategy) else ""
        self.query_one("#parameters-panel").border_title = shown(strategy.name) + changed
        self.refresh_bindings()

    def _follow_hosting(self) -> None:
        hosting = app_of(self).hosting
        if self._said_of != (hosting.is_busy, hosting.is_training):
            self._say()

    def _seek_weights(self) -> None:
        if self.form.children and not self.options.is_looking:  # the form is empty until the first frame is there
            self.strategies.seek(self.options.asked_weights)

    def _say(self, problem: str = "") -> None:
        """Shows why it cannot start, or what would start, and which weights are not here."""
        self._seek_weights()
        hosting = app_of(self).hosting
        self._said_of = hosting.is_busy, hosting.is_training
        if problem := problem or self._problem():
            self.start_line.refuse(problem)
        elif hosting.is_busy:
            self.start_line.say(RUNNING if hosting.is_training else STARTING)
        elif self.data.found is None:
            self.start_line.say(LOOKING)
        elif self.options.is_looking:
            self.start_line.say(SEEKING)
        else:
            try:
                asked = self.asked()
            except UserError as error:
                self.start_line.refuse(str(error))
            else:
                self.start_line.say(planned(asked, self.data.alarms, self._forecast(asked)))
        self._show_plan()

    def _forecast(self, asked: Experiment) -> Forecast:
        if self._earlier is None or self.data.found is None:
            return Forecast()
        return self._earlier.forecast(asked, images_found(self.data.found.report, asked.folds))

    def _show_plan(self) -> None:
        """Nothing where what is asked for cannot be; the line that starts says why."""
        text, width = Text(), self.plan.content_size.width or (self.size.width // 2 - 3)
        if self.size.height >= ROOMY and self.data.found is not None and not self._problem():
            with suppress(UserError, OSError):
                asked = self.asked()
                before = {} if self._earlier is None else reached_before(self._earlier.summaries, asked)
                images = images_found(self.data.found.report, asked.folds)
                text = plan(asked, images, self._forecast(asked), before, width)
        self.plan_panel.display = bool(text)
        if text != self.plan.content:
            self.plan.update(text)

    @work(exclusive=True, group="earlier", exit_on_error=False)
    async def _read_earlier(self) -> None:
        from tui.work.foretelling import reading  # noqa: PLC0415 - not needed for the first frame

        self._earlier = await reading.answer(app_of(self).out)
        self._say()


def _panel(title: str, *content: Widget, id_: str) -> Vertical:
    panel = Vertical(*content, id=id_, classes="panel")
    panel.border_title = shown(title)
    return panel


def _known() -> tuple[dict[str, Strategy], str]:
    """The known strategies; the shipped ones and a line that says why where a person's own file is broken."""
    try:
        return known_strategies(), ""
    except UserError as error:
        return presets(), f"! {error}"
