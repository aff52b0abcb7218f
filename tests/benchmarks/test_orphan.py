"""The table of what training costs without a terminal."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.orphan import COUNTS, Epochs, counted, orphan_table
from engine.logs.events import AnyEvent, RunFinished
from tests.tui import logs


def named(events: list[AnyEvent], run: str) -> list[AnyEvent]:
    """The events with a run's name changed to the one that counts."""
    return [
        msgspec.structs.replace(event, run=COUNTS) if getattr(event, "run", "") == run else event for event in events
    ]


def test_only_the_run_that_counts_is_counted() -> None:
    events = named(logs.events(), "resnet18-finetune-0")
    last = next(event for event in events if isinstance(event, RunFinished) and event.run == COUNTS)
    assert counted(events).cpu_seconds == pytest.approx(last.cpu_seconds / 12)
    with pytest.raises(RuntimeError, match="did not finish"):
        counted(logs.events())


def test_ratios_are_to_the_first_side() -> None:
    found = {"run": [Epochs(2.0, 1.0), Epochs(4.0, 2.0)], "orphan": [Epochs(2.2, 1.0), Epochs(4.0, 2.0)]}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in orphan_table(found).splitlines()[2:]]
    assert rows == [
        ["run", "3 (2–4)", "1", "1.5 (1–2)", "2"],
        ["orphan", "3.1 (2.2–4)", "1.033 (1.000–1.100)", "1.5 (1–2)", "2"],
    ]
