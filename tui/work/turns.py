"""When to compare again: what else was chosen at once, the same in turns, one after the other and with rests."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.states.state import ExperimentState
from tui.compared import Compared

if TYPE_CHECKING:
    from tui.work.comparing import Marks

REST = 2.5
"""Seconds between two comparisons of the same while something trains, at least: they take the processor from it."""


class CompareQuery(NamedTuple):
    """What :func:`tui.work.comparing.compare_all` is given."""

    state: ExperimentState
    folder: Path | None
    marks: Marks
    positive: str | None
    before: Compared | None = None

    def is_of_same(self, other: CompareQuery) -> bool:
        """Whether the same was chosen in both, which may have told more since."""
        return (self.folder, self.marks, self.positive) == (other.folder, other.marks, other.positive)


@dataclass
class Turn:
    """A comparison, from when it was asked for; times in seconds of one clock.

    ``is_due``: whether the same is to be compared again after it.
    """

    query: CompareQuery
    began: float
    rests_until: float = inf
    is_due: bool = False

    def end(self, now: float) -> None:
        """It is answered, and rests as long as that took, but at least :data:`REST` seconds."""
        self.rests_until = now + max(REST, now - self.began)

    def wait(self, now: float, *, trains: bool) -> float:
        """Seconds until the next of the same may begin: endless before it is answered, none after that unless something
        ``trains``, of which epochs may come faster than they can be compared.
        """
        if self.rests_until == inf:
            return inf
        return max(0.0, self.rests_until - now) if trains else 0.0
