"""Exports the comparison that is seen, and says where it is."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.states.state import ExperimentState
from tui.errors import told
from tui.work.loading import load_for_comparing

if TYPE_CHECKING:
    from tui.app import TlTui
    from tui.work.comparing import Marks


def export(app: TlTui) -> None:
    """Writes the comparison into its experiment's folder, of several marked ones beside them, and says where."""
    marks = dict(app.marks) if app.current_mode == "compare" else {}
    of_one = next(iter(marks), app.folder)
    if (out := app.out if len(marks) > 1 else of_one) is not None:
        app.write("export", partial(_export, app, app.state, app.folder, marks, app.positive, out))


def _export(
    app: TlTui, state: ExperimentState, opened: Path | None, marks: Marks, positive: str | None, out: Path
) -> None:
    with told(app, "Not exported", out):
        load_for_comparing()
        from tui.work.comparing import export_all  # noqa: PLC0415 - the first comparison loads scipy

        app.notify(export_all(state, opened, marks, positive, out), title="Exported", timeout=8)
