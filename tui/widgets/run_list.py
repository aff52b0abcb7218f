"""The runs as one line each, where not all of them have a pane, and what those that are over have reached."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from engine.states.state import ExperimentState
from tui.widgets.listing import UNDER_CURSOR
from tui.words import run_words

FEWEST_LINES, USUAL_LINES = 3, 6


def lines_for(height: int) -> int:
    """How many lines there are where the window has so many rows: in a low one the charts need them more."""
    return max(FEWEST_LINES, min(USUAL_LINES, (height - 12) // 2), (height - 12) // 4)


class RunList(Static):
    """A few lines around the selected run; where there are more, or strategies have several runs, first line
    tells how all of them stand. A click selects.
    """

    DEFAULT_CSS = """
    RunList { height: auto; padding: 0 1; }
    """

    class Selected(Message):
        """The run at ``index`` was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.first = 0
        self.summary_lines = 0

    def show(self, state: ExperimentState, visible: Sequence[int], selected: int) -> None:
        """Shows the runs; those that have a pane are marked."""
        width = max(20, self.screen.size.width - 4)  # the list's own is not known before its first layout
        room, runs = lines_for(self.screen.size.height), len(state.runs)
        self.summary_lines = int(runs > room or len({run.strategy.name for run in state.runs}) < runs)
        count = min(room - self.summary_lines, runs)
        self.first = max(0, min(selected - count // 2, len(state.runs) - count))
        which = range(self.first, self.first + count)
        text = run_words.so_far(state, width) if self.summary_lines else Text(no_wrap=True)
        for index, line in zip(which, run_words.lines(state, which, width - 2), strict=True):
            mark = "▸ " if index == selected else "▹ " if index in visible else "  "
            row = Text(mark).append_text(line)
            if index == selected:
                row.pad_right(width + 2 - row.cell_len)
                row.stylize(f"bold {UNDER_CURSOR}")
            text.append("\n" if text else "").append_text(row)
        if text != self.content:
            self.update(text, layout=text.plain.count("\n") != str(self.content).count("\n"))

    def on_click(self, event: Click) -> None:
        """Selects the run of the line."""
        if event.y >= self.summary_lines:
            self.post_message(self.Selected(self.first + event.y - self.summary_lines))
