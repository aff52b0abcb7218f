"""The learning rate of every planned epoch, drawn before anything runs."""

from __future__ import annotations

from engine.specs.strategy import Strategy
from engine.states.state import RunState
from engine.training.schedule import rates_of, stands_still_from
from tui.drawing import curves
from tui.drawing.plot import Curves
from tui.widgets.chart import Chart

MOST_EPOCHS = 2_000
"""More epochs than this are not drawn: a screen has no room for them, and typing must stay quick."""


class SchedulePreview(Chart):
    """A strategy's schedule as steps, one an epoch."""

    DEFAULT_CSS = """
    SchedulePreview { height: 6fr; min-height: 4; max-height: 20; padding: 0 1; }
    """

    def show(self, strategy: Strategy) -> None:
        """Draws the schedule of this strategy."""
        self.curves = preview(strategy)


def preview(strategy: Strategy) -> Curves:
    """The planned rates as the Live screen draws them before the first epoch."""
    if strategy.epochs > MOST_EPOCHS:
        return Curves("learning rate", (), (0.0, 1.0), (0.0, 1.0), str, empty="too many epochs to draw")
    return curves.learning_rate(RunState("preview", strategy, 0, learning_rates=rates_of(strategy)))


def nothing_learnt(strategy: Strategy) -> str:
    """From which epoch on the rate is too small to learn, in at most 37 characters; empty where it never is."""
    still = stands_still_from(strategy) if strategy.epochs <= MOST_EPOCHS else None
    return "" if still is None else f"! learning rate near 0 from epoch {still}"
