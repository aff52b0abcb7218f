"""One session of the app, and what it leaves on the normal screen."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from engine.spec import Experiment
from tui.app import TlTui
from tui.errors import app_log
from tui.streams import native_output_to


def open_app(experiment: Experiment, out: Path) -> int:
    """Runs the app; afterwards prints the comparison it showed, so that it stays in the scrollback.

    Returns the exit status: 1 where a run of an experiment that was started here failed.
    """
    app = TlTui(out, experiment.data, experiment)
    with native_output_to(app_log()):
        app.run()
    if app.return_code:
        return app.return_code
    console = Console()
    if app.folder is not None and any(run.epochs for run in app.state.runs):
        from engine.compare import compare  # noqa: PLC0415 - not needed to begin
        from tui.tables import comparison_table  # noqa: PLC0415

        console.print(comparison_table(compare(app.state, interrupted=app.interrupted)))
        console.print(f"{app.folder}", markup=False, highlight=False)
    started_here = app.host is not None and app.host.folder == app.folder
    return 1 if started_here and any(run.status == "failed" for run in app.state.runs) else 0
