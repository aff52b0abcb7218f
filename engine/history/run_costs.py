"""What the runs of earlier experiments took, read from their logs. Imports without torch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from engine import cache
from engine.errors import UserError
from engine.history.experiment_state import FREQUENT
from engine.logs.folder import experiments
from engine.logs.log import event_reader
from engine.states.forecast import RunCost, run_costs

NEWEST = 50
"""So many experiments are read: those before them say less of the machine as it is now, and nobody waits for more."""


def earlier_costs(out: Path) -> list[RunCost]:
    """What the runs of the newest experiments in ``out`` took, the newest first; unreadable logs tell nothing."""
    found: list[RunCost] = []
    for folder in experiments(out)[:NEWEST]:
        with suppress(OSError):
            found += run_costs(event_reader(folder, FREQUENT).read())
    if _cache_is_empty():  # then nothing that they prepared is found again
        found = [msgspec.structs.replace(cost, data=cost.data._replace(path="")) for cost in found]
    return found


def _cache_is_empty() -> bool:
    try:
        return not (cache.limit() and cache.entries())
    except (OSError, UserError):
        return True
