"""The strategies that can be compared, each ticked or not."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.errors import UserError
from engine.specs.presets import named
from engine.specs.strategy import Strategy, settings
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, rgb
from tui.words.strategies import what_trains

if TYPE_CHECKING:
    from tui.work.backbones import WeightsQuery

MOST_NAME = 160
FEWEST_NAME = 9
BESIDE = 8
"""Cells of a line that a name cannot have: tick, mark of a change, edges."""
TICK_AND_MARK = 6
"""Cells of a line besides a name and what trains."""
LONGEST_BASE = 70
"""Characters of a name that its duplicate's begins with: a strategy's may have 80."""


class StrategyList(OptionList):
    """Strategies by name; space ticks, Enter starts, → edits the highlighted one.

    Beside a ticked one it says that its weights are not on this machine, once they were looked for.
    """

    DEFAULT_CSS = """
    StrategyList { height: auto; max-height: 8; background: transparent; text-wrap: nowrap; text-overflow: ellipsis; }
    StrategyList.-textual-compact { padding: 0 1; }
    StrategyList:focus { background-tint: transparent; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "tick", "Tick", id="strategies.tick", tooltip="select or deselect this strategy"),
        Binding("enter", "screen.start", "Start", id="strategies.start", tooltip="start the comparison"),
        Binding("a", "screen.add", "Add", id="strategies.add", tooltip="add any backbone: probe, last-stage, …"),
        Binding("right", "screen.edit", "Edit", key_display="→", id="strategies.edit", tooltip="edit its parameters"),
        Binding(
            "d",
            "duplicate",
            "Duplicate",
            show=False,
            id="strategies.duplicate",
            tooltip="a second one like it, to compare other parameters",
        ),
        Binding(
            "delete,backspace",
            "remove",
            "Remove",
            key_display="del",
            id="strategies.remove",
            tooltip="remove an added strategy",
        ),
    ]

    class Ticked(Message):
        """A tick was set or taken away."""

    def __init__(
        self,
        known: Mapping[str, Strategy],
        chosen: Sequence[Strategy],
        *,
        id: str = "",  # noqa: A002 - Textual's name
    ) -> None:
        strategies = {**known, **{strategy.name: strategy for strategy in chosen}}
        self.strategies = dict(strategies)
        self.room = MOST_NAME
        self.known = {**{strategy.name: _unchanged(strategy) for strategy in chosen}, **known}
        self.added: set[str] = set()
        self.missing: frozenset[str] = frozenset()
        self.why_missing = ""
        self._sought: WeightsQuery | None = None  # whose weights were last looked for
        self.ticked = {strategy.name for strategy in chosen}
        super().__init__(
            *(Option(prompt, id=name) for name, prompt in self._prompts().items()),
            compact=True,
            markup=False,
            id=id or None,
        )

    @property
    def chosen(self) -> tuple[Strategy, ...]:
        """The ticked strategies, in the order of the list."""
        return tuple(strategy for name, strategy in self.strategies.items() if name in self.ticked)

    @property
    def current(self) -> Strategy | None:
        """The highlighted strategy."""
        option = self.highlighted_option
        return self.strategies[option.id] if option and option.id else None

    def is_changed(self, strategy: Strategy) -> bool:
        """Whether what matters in it is not as its name says."""
        return settings(strategy) != settings(self.known[strategy.name])

    def put(self, strategy: Strategy) -> None:
        """Shows an edited strategy in place of the one of its name."""
        self.strategies[strategy.name] = strategy
        self.replace_option_prompt(strategy.name, self._prompts()[strategy.name])

    def add(self, strategy: Strategy) -> None:
        """Shows another strategy, or the one of its name that is there already, ticked and highlighted."""
        if strategy.name in self.strategies:
            self.notify(f"{strategy.name} is in the list already; d duplicates it.")
        else:
            self.known[strategy.name] = self.strategies[strategy.name] = strategy
            self.added.add(strategy.name)
            self.add_option(Option("", id=strategy.name))
        self.ticked.add(strategy.name)
        self._draw()
        self.highlighted = list(self.strategies).index(strategy.name)
        self.post_message(self.Ticked())

    def seek(self, weights: str) -> None:
        """Looks in a thread which backbones lack the ``weights`` that an experiment asks for, unless it just did."""
        from tui.work.backbones import WeightsQuery  # noqa: PLC0415 - not needed for the first frame

        backbones = {strategy.backbone for strategy in self.strategies.values()}
        asked = WeightsQuery(tuple(sorted(backbones)), weights)
        if asked != self._sought:
            self._sought = asked
            self._seek(asked)

    def seek_again(self) -> None:
        """Has the next :meth:`seek` look in any case."""
        self._sought = None

    @work(exclusive=True, group="weights", exit_on_error=False)
    async def _seek(self, asked: WeightsQuery) -> None:
        from tui.work.backbones import seeking  # noqa: PLC0415 - not needed for the first frame

        missing = await seeking.answer(asked)
        why = "to download" if asked.weights == "default" else "no weights"
        if (missing, why) != (self.missing, self.why_missing):
            self.missing, self.why_missing = missing, why
            self._draw()

    def on_resize(self) -> None:
        """Names that have no room are cut so that they differ."""
        self.room = max(FEWEST_NAME, self.size.width - BESIDE)
        self._draw()

    def _draw(self) -> None:
        for name, prompt in self._prompts().items():
            self.replace_option_prompt(name, prompt)

    def action_tick(self) -> None:
        """Ticks the highlighted strategy, or takes the tick away."""
        if (strategy := self.current) is not None:
            self.ticked ^= {strategy.name}
            self._draw()
            self.post_message(self.Ticked())

    def action_duplicate(self) -> None:
        """Adds one like the highlighted strategy, as it is now, under a name of its own."""
        if (strategy := self.current) is not None:
            self.add(replace(strategy, name=duplicate_name(strategy.name, self.strategies)))

    def action_remove(self) -> None:
        """Removes the highlighted strategy, if it was added; the one above it is highlighted then."""
        if (strategy := self.current) is None or strategy.name not in self.added:
            return
        place = list(self.strategies).index(strategy.name)
        self.added.remove(strategy.name)
        self.ticked.discard(strategy.name)
        del self.strategies[strategy.name], self.known[strategy.name]
        self.remove_option(strategy.name)
        self._draw()
        self.highlighted = place - 1
        self.post_message(self.Ticked())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what was added can be removed: a person's own strategies are in a file of theirs."""
        del parameters
        return action != "remove" or (self.current is not None and self.current.name in self.added)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click ticks, as space does."""
        event.stop()
        self.action_tick()

    def _prompts(self) -> dict[str, Text]:
        """The line of each strategy; what is said of it stands in a column where all of it fits. That its weights are
        missing is said before what trains, and a name makes room for it.
        """
        notes = [self._note(strategy) for strategy in self.strategies.values()]
        trains = [what_trains(strategy) for strategy in self.strategies.values()]
        width = self.room + BESIDE - TICK_AND_MARK
        room = min(self.room, max(FEWEST_NAME, width - max(map(len, notes)) - len("…")))
        names = told_apart(list(self.strategies), room)
        cells = max(map(len, names))
        beside = [f"{note and f'{note}, '}{what}" for note, what in zip(notes, trains, strict=True)]
        if cells + max(map(len, beside)) > width:
            cells = 0
            beside = [
                said if len(name) + len(said) <= width else note
                for name, said, note in zip(names, beside, notes, strict=True)
            ]
        return {
            key: self._prompt(strategy, name, cells, said, len(note))
            for (key, strategy), name, said, note in zip(self.strategies.items(), names, beside, notes, strict=True)
        }

    def _note(self, strategy: Strategy) -> str:
        is_missing = strategy.name in self.ticked and strategy.backbone in self.missing
        return self.why_missing if is_missing else ""

    def _prompt(self, strategy: Strategy, name: str, cells: int, said: str, warned: int) -> Text:
        """A strategy's line, of whose last words the first ``warned`` characters are a warning."""
        ticked = strategy.name in self.ticked
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("[x] " if ticked else "[ ] ", "bold" if ticked else "")
        text.append(name).append("*" if self.is_changed(strategy) else " ").append(" " * (cells - len(name)))
        begin = len(text) + 1
        text.append(f" {said}", "dim")
        text.stylize(f"not dim {rgb(AMBER)}", begin, begin + warned)
        return text


def duplicate_name(name: str, taken: Container[str]) -> str:
    """``NAME-v2``, or the first number after it that is not taken."""
    base = re.sub(r"-v[0-9]+$", "", name)[:LONGEST_BASE]
    return next(other for number in count(2) if (other := f"{base}-v{number}") not in taken)


def _unchanged(strategy: Strategy) -> Strategy:
    """What a rung's name stands for, before anything of it was changed; itself where it is no rung's."""
    try:
        return named(strategy.name, {})
    except UserError:
        return strategy
