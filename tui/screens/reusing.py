"""Loads the settings of an earlier experiment into Setup, after asking where changes there would be lost."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from engine.specs.spec import Experiment
from engine.text import shown
from tui.screens.frame import Mode
from tui.screens.setup import SetupScreen
from tui.widgets.dialogs import Question

if TYPE_CHECKING:
    from tui.app import TlTui


def reuse(app: TlTui, experiment: Experiment, name: str) -> None:
    """Loads the settings of the experiment of this ``name`` into Setup, to be changed and started as a new one."""

    def answered(yes: bool | None) -> None:
        if yes:
            app.call_later(_renew_setup, app, experiment, name)

    if not _is_unsaved(app):
        answered(True)
        return
    app.push_screen(
        Question(
            "Replace the settings in Setup?",
            f"Setup has changes that were not run.\nThe settings of {shown(name)} would replace them.",
            "Replace (y)",
            "Keep (n)",
        ),
        answered,
    )


def _is_unsaved(app: TlTui) -> bool:
    """Whether Setup has changes that were not run."""
    with suppress(KeyError):  # not visited yet
        return any(isinstance(one, SetupScreen) and one.is_unsaved for one in app.get_screen_stack("setup"))
    return False


async def _renew_setup(app: TlTui, experiment: Experiment, name: str) -> None:
    if isinstance(app.screen, Mode) and app.current_mode != "setup":  # else the person has gone on meanwhile
        await app.renew_setup(experiment)
        app.notify(f"Setup now has the settings of {shown(name)}.")
