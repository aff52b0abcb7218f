"""What a list of experiments tells: which of them hold what is looked for, and of one where it is, why it ended, and in
what it is unlike the one before.

Pure, but for :func:`this_year`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import dropwhile, islice

from rich.cells import cell_len
from rich.text import Text

from engine.history.summaries import Summary
from engine.text import shown
from tui.drawing.text import cut_in_the_middle
from tui.drawing.theme import AMBER, BLUE, ROSE, rgb
from tui.words.spec_differences import unlike

MARK = "◆"


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


def detail(summaries: Sequence[Summary], one: Summary, marked: int, width: int, year: int) -> Text:
    """One of the ``summaries`` in up to three lines: its folder, cut to leave the note on it room in ``width`` cells;
    how many experiments are ``marked``, or why it ended; how its settings differ. ``year``: the present one.
    """
    note = f"  {shown(one.note)}" if one.note else ""
    text = Text(cut_in_the_middle(shown(str(one.folder)), max(width // 2, width - cell_len(note))))
    text.append(note, rgb(BLUE))
    if marked:
        text.append("\n").append_text(of_marks(marked))
    elif one.problem:
        text.append(f"\n{shown(one.problem)}", rgb(ROSE if one.status in ("failed", "damaged") else AMBER))
    if differs := beside_earlier(summaries, one, year):
        text.append("\nv ", rgb(AMBER)).append(differs)
    return text


def of_marks(marked: int) -> Text:
    """What marks on so many experiments mean; nothing where there are none."""
    things = "1 marked experiment" if marked == 1 else f"{marked} marked experiments"
    return Text(f"{MARK} Compare (3) shows {things}; x clears all marks" if marked else "", rgb(AMBER))


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
