"""What a preview of an experiment draws: reads its log, so this belongs into a thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.history.experiment_state import read_quickly
from tui.drawing.curves import together
from tui.drawing.plot import Curves
from tui.errors import record_error
from tui.work.latest import Latest


def accuracy_curves(folder: Path) -> Curves | None:
    """The validation accuracy of an experiment's strategies by epoch; None where no epoch is known."""
    try:
        state, _ = read_quickly(folder)
    except OSError:
        return None
    except Exception:  # what is wrong with a log is told where it is opened
        record_error()
        return None
    names = dict.fromkeys(run.strategy.name for run in state.runs)
    curves = together([(name, [run for run in state.runs if run.strategy.name == name]) for name in names])
    return replace(curves, title="val accuracy") if any(run.epochs for run in state.runs) else None


drawing = Latest[Path, Curves | None](accuracy_curves, "previewing")
"""One thread, however fast the cursor moves."""
