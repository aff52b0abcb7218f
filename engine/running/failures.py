"""From an exception in a run to the event that tells a person what failed and what to do."""

from __future__ import annotations

from pathlib import Path

from engine.logs import events as ev
from engine.models.weights import WeightsError
from engine.states.state import WRITING
from engine.text import in_one_line, shown
from engine.training import saving
from engine.training.features import NotFiniteError
from engine.training.memory import DoesNotFitError, TooLargeError, shortage
from engine.training.run import DivergedError


def failure(run: str, error: Exception, checkpoint: Path | None = None) -> ev.RunFailed:
    """What an exception in a run means to a person, and what to do about it.

    ``checkpoint``: where the run's last one is, in the experiment's folder.
    """
    message, kind, advice = shown(in_one_line(error), 400), "error", ""
    match error:
        case WeightsError() | NotFiniteError():  # which say what to do
            kind = "weights"
        case TooLargeError():  # likewise
            kind = "out of memory"
        case DivergedError():
            kind = "diverged"
            advice = "lower the learning rate" + (f"; the last good state is in {checkpoint}" if checkpoint else "")
        case DoesNotFitError():
            kind = "out of memory"
            advice = "a smaller image size or backbone needs less memory, as does training only the last layer"
        case _ if shortage(error):
            kind = "out of memory"
            advice = "a smaller batch size or image size needs less memory; another program may be using it"
        case OSError():
            kind, message = WRITING, saving.why(error)
            advice = (
                "check that the disk is mounted, writable and not full, then resume; what was measured is in the log"
            )
        case ValueError() if "more than 1 value per channel" in message:
            advice = "batch norm needs more than one value per channel: use a larger batch size or image size"
        case _:
            message = f"{type(error).__name__}: {message}"
            advice = "the full traceback is in engine.log beside the experiment's log"
    return ev.RunFailed(run=run, kind=kind, message=message, advice=advice)
