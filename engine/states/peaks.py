"""The peak of each kind of memory over a run."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from engine.logs.events import Memory


class PeakMemory(Struct, frozen=True):
    """The most that was seen of each kind of memory during a run, in bytes; None for kinds that there are not.

    ``device`` is the whole card's, other programs' included; the others are this process's.
    """

    rss: int | None = None
    allocated: int | None = None
    reserved: int | None = None
    device: int | None = None

    def raised(self, *seen: Memory) -> PeakMemory:
        """The most of this and of what was seen since."""
        return PeakMemory(
            rss=_most(self.rss, (memory.peak_rss for memory in seen)),
            allocated=_most(self.allocated, (memory.peak_allocated for memory in seen)),
            reserved=_most(self.reserved, (memory.reserved for memory in seen)),
            device=_most(self.device, (memory.device_used for memory in seen)),
        )


def _most(before: int | None, values: Iterable[int | None]) -> int | None:
    return max((value for value in (before, *values) if value is not None), default=None)
