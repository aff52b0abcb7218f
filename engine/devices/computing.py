"""Whose turn it is to compute: torch's random generator, threads and precision belong to the process. Without torch."""

from __future__ import annotations

import threading

COMPUTING = threading.Lock()
"""Held by an experiment or a ranking while it goes on. A ranking that was left ends within a step; beside it, an
experiment would draw other random numbers than alone.
"""
