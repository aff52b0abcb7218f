"""The line of Setup that starts: a button, and beside it what would start, or why it cannot."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Static

from engine.logs.events import Forecast
from engine.specs.spec import Experiment
from engine.text import counted, shown
from tui.drawing.theme import LEVELS, ROSE, rgb
from tui.words.forecast import how_long, on_what_ground

STARTING = "starting: loading PyTorch and checking the settings …"
RUNNING = "an experiment is running: 2 shows it"
LOOKING = "reading the data …"
SEEKING = "looking for the weights …"


class StartLine(Horizontal):
    """``Button.Pressed`` of ``#start`` comes out of it."""

    DEFAULT_CSS = """
    StartLine { height: 1; padding: 0 1; }
    StartLine Button { min-width: 9; }
    StartLine Static {
        width: 1fr; height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis;
    }
    StartLine Static.-problem { color: $text-error; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.message = Static(markup=False)

    def compose(self) -> ComposeResult:
        """The button and the words."""
        yield Button("Start", id="start", variant="success", compact=True)
        yield self.message

    def refuse(self, problem: str) -> None:
        """Says why it cannot start; in full where the mouse points at it."""
        self._say(f"! {shown(problem)}", Text(shown(problem)))

    def say(self, said: Text | str) -> None:
        """Says what would start, or what goes on."""
        self._say(said, None)

    def _say(self, said: Text | str, problem: Text | None) -> None:
        self.message.set_class(problem is not None, "-problem")
        self.message.tooltip = problem
        self.message.update(said)


def planned(experiment: Experiment, alarms: int, forecast: Forecast) -> Text:
    """How many runs would start and how long they will take, after how many alarms there are: what the data panel tells
    of them may have no room.
    """
    said = f"{LEVELS['alarm'][0]} {counted(alarms, 'alarm', 'alarms')} · " if alarms else ""
    runs = _runs(len(experiment.strategies), len(experiment.seeds), experiment.folds)
    names = [strategy.name for strategy in experiment.strategies]
    time = how_long(forecast, names)
    ground = on_what_ground(forecast, names) if time else ""  # the last: it may have no room
    return Text.assemble((said, f"bold {rgb(ROSE)}"), " · ".join(filter(None, (runs, time, "ctrl+r starts", ground))))


def _runs(strategies: int, seeds: int, folds: int | None) -> str:
    runs = strategies * seeds * (folds or 1)
    if seeds > 1 or folds:
        each = [f"{seeds} seeds"] * (seeds > 1) + [f"{folds} folds"] * (folds is not None)
        return f"{strategies} × {' × '.join(each)} = {runs} runs"
    return counted(runs, "run", "runs")
