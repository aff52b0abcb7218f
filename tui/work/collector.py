"""Python's garbage collector goes through all objects while nobody waits for a key's answer.

That takes 0.07 s and more of the app's. It normally runs while a key press is being drawn, every fifteenth time or so,
since that is when objects are made.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

IDLE = 1.0
"""Seconds without a key after which nobody waits for an answer."""
DUE = 20
"""After so many looks at the younger objects one at everything is worth its time (Python's own rule: 10)."""
MOST = 200
"""After so many it comes in any case, as long as keys may be pressed."""


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Meanwhile only :func:`collect` looks at everything, but for what cannot wait."""
    before = gc.get_threshold()
    gc.set_threshold(*before[:2], MOST)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def collect(idle: float) -> None:
    """Looks at everything if that is due, ``idle`` seconds after the last key, and no library is being loaded."""
    if idle >= IDLE and gc.get_count()[2] >= DUE and gc.isenabled():
        gc.collect()
