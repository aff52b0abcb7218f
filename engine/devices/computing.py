"""The lock that lets one experiment or ranking compute at a time: torch's random generator is the process's."""

from __future__ import annotations

import threading

COMPUTING = threading.Lock()
"""Held by an experiment or a ranking while it goes on. A ranking that was left ends within a step; beside it, an
experiment would draw other random numbers than alone.
"""
