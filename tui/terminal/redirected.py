"""Where this process's own output goes, below Python: libraries in C write there past ``sys.stdout``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def output_to(file: int) -> Iterator[tuple[int, int]]:
    """Lets the file descriptors 1 and 2 lead to an open ``file`` meanwhile; yields two that lead where they led."""
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield kept
    finally:
        for stream in streams:
            with suppress(OSError):  # a full disk: what was said is lost, not the way back
                stream.flush()
        for number, before in enumerate(kept, 1):
            os.dup2(before, number)
            os.close(before)
