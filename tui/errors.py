"""What goes wrong in the app itself: in words for the screen, and in full in a file."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from engine.errors import UserError
from engine.files import private
from engine.text import shown, visible

if TYPE_CHECKING:
    from textual.app import App
    from textual.notifications import SeverityLevel
    from textual.screen import Screen


def in_words(error: OSError, limit: int = 300, where: Path | None = None) -> str:
    """The file, ``where`` if the error names none, and the reason, without the number, in so many characters."""
    place, reason = error.filename or where, error.strerror or str(error)
    return shown(f"{place}: {reason}" if place else reason, limit)


def unexpected(error: Exception) -> str:
    """An error that nobody foresaw, in one line; its traceback, which must be the current one, goes to the log.

    For every ``except Exception`` of a screen or a thread: it reports the error, and the app goes on.
    """
    return shown(f"{type(error).__name__}: {error} (details in {record_error()})", 600)


def reason(error: Exception, where: Path | None = None) -> str:
    """Why something was not done, in one line; the error must be the current one. ``where`` as of :func:`in_words`."""
    if isinstance(error, UserError):
        return str(error)
    return in_words(error, where=where) if isinstance(error, OSError) else unexpected(error)


@contextmanager
def told(screen: Screen[None] | App[None], title: str, where: Path | None = None) -> Iterator[None]:
    """Says on the screen what goes wrong meanwhile; the app goes on. ``title``: what was not done then; ``where``: with
    which file or folder, if the error names none.
    """
    try:
        yield
    except Exception as error:
        severity: SeverityLevel = "warning" if isinstance(error, UserError) else "error"
        screen.notify(reason(error, where), title=title, severity=severity)


def app_log() -> Path:
    """The file for what goes wrong in the app; its folder is made. Where that cannot be, what swallows all."""
    try:
        return platformdirs.user_log_path("tl-tui", ensure_exists=True) / "app.log"
    except OSError:
        return Path(os.devnull)


def record_error() -> Path:
    """Appends the traceback of the present error to the app's log, if it can, and returns its path."""
    path = app_log()
    said = visible(traceback.format_exc(), keep="\n")
    with suppress(OSError), open(path, "a", encoding="utf-8", opener=private) as file:
        file.write(f"{datetime.now().isoformat(timespec='seconds')}\n{said}\n")
    return path
