"""Following an experiment's log in a thread, so that no disk and no long log can hold up the screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from engine.history.experiment_state import PROGRESS, last_skipped, with_progress
from engine.logs.events import AnyEvent, MemorySampled, Progress
from engine.logs.folder import EVENTS
from engine.logs.log import LineReader
from engine.states.replay import replay
from engine.states.state import ExperimentState
from tui.messages import StateRead

POLL_SECONDS = 0.125
PROGRESS_SECONDS = 1.0
"""What only moves a number is shown this often: each time costs training on the same cores as much as drawing takes."""
OVER_SECONDS = 1.0
"""A log with an end is read this often: it may be gone on with."""
SILENT_SECONDS = 3.0
"""A writer that lives says something every second; only a log that is silent longer is checked for its writer."""


def follow(
    folder: Path, over: Callable[[], bool], has_writer: Callable[[], bool], poll: float = POLL_SECONDS
) -> Iterator[StateRead]:
    """The experiment's state whenever it changed, until ``over()``, the first one at once.

    Where only progress and memory did, every :data:`PROGRESS_SECONDS` at most.
    Asks ``has_writer`` when a log without an end is found silent, and every few seconds while it stays so; one that
    cannot be read now counts as silent.
    """
    reader: LineReader[AnyEvent] = LineReader(folder / EVENTS, AnyEvent, PROGRESS)
    state = ExperimentState()
    heard, shown, looked, waiting, first = 0.0, 0.0, 0.0, False, True
    while not over():
        now = time.monotonic()
        if state.end is not None and now - looked < OVER_SECONDS:
            time.sleep(poll)
            continue
        try:
            events, state = _read_on(reader, state)
        except OSError:  # a network's disk may be away for a while
            events = []
        now = looked = time.monotonic()
        changed = bool(events) or first
        if events:
            state = replace(state, interrupted=False)
        if events and not first:
            heard = now
        elif state.end is None and now - heard > SILENT_SECONDS:
            heard = now
            gone = not has_writer()
            changed = changed or gone != state.interrupted
            state = replace(state, interrupted=gone)
        waiting = waiting or changed
        is_news = changed and not (events and all(isinstance(event, Progress | MemorySampled) for event in events))
        if is_news or (waiting and now - shown >= PROGRESS_SECONDS):
            shown, waiting = now, False
            yield StateRead(folder, state)
        first = False
        time.sleep(poll)


def _read_on(reader: LineReader[AnyEvent], state: ExperimentState) -> tuple[list[AnyEvent], ExperimentState]:
    """What is new in the log, of its progress only what was told last, and the state that this comes to."""
    events, progress = reader.read(), last_skipped(reader)
    state = with_progress(replay(events, state), progress)
    return (events if progress is None else [*events, progress]), state
