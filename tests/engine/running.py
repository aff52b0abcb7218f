"""Watching an experiment that goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from engine.log import event_reader
from engine.state import ExperimentState, fold

SECONDS = 90.0


def state_of(folder: Path) -> ExperimentState:
    """What the log tells."""
    return fold(event_reader(folder).read())


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until it holds; fails where it does not in :data:`SECONDS`."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
