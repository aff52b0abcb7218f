"""Ranks backbones for a window that may be left at any moment: :func:`rank_for` belongs into a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from engine.progress import WorkDone
from engine.specs.spec import DataSource
from tui.errors import reason
from tui.work.latest import Latest
from tui.work.loading import load_for_backbones

if TYPE_CHECKING:
    from engine.ranking import Ranked

SAID_EVERY = 0.25
"""Seconds after which it is said again how far the work is."""


class RankingQuery(NamedTuple):
    """Which backbones to rank, on what, as in an experiment.

    ``tell`` takes, from the thread, how far the work on the next one is, or all that are done so far, the best first.
    Setting ``left`` ends it.
    """

    source: DataSource
    backbones: tuple[str, ...]
    weights: str
    device: str
    tell: Callable[[WorkDone | tuple[Ranked, ...]], object]
    left: threading.Event


def rank_for(asked: RankingQuery) -> str:
    """Ranks what is asked for, or what of it was done when it was left; in a line why it cannot go on, or nothing."""
    if asked.left.is_set():
        return ""
    try:
        load_for_backbones()
        _rank(asked)
    except Exception as error:
        return reason(error)
    return ""


def _rank(asked: RankingQuery) -> None:
    from engine.data.discover import discover  # noqa: PLC0415 - imports what finds and groups images
    from engine.devices.memory_probe import release_memory  # noqa: PLC0415 - imports torch
    from engine.ranking import best_first, rank  # noqa: PLC0415

    found: list[Ranked] = []
    said = 0.0
    try:
        with closing(rank(discover(asked.source), asked.backbones, asked.weights, asked.device)) as work:
            for now in work:
                if asked.left.is_set():
                    return
                if not isinstance(now, WorkDone):
                    found.append(now)
                    asked.tell(best_first(found))
                elif monotonic() - said > SAID_EVERY:
                    said = monotonic()
                    asked.tell(now)
    finally:
        release_memory()  # what an experiment that comes next takes is its own


working = Latest[RankingQuery, str](rank_for, "ranking")
"""One thread: what was left ends before the next begins."""
