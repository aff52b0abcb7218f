"""Following an experiment's log in a thread, so that no disk and no long log can hold up the screen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from engine.history.experiment_state import PROGRESS, last_skipped, with_progress
from engine.logs.events import AnyEvent, EpochFinished, FileSaved, LossMeasured, MemorySampled, Progress, StageChanged
from engine.logs.log import LineReader, event_reader
from engine.states.replay import replay
from engine.states.state import ExperimentState
from tui.messages import StateRead

POLL_SECONDS = 0.125
PROGRESS_SECONDS = 1.0
"""What only moves a number is shown this often: each time costs training on the same cores as much as drawing takes."""
EPOCH_SECONDS = 0.5
"""Ends of epochs, of which a probe has many a second, are shown this often."""
OVER_SECONDS = 1.0
"""A log with an end is read this often: it may be gone on with."""
SILENT_SECONDS = 3.0
"""A writer that lives says something every second; only a log that is silent longer is checked for its writer."""


def follow(
    folder: Path,
    over: Callable[[], bool],
    has_writer: Callable[[], bool],
    poll: float = POLL_SECONDS,
    pause: Callable[[], float] = lambda: PROGRESS_SECONDS,
) -> Iterator[StateRead]:
    """The experiment's state whenever it changed, until ``over()``, the first one at once.

    Where only numbers did, when ``pause()`` seconds have gone by since the one before; ends of epochs after
    :data:`EPOCH_SECONDS`.
    Asks ``has_writer`` when a log without an end is found silent, and every few seconds while it stays so; one that
    cannot be read now counts as silent.
    """
    reader = event_reader(folder, PROGRESS)
    state = ExperimentState()
    heard, shown, looked, first = 0.0, -math.inf, 0.0, True
    waiting, patience = False, math.inf
    while not over():
        now = time.monotonic()
        if state.end is not None and now - looked < OVER_SECONDS:
            time.sleep(poll)
            continue
        state, news = _read_on(reader, state)
        now = looked = time.monotonic()
        was_interrupted = state.interrupted
        if news is not None:
            state = replace(state, interrupted=False)
        if news is not None and not first:
            heard = now
        elif state.end is None and now - heard > SILENT_SECONDS:
            heard = now
            state = replace(state, interrupted=not has_writer())
        if news is not None:
            waiting, patience = True, min(patience, news)
        if first or state.interrupted != was_interrupted:
            waiting, patience = True, 0.0
        if waiting and now - shown >= min(patience, pause()):
            shown, waiting, patience = now, False, math.inf
            yield StateRead(folder, state)
        first = False
        time.sleep(poll)


def _read_on(reader: LineReader[AnyEvent], state: ExperimentState) -> tuple[ExperimentState, float | None]:
    """The state that the log comes to now, and the seconds that what is new in it may wait; None where nothing is.

    Of its progress only what was told last is replayed. Events are not kept: a day's are tens of megabytes.
    """
    patience: float | None = None

    def told() -> Iterator[AnyEvent]:
        nonlocal patience
        with suppress(OSError):  # a network's disk may be away for a while: the rest is read later
            for event in reader.stream():
                patience = min(_patience(event), math.inf if patience is None else patience)
                yield event

    state = replay(told(), state)
    if (progress := last_skipped(reader)) is None:
        return state, patience
    return with_progress(state, progress), math.inf if patience is None else patience


def _patience(event: AnyEvent) -> float:
    """Seconds between two states that are shown because of such events; endless if it is no news at all."""
    match event:
        case Progress() | LossMeasured() | MemorySampled() | FileSaved():
            return math.inf
        case StageChanged(stage="training" | "validating"):
            return math.inf
        case EpochFinished():
            return EPOCH_SECONDS
        case _:
            return 0.0
