"""What earlier runs here took: reads their logs, so this belongs into a thread."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from engine import cache
from engine.devices.here import devices_here
from engine.history.experiment_state import read_quickly
from engine.history.run_costs import NEWEST, earlier_costs
from engine.history.summaries import Summary, iter_summaries
from engine.logs.events import Device, Forecast
from engine.specs.spec import Experiment
from engine.states.forecast import DataSize, RunCost, forecast
from tui.errors import record_error
from tui.work.latest import Latest


class Earlier(NamedTuple):
    """What the runs of earlier experiments took, the newest first, and, where there are any, the devices of this
    machine; ``summaries``: the experiments, the newest first.
    """

    costs: list[RunCost]
    devices: list[Device]
    summaries: tuple[Summary, ...] = ()

    def forecast(self, asked: Experiment, images: DataSize) -> Forecast:
        """What they tell of an experiment on these images."""
        return forecast(self.costs, asked, images, self.devices)


def earlier_reader() -> Callable[[Path], Earlier]:
    """A function that says what the experiments in a folder tell; loads no torch, and reads no log twice where none
    tells more since. Nothing where they cannot be read.
    """
    before: tuple[object, Earlier] = None, Earlier([], [])

    def earlier(out: Path) -> Earlier:
        nonlocal before
        try:
            summaries = tuple(islice(iter_summaries(out, before[1].summaries), NEWEST))
            made_of = [(one.folder, _told(one)) for one in summaries], bool(cache.limit() and cache.entries())
            if made_of != before[0]:
                costs = earlier_costs(out)
                before = made_of, Earlier(costs, devices_here() if costs else [])  # a library is loaded for cards
            before = made_of, before[1]._replace(summaries=summaries)
        except Exception:  # nobody who sets up an experiment has to know
            record_error()
            return Earlier([], [])
        return before[1]

    return earlier


def _told(of: Summary) -> object:
    """What changes when an experiment may tell more: of a running one, whose log grows all the time, the runs that have
    finished.
    """
    if of.status not in ("running", "paused"):
        return of.stamp
    state, _ = read_quickly(of.folder)
    return [run.run for run in state.runs if run.status == "finished"]


reading = Latest[Path, Earlier](earlier_reader(), "costs")
"""One thread, however often Setup is shown."""
