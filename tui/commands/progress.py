"""How far a command's work is, on a terminal."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from engine.progress import WorkDone

T = TypeVar("T")


def with_progress_bar(work: Generator[WorkDone, None, T], console: Console) -> T:
    """Does the work; on a terminal says how far it is."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        while True:
            try:
                now = next(work)
            except StopIteration as finished:
                result: T = finished.value
                return result
            progress.update(task, description=now.detail, completed=now.done, total=now.total or None)
