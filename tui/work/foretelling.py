"""What earlier runs here took: reads their logs, so this belongs into a thread."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from engine.devices.here import devices_here
from engine.folders.costs import earlier_costs
from engine.logs.events import Device
from engine.states.forecast import RunCost
from tui.errors import record_error
from tui.work.latest import Latest


class Earlier(NamedTuple):
    """What the runs of earlier experiments took, the newest first, and the devices of this machine."""

    costs: list[RunCost]
    devices: list[Device]


def earlier(out: Path) -> Earlier:
    """What the experiments in ``out`` tell; loads no torch. Nothing where they cannot be read."""
    try:
        return Earlier(earlier_costs(out), devices_here())
    except Exception:  # nobody who sets up an experiment has to know
        record_error()
        return Earlier([], [])


reading = Latest[Path, Earlier](earlier, "costs")
"""One thread, however often Setup is shown."""
