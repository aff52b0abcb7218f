"""Reads the list of experiments: many logs, so this belongs into a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.history import summaries
from engine.history.summaries import Summary

SHOWN_EVERY = 0.3
"""Seconds between two drawings while many logs are being read."""
DRAWING_SHARE = 4
"""For so many times as long as the last drawing took, nothing is drawn: of thousands it takes long."""


def read_runs(
    out: Path, known: Sequence[Summary], show: Callable[[tuple[Summary, ...]], None], is_wanted: Callable[[], bool]
) -> None:
    """Has the experiments in ``out`` shown, the newest first: where none is ``known`` yet those that are read so far,
    now and then, and at last all. Logs of the ``known`` that have not changed are not read. ``show`` returns once they
    are drawn; ends as soon as it is no longer wanted.
    """
    read: list[Summary] = []
    drawn, pause = time.monotonic(), SHOWN_EVERY
    for summary in summaries.iter_summaries(out, known):
        if not is_wanted():
            return
        read.append(summary)
        if not known and time.monotonic() - drawn > pause:
            began = time.monotonic()
            show(tuple(read))
            drawn = time.monotonic()
            pause = max(SHOWN_EVERY, DRAWING_SHARE * (drawn - began))
    if is_wanted():
        show(tuple(read))
