"""What an error in a run means to a person."""

from __future__ import annotations

from pathlib import Path

from engine import events as ev
from engine.models.weights import WeightsError
from engine.state import WRITING
from engine.text import in_one_line, shown
from engine.training import saving
from engine.training.features import NotFiniteError, TooLargeError
from engine.training.memory import DoesNotFitError, shortage
from engine.training.run import DivergedError


def failure(run: str, error: Exception, standing: Path | None = None) -> ev.RunFailed:
    """What an exception in a run means to a person, and what to do about it.

    ``standing``: where the run's last checkpoint is, in the experiment's folder.
    """
    message = shown(in_one_line(error), 400)
    match error:
        case WeightsError() | NotFiniteError() | TooLargeError():  # which say what to do
            kind = "out of memory" if isinstance(error, TooLargeError) else "weights"
            return ev.RunFailed(run=run, kind=kind, message=message)
        case DivergedError():
            advice = "lower the learning rate" + (f"; the last good state is in {standing}" if standing else "")
            return ev.RunFailed(run=run, kind="diverged", message=message, advice=advice)
        case DoesNotFitError():
            advice = "a smaller image size or backbone needs less memory, as does training the last layer alone"
            return ev.RunFailed(run=run, kind="out of memory", message=message, advice=advice)
        case _ if shortage(error):
            advice = "a smaller batch size or image size needs less memory; is another program using it?"
            return ev.RunFailed(run=run, kind="out of memory", message=message, advice=advice)
        case OSError():
            advice = "is the disk full or read-only? what was measured is in the log; once there is room, resume it"
            return ev.RunFailed(run=run, kind=WRITING, message=saving.why(error), advice=advice)
        case _:
            advice = "the full traceback is in engine.log beside the experiment's log"
            return ev.RunFailed(run=run, kind="error", message=f"{type(error).__name__}: {message}", advice=advice)
