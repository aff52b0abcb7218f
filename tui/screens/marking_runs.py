"""Marks single runs of an experiment for Compare, ticked in a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.text import shown
from engine.units import percent
from tui.drawing.text import told_apart
from tui.errors import told
from tui.host import app_of
from tui.widgets.dialogs import Tick
from tui.work.loading import load_for_comparing
from tui.work.marking import Marking

if TYPE_CHECKING:
    from textual.screen import Screen

    from engine.states.state import RunState

TICKED_NAME = 38
"""Cells for the name of a run that can be ticked, beside what it reached."""


def mark_runs(screen: Screen[None], marking: Marking, folder: Path) -> None:
    """Asks which runs of the experiment in a folder are to be compared; those are marked then."""
    work = partial(_read, screen, folder, partial(_ask, screen, marking, folder))
    screen.run_worker(work, thread=True, exclusive=True, group="ask", exit_on_error=False)


def _read(screen: Screen[None], folder: Path, ask: Callable[[Sequence[RunState]], None]) -> None:
    with told(screen, "The runs cannot be read"):
        load_for_comparing()
        from tui.work.comparing import state_now  # noqa: PLC0415 - not needed before

        screen.app.call_from_thread(ask, state_now(folder).runs)


def _ask(screen: Screen[None], marking: Marking, folder: Path, runs: Sequence[RunState]) -> None:
    """Asks, unless another screen or window has been opened meanwhile."""
    if not screen.is_current:
        return
    marked = app_of(screen).marks.get(folder, frozenset())
    names = told_apart([shown(run.run, 160) for run in runs], TICKED_NAME)
    cells = max(map(len, names), default=0)
    lines = [
        f"{name:<{cells}}  {percent(run.best.val.accuracy) if run.best else run.status}"
        for name, run in zip(names, runs, strict=True)
    ]
    ticked = [number for number, run in enumerate(runs) if marked is None or run.run in marked]

    def answered(numbers: frozenset[int] | None) -> None:
        if numbers is None:
            return
        if numbers:
            chosen = frozenset(runs[number].run for number in numbers)
            marking.mark(folder, None if len(chosen) == len(runs) else chosen)
        else:
            marking.unmark(folder)

    screen.app.push_screen(Tick(f"Runs of {shown(folder.name, 40)}", lines, ticked), answered)
