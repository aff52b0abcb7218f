"""Loads the libraries that compare, and those that know backbones, one thread at a time.

Where two threads import parts of a library whose modules import each other, Python lets one of them see a module that
is not whole yet. So every thread that may be the first to need one of these asks here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from threading import Lock

from engine.hosts.tuning import step_back, tune_process, uncollected
from tui.errors import record_error

NICE = 5
"""How far loading ahead steps back: not behind what trains, since a person may come to wait for it."""
FOR_COMPARING = (
    "numpy",
    "scipy.special",
    "scipy.stats",
    "sklearn.metrics",
    "engine.comparison.pairs",
    "tui.work.comparing",
)
"""In an order in which each takes a part of the seconds."""
FOR_BACKBONES = ("torch", "torchvision", "engine.ranking", "engine.data.discover")
"""The packages first, whole: an experiment that has just been started may be importing them too."""
SCREENS = ("tui.screens.compare", "tui.screens.runs")
"""The modes that are visited later."""
LOADING = Lock()


def load_for_comparing() -> None:
    """Imports what compares; returns at once where that was done."""
    _load(FOR_COMPARING, lambda: True)


def load_for_backbones() -> None:
    """Imports torch and what knows backbones, for a thread of its own; returns at once where that was done."""
    step_back(NICE)
    tune_process()
    _load(FOR_BACKBONES, lambda: True)


def _load(names: tuple[str, ...], is_wanted: Callable[[], bool]) -> None:
    all_there = all(name in sys.modules for name in names)  # then objects are not libraries' but a comparison's
    with LOADING, nullcontext() if all_there else uncollected():
        for name in names:
            if not is_wanted():
                return
            import_module(name)


def load_ahead(is_wanted: Callable[[], bool]) -> bool:
    """Imports what compares and the screens of the modes that are visited later, as long as it ``is_wanted``: in a
    thread of its own, before anybody waits for it. Returns whether all is there and still wanted.
    """
    step_back(NICE)
    try:
        _load((*FOR_COMPARING, *SCREENS), is_wanted)
    except Exception:  # it is told where it is needed
        record_error()
        return False
    return is_wanted()


def wait_until_loaded() -> None:
    """Returns once nobody is loading: for a thread that may load a part of the same libraries."""
    with LOADING:
        pass
