"""A small window that makes a strategy: any backbone on any rung of the ladder."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.models.names import is_model, model_names
from engine.specs.presets import named, rungs
from engine.specs.strategy import Strategy
from engine.text import did_you_mean
from tui.drawing.theme import AMBER, GREY, rgb
from tui.widgets.dialogs import answer
from tui.widgets.field import Field
from tui.widgets.order import caught_up
from tui.widgets.strategy_form import COMMON_BACKBONES
from tui.widgets.text_input import TextInput
from tui.work.backbones import BackboneQuery, Facts, looking


class AddStrategy(ModalScreen[Strategy | None]):
    """Answers the new strategy, or None if cancelled.

    ``weights``: those of the experiment; it is said where the backbone's are.
    """

    DEFAULT_CSS = """
    AddStrategy { align: center middle; }
    AddStrategy > Vertical {
        width: 90%; max-width: 100; height: auto; max-height: 90%; border: round $primary; background: $surface;
    }
    AddStrategy.-low > Vertical { width: 100%; max-height: 100%; }
    AddStrategy OptionList { height: auto; background: transparent; text-wrap: nowrap;
        text-overflow: ellipsis; }
    AddStrategy OptionList.-textual-compact { padding: 0 1; }
    AddStrategy OptionList:focus { background-tint: transparent; }
    AddStrategy #new-facts { padding: 0 1; height: 3; text-overflow: ellipsis; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="add.cancel", tooltip="add nothing"),
        Binding(
            "down", "move(1)", "Rung", key_display="↑ ↓", priority=True, id="add.down", tooltip="next option"
        ),  # fields have these keys for the field below and above
        Binding("up", "move(-1)", show=False, priority=True, id="add.up", tooltip="previous option"),
        Binding(
            "tab",
            "take",
            show=False,
            priority=True,
            id="add.take",
            tooltip="complete the name, or go to the next field",
        ),
        Binding("enter", "add", "Add", id="add.add", tooltip="add it, selected"),
    ]

    def __init__(self, backbone: str, weights: str) -> None:
        super().__init__()
        self.weights = weights
        self.suggested = list(dict.fromkeys((*COMMON_BACKBONES, *model_names())))
        self.backbone = TextInput(
            backbone, compact=True, id="new-backbone", suggester=SuggestFromList(self.suggested), max_length=60
        )
        self.rungs = OptionList(*map(_option, rungs()), compact=True, markup=False, id="new-rung")
        self.facts = Static(markup=False, id="new-facts")
        self.frame = Vertical(Field("backbone", self.backbone, "any torchvision model"), self.facts, self.rungs)

    def compose(self) -> ComposeResult:
        """The backbone, what is known of it or why it is none, and the rungs; above them the name of what they make."""
        self.frame.border_subtitle = Text("↑ ↓ rung · tab complete · enter add · esc cancel")
        yield self.frame

    def on_mount(self) -> None:
        """What is typed takes the place of the highlighted strategy's backbone, while the arrows choose the rung."""
        self.rungs.highlighted = 0
        self.set_focus(self.backbone)  # at once, for the keys that came together with the one that opened this
        self._say()
        self._typed()

    def action_move(self, step: int) -> None:
        """Goes to the next rung, or to the one before, wherever the focus is."""
        self.rungs.highlighted = ((self.rungs.highlighted or 0) + step) % self.rungs.option_count

    async def action_take(self) -> None:
        """Takes the name that the hint tells, or goes to the next field where there is none."""
        await caught_up(self.backbone)
        if whole := self._whole:
            self.backbone.value = whole
            self.backbone.cursor_position = len(whole)
        else:
            self.focus_next()

    @property
    def problem(self) -> str:
        """Why the backbone is none, empty where it is one."""
        return no_backbone(self.backbone.value.strip())

    @property
    def strategy(self) -> Strategy | None:
        """What is put together now, None where the backbone is not the name of one."""
        option = self.rungs.highlighted_option
        if option is None or option.id is None or self.problem:
            return None
        return named(f"{self.backbone.value.strip()}-{option.id}", {})

    @on(Input.Changed)
    @on(OptionList.OptionHighlighted)
    def _say(self) -> None:
        """Which strategy Enter adds."""
        strategy = self.strategy
        self.frame.border_title = Text("Add a strategy" if strategy is None else f"Add {strategy.name}")

    @on(Input.Changed)
    def _typed(self) -> None:
        self.workers.cancel_node(self)
        if whole := self._whole:
            self.facts.update(Text(f"! not a torchvision model; tab completes {whole}", rgb(AMBER)))
        elif self.problem:
            self.facts.update(Text(f"! {self.problem}", rgb(AMBER)))
        else:
            self.facts.update(Text("looking for weights …", rgb(GREY)))
            self._look()

    @work(exit_on_error=False)
    async def _look(self) -> None:
        """Says what is known of the backbone that is typed."""
        self.facts.update(_said(await looking.answer(BackboneQuery(self.backbone.value.strip(), self.weights))))

    @property
    def _whole(self) -> str:
        """The name of which only the beginning is typed, empty where what is typed is a name or begins none."""
        typed = self.backbone.value.strip()
        if not typed or not self.problem:
            return ""
        return next((name for name in self.suggested if name.startswith(typed.lower())), "")

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def action_add(self) -> None:
        """Answers with the strategy."""
        if (strategy := self.strategy) is not None:
            answer(self, strategy)
        else:
            self.backbone.focus()


def no_backbone(name: str) -> str:
    """Why torchvision has no model of that name, empty where it has one, or where its models are not known."""
    return "" if is_model(name) else f"not a torchvision model{did_you_mean(name, model_names(), most=2)}"


def _said(facts: Facts) -> Text:
    problem = (f"! {facts.problem}", rgb(AMBER)) if facts.problem else ""
    return Text("\n").join(Text.assemble(line) for line in (facts.size, facts.weights, problem) if line)


def _option(name: str) -> Option:
    return Option(Text.assemble((f"{name:<12}", "bold"), (rungs()[name].about, "dim"), no_wrap=True), id=name)
