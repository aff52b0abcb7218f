"""How long an experiment is foretold to take, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.logs.events import Forecast
from engine.text import listed
from engine.units import roughly

NAMED = 2
"""Strategies of which nothing is known are named up to so many."""


def how_long(forecast: Forecast, strategies: Sequence[str]) -> str:
    """``about 4 min``, ``at least 2 min after decoding``; empty where nothing is known of any of the strategies."""
    known = [forecast.seconds[name] for name in strategies if name in forecast.seconds]
    if not known:
        return ""
    after = " after decoding" if forecast.decodes else ""
    return f"{'about' if len(known) == len(strategies) else 'at least'} {roughly(sum(known))}{after}"


def on_what_ground(forecast: Forecast, strategies: Sequence[str]) -> str:
    """Where that is from, or of which strategies it leaves out what they take: ``no comparable earlier runs of
    x``: there may be some on another machine, with other settings, or that finished no epoch.
    """
    unknown = [name for name in strategies if name not in forecast.seconds]
    return f"no comparable earlier runs of {listed(unknown, NAMED)}" if unknown else "based on earlier runs"
