"""Deletes an experiment: looks into its folder, asks, and says what became of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import LogBusyError, UserError
from engine.history.removal import FolderContents, contents, remove
from engine.text import shown
from tui.errors import told
from tui.host import app_of
from tui.widgets.dialogs import Question
from tui.words.deleting import is_deleted, what_goes

if TYPE_CHECKING:
    from textual.screen import Screen

NOT_DELETED = "Not deleted"


def delete(screen: Screen[None], folder: Path, deleted: Callable[[], None]) -> None:
    """Deletes an experiment's folder if the person says so and it does not run; ``deleted`` is called after that."""
    look = partial(_look_into, screen, folder, deleted)
    screen.run_worker(look, thread=True, exclusive=True, group="ask", exit_on_error=False)


def _look_into(screen: Screen[None], folder: Path, deleted: Callable[[], None]) -> None:
    with told(screen, NOT_DELETED):
        if not _is_running(screen, folder):
            screen.app.call_from_thread(_ask, screen, folder, contents(folder), deleted)


def _is_running(screen: Screen[None], folder: Path) -> bool:
    """Whether an experiment runs, here or elsewhere; says so."""
    runs = app_of(screen).hosting.has_writer(folder)
    if runs:
        screen.notify(f"{shown(folder.name)} is running: stop it first.", title=NOT_DELETED, severity="warning")
    return runs


def _ask(screen: Screen[None], folder: Path, inside: FolderContents, deleted: Callable[[], None]) -> None:
    """Asks, unless another screen or window has been opened meanwhile."""

    def answered(yes: bool | None) -> None:
        if yes:
            app_of(screen).write("delete", partial(_remove, screen, folder, inside.folder, deleted))

    if screen.is_current:
        question = Question("Delete this experiment?", what_goes(folder, inside), "Delete (y)", "Keep (n)")
        screen.app.push_screen(question, answered)


def _remove(screen: Screen[None], folder: Path, asked_about: tuple[int, int], deleted: Callable[[], None]) -> None:
    with told(screen, "Could not delete everything"):
        if _is_running(screen, folder):
            return
        try:
            strange = remove(folder, asked_about)
        except LogBusyError as error:  # one on another host, which may have ended
            screen.notify(f"{error} (`tl-tui delete --force`)", title=NOT_DELETED, severity="warning")
        except UserError as error:
            screen.notify(str(error), title=NOT_DELETED, severity="warning")
        else:
            screen.notify(is_deleted(folder, strange))
            screen.app.call_from_thread(deleted)
