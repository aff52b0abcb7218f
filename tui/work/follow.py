"""Following an experiment's log in a thread, so that no disk and no long log can hold up the screen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from engine.history.experiment_state import PROGRESS, last_skipped, with_progress
from engine.logs.events import AnyEvent, EpochFinished, FileSaved, LossMeasured, MemorySampled, Progress, StageChanged
from engine.logs.log import LineReader, event_reader
from engine.states.replay import replay
from engine.states.state import ExperimentState
from tui.messages import StateRead

POLL_SECONDS = 0.125


class Pace(NamedTuple):
    """Seconds between two looks at the log, 0 for :data:`POLL_SECONDS`, between two drawings of what only moves
    numbers, and of ends of epochs, of which a probe has many a second. Each takes its time from training on the same
    cores.
    """

    looks: float
    numbers: float
    epochs: float


WATCHED = Pace(looks=0.0, numbers=1.0, epochs=0.5)
UNWATCHED = Pace(looks=0.5, numbers=3.0, epochs=3.0)
"""Where nobody may be looking."""
OVER_SECONDS = 1.0
"""A log with an end is read this often: it may be gone on with."""
SILENT_SECONDS = 3.0
"""A writer that lives says something every second; only a log that is silent longer is checked for its writer."""


def follow(
    folder: Path,
    over: Callable[[], bool],
    has_writer: Callable[[], bool],
    poll: float = POLL_SECONDS,
    pace: Callable[[], Pace] = lambda: WATCHED,
) -> Iterator[StateRead]:
    """The experiment's state whenever it changed, until ``over()``, the first one at once; where only numbers did or
    epochs ended, as ``pace()`` has it. Another pace counts within ``poll`` seconds.

    Asks ``has_writer`` when a log without an end is found silent, and every few seconds while it stays so; one that
    cannot be read now counts as silent.
    """
    reader = event_reader(folder, PROGRESS)
    state = ExperimentState()
    heard, shown, looked, first = 0.0, -math.inf, 0.0, True
    waiting, patience = False, math.inf
    while not over():
        now, present = time.monotonic(), pace()
        if now - looked < (present.looks if state.end is None else OVER_SECONDS):
            time.sleep(poll)
            continue
        state, news = _read_on(reader, state, present)
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
        if waiting and now - shown >= min(patience, present.numbers):
            shown, waiting, patience = now, False, math.inf
            yield StateRead(folder, state)
        first = False
        time.sleep(poll)


def _read_on(reader: LineReader[AnyEvent], state: ExperimentState, pace: Pace) -> tuple[ExperimentState, float | None]:
    """The state that the log comes to now, and the seconds that what is new in it may wait; None where nothing is.

    Of its progress only what was told last is replayed. Events are not kept: a day's are tens of megabytes.
    """
    patience: float | None = None

    def told() -> Iterator[AnyEvent]:
        nonlocal patience
        with suppress(OSError):  # a network's disk may be away for a while: the rest is read later
            for event in reader.stream():
                patience = min(_patience(event, pace), math.inf if patience is None else patience)
                yield event

    state = replay(told(), state)
    if (progress := last_skipped(reader)) is None:
        return state, patience
    return with_progress(state, progress), math.inf if patience is None else patience


def _patience(event: AnyEvent, pace: Pace) -> float:
    """Seconds between two states that are shown because of such events; endless if it is no news at all."""
    match event:
        case Progress() | LossMeasured() | MemorySampled() | FileSaved():
            return math.inf
        case StageChanged(stage="training" | "validating"):
            return math.inf
        case EpochFinished():
            return pace.epochs
        case _:
            return 0.0
