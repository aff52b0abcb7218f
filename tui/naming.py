"""What an experiment is called in a command, and which command goes on with it."""

from __future__ import annotations

import shlex
from pathlib import Path

from engine.states.state import ExperimentState, can_go_on
from engine.text import visible

RUNS = Path("runs")
"""Where experiments are, if nothing else is said."""


def called(folder: Path) -> str:
    """What a command calls the experiment in a folder, from the present directory: its name, or its path."""
    return shlex.quote(visible(folder.name if folder.parent.absolute() == RUNS.absolute() else str(folder)))


def how_to_go_on(state: ExperimentState, folder: Path) -> str:
    """What to say of an experiment that nobody is at and of which something is left to do; empty of any other."""
    if state.suspended and state.end is None:
        return f"It is unfinished; `tl-tui resume {called(folder)}` continues it."
    if can_go_on(state):
        return f"Some runs are unfinished; `tl-tui resume {called(folder)}` continues them."
    return ""
