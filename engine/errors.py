"""Errors for a person to put right: each text is one line that says what, where and what to do. Without torch."""

from __future__ import annotations

from engine.text import shown


class UserError(ValueError):
    """What was asked for cannot be done as it was written, or what was given cannot be used."""

    def __init__(self, text: str) -> None:
        super().__init__(shown(text, 2000))


class DataError(UserError):
    """The images, or the list or the folders that name them, cannot be used."""


class ChangedError(UserError):
    """An experiment cannot go on as it began, since what it began with has changed."""


class LogBusyError(UserError):
    """Another process is writing the experiment's log."""
