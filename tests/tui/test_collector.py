"""When the collector looks at everything."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tui.work.collector import DUE, IDLE, MOST, collect, collected_seldom


class Ring:
    """What only the collector finds."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def as_in_the_app() -> Iterator[None]:
    """What the app sets of the process holds for one test alone; Python's own numbers, not the suite's, before."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    with collected_seldom():
        yield
    assert gc.get_threshold() == (700, 10, 10)
    gc.set_threshold(*before)
    gc.enable()


def whole_looks() -> int:
    """How often the collector has looked at everything."""
    return gc.get_stats()[2]["collections"]


def made_due() -> None:
    """As many looks at the younger objects as make one at everything due."""
    gc.collect()
    for _ in range(DUE + 1):
        gc.collect(1)


def test_it_comes_when_it_is_due_and_nobody_waits() -> None:
    made_due()
    before = whole_looks()
    collect(IDLE / 2)
    assert whole_looks() == before
    collect(IDLE)
    assert whole_looks() == before + 1
    collect(IDLE)  # nothing is due now
    assert whole_looks() == before + 1


def test_it_waits_for_libraries_that_are_being_loaded() -> None:
    made_due()
    before = whole_looks()
    gc.disable()
    collect(IDLE)
    assert whole_looks() == before


def test_it_comes_in_any_case_in_the_end() -> None:
    gc.collect()
    before = whole_looks()
    kept = []
    for _ in range(MOST * 40):  # as a person who never lets go of a key
        kept.append([Ring() for _ in range(500)])
        if whole_looks() > before:
            break
    assert whole_looks() > before
