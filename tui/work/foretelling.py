"""What earlier runs here took: reads their logs, so this belongs into a thread."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.devices.here import devices_here
from engine.history.run_costs import earlier_costs
from engine.logs.events import Device, Forecast
from engine.specs.spec import Experiment
from engine.states.forecast import RunCost, counted_size, forecast
from tui.errors import record_error
from tui.work.latest import Latest

if TYPE_CHECKING:
    from engine.data.check import DataReport


class Earlier(NamedTuple):
    """What the runs of earlier experiments took, the newest first, and the devices of this machine."""

    costs: list[RunCost]
    devices: list[Device]

    def forecast(self, asked: Experiment, report: DataReport) -> Forecast:
        """What they tell of an experiment on the data of this ``report``."""
        path = os.path.abspath(report.path)  # noqa: PTH100 - as the experiment will have it
        return forecast(self.costs, asked, counted_size(path, report.counts, asked.folds), self.devices)


def earlier(out: Path) -> Earlier:
    """What the experiments in ``out`` tell; loads no torch. Nothing where they cannot be read."""
    try:
        return Earlier(earlier_costs(out), devices_here())
    except Exception:  # nobody who sets up an experiment has to know
        record_error()
        return Earlier([], [])


reading = Latest[Path, Earlier](earlier, "costs")
"""One thread, however often Setup is shown."""
