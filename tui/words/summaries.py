"""What a list of experiments tells: which of them hold what is looked for, and in what one is unlike the one before.

Pure, but for :func:`this_year`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import dropwhile, islice

from engine.folders.history import Summary
from tui.words.spec_differences import unlike


def earlier(summaries: Sequence[Summary], one: Summary) -> Summary | None:
    """The experiment before one of the ``summaries``, newest first, on the same data, if its settings are known."""
    older = islice(dropwhile(lambda summary: summary.folder != one.folder, summaries), 1, None)
    return next((summary for summary in older if summary.spec and summary.data_path == one.data_path), None)


def beside_earlier(summaries: Sequence[Summary], one: Summary, year: int) -> str:
    """How the settings of one of the ``summaries`` differ from those before it on the same data; empty for the
    first on its data. ``year``: the present one.
    """
    before = earlier(summaries, one)
    if one.spec is None or before is None or before.spec is None:
        return ""
    began, said = when(before.began, year), "; ".join(unlike(before.spec, one.spec))
    return f"vs {began}: {said}" if said else f"same settings as {began}"


def matching(summaries: Sequence[Summary], words: Sequence[str]) -> tuple[Summary, ...]:
    """Those that hold every word, in small letters, in their name, note, data, strategies or status."""

    def holds(one: Summary) -> bool:
        text = "\n".join((one.name, one.note, one.data, one.data_path, *one.strategies, one.status)).casefold()
        return all(word in text for word in words)

    return tuple(filter(holds, summaries))


def when(began: datetime | None, year: int) -> str:
    """Local time in this ``year``, the date in any other."""
    if began is None:
        return "–"
    local = began.astimezone()
    return f"{local:%m-%d %H:%M}" if local.year == year else f"{local:%Y-%m-%d}"


def this_year() -> int:
    """That of local time."""
    return datetime.now().astimezone().year
