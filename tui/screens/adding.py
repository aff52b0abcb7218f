"""Adds a strategy, asked for in a window: of any backbone, or of one that ranking them on the data led to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.widget import AwaitMount

from engine.specs.spec import DataSource
from engine.specs.strategy import Strategy
from tui.screens.add_strategy import AddStrategy
from tui.screens.ranking import Ranking
from tui.widgets.run_options import RunOptions
from tui.words.ranking import BACKBONES

if TYPE_CHECKING:
    from textual.screen import Screen


def add(screen: Screen[None], backbone: str, options: RunOptions, added: Callable[[Strategy], None]) -> AwaitMount:
    """Opens the window with ``backbone`` in it; calls ``added`` with the strategy, unless none is wanted."""

    def answered(strategy: Strategy | None) -> None:
        if strategy is not None:
            added(strategy)

    return screen.app.push_screen(AddStrategy(backbone, options.asked_weights), answered)


def rank(screen: Screen[None], data: DataSource, options: RunOptions, added: Callable[[Strategy], None]) -> None:
    """Ranks backbones on the data; the one that is chosen is added on a rung that is asked for."""

    def chosen(backbone: str | None) -> None:
        if backbone is not None:
            add(screen, backbone, options, added)

    screen.app.push_screen(Ranking(data, BACKBONES, options.asked_weights, options.asked_device), chosen)
