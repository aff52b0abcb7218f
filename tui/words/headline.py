"""The answer of a comparison in a line, and below it the difference that it tells of as a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from engine.comparison.difference import PairedDifference, turned
from engine.comparison.difference_words import oriented, points_of, reads_as_one
from engine.comparison.rows import Comparison
from engine.comparison.strategy_means import StrategyMeans, judged, separable, strategy_means
from engine.text import counted, shown
from engine.units import percent
from tui.drawing.intervals import beside_zero
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, GREEN, GREY, ROSE, rgb, strategy_colours

CLOSE, NO_VERDICT = "Too close to call: ", "No verdict: "
LEAST_NAME = 10
"""Cells of a strategy's name below which something else is rather left out."""
SHORTEST, WIDEST = 12, 60
"""Cells of the picture: at least, and at most, since a longer line is no clearer."""


class Lead(NamedTuple):
    """By how much (0..1) the ``first`` strategy is more accurate than the ``second``, and whether this data shows it.

    ``pair``: their difference on the same images, where that is known. ``cut_short``: which of the two did not train
    all their epochs, and what they trained (``1 of 5 epochs``); then their difference shows nothing.
    """

    first: str
    second: str
    difference: float
    is_shown: bool
    pair: PairedDifference | None
    cut_short: tuple[tuple[str, str], ...] = ()


class Answer(NamedTuple):
    """What a comparison answers.

    ``strategies``: all that are compared, in the order of their runs. ``lead``: of the two most accurate ones, None
    where no two have a result. ``alone``: the only one with a result, what it reached (``95.0 %``), None where it is
    not the only one. ``not_judged``: how many have a result but no part in the ``lead``, as they were cut short.
    ``data_differs``: they cannot be compared. ``failed``: how many runs. ``goes_on``: whether some still do.
    """

    strategies: tuple[str, ...]
    lead: Lead | None
    alone: tuple[str, str] | None
    not_judged: int
    data_differs: bool
    failed: int
    goes_on: bool


def answer(comparison: Comparison) -> Answer:
    """What the verdict judges by, as data."""
    results = [] if comparison.data_differs else strategy_means(comparison)
    compared = judged(results, comparison)
    states = [row.state for row in comparison.runs]
    return Answer(
        strategies=tuple(dict.fromkeys(row.strategy for row in comparison.runs)),
        lead=_lead(compared[0], compared[1], comparison) if len(compared) > 1 else None,
        alone=(results[0].strategy, _reached(results[0])) if len(results) == 1 else None,
        not_judged=len(results) - len(compared),
        data_differs=bool(comparison.data_differs),
        failed=states.count("failed"),
        goes_on=bool({"running", "paused", "waiting"} & {*states}),
    )


def _reached(only: StrategyMeans) -> str:
    return percent(only.accuracy) + (f" after {only.cut_short}" if only.cut_short else "")


def _lead(one: StrategyMeans, other: StrategyMeans, comparison: Comparison) -> Lead:
    cut_short = tuple((some.strategy, some.cut_short) for some in (one, other) if some.cut_short)
    pair = oriented(comparison.pairs, one.strategy, other.strategy)
    if pair is None:
        is_shown = separable(one, other) and not cut_short
        return Lead(one.strategy, other.strategy, one.accuracy - other.accuracy, is_shown, None, cut_short)
    if pair.difference < 0:  # over the seeds both have, it can be the other way round
        pair = turned(pair)
    return Lead(*pair.strategies, pair.difference, pair.different and not cut_short, pair, cut_short)


def headline(found: Answer, width: int) -> Text:
    """Which strategy is more accurate, by how much, and how sure that is, in at most ``width`` cells.

    Where nothing can be compared, why; and whether runs failed or are not over.
    """
    behind = Text(f" · {counted(found.failed, 'run', 'runs')} failed" if found.failed else "", rgb(ROSE))
    behind.append(f" · {found.not_judged} not judged" if found.not_judged else "", rgb(AMBER))
    behind.append(" · still training" if found.goes_on else "", rgb(GREY))
    room = width - behind.cell_len
    if found.lead is not None and found.lead.cut_short:
        line = _cut_short(found.lead, found.strategies, room)
    elif found.lead is not None:
        line = _of_two(found.lead, found.strategies, room)
    elif found.alone is not None:
        name, reached = found.alone
        line = _with_names(f"{{}} reaches {reached}; nothing to compare it with", (name,), found.strategies, room)
    else:
        why = f"{NO_VERDICT}not measured on the same data" if found.data_differs else "No run has a result"
        line = Text(why, rgb(AMBER))
    line.stylize_before("bold")
    line.append_text(behind)
    line.truncate(width, overflow="ellipsis")
    return line


def difference(found: Answer, width: int) -> Text | None:
    """The interval of the headline's difference, and where zero is, in at most ``width`` cells; None where there is no
    such interval, or the difference shows nothing. Right of zero the headline's strategy is the better one.
    """
    lead = found.lead
    if lead is None or lead.pair is None or lead.cut_short:
        return None
    low, high = (round(100 * end, 1) + 0.0 for end in (lead.pair.low, lead.pair.high))  # never -0.0
    before, numbers, kind = "difference  ", f"  {low:+.1f} to {high:+.1f} points", ", 95 % interval"
    room = width - cell_len(before + numbers)
    if room < 2 * SHORTEST + cell_len(kind):
        kind = ""
    cells = max(SHORTEST, min(WIDEST, room - cell_len(kind)))
    colours = strategy_colours(found.strategies)
    sides = colours[lead.second], colours[lead.first]
    drawn = beside_zero((lead.pair.low, lead.pair.high), lead.difference, cells, sides)
    line = Text.assemble((before, rgb(GREY)), drawn, numbers, (kind, rgb(GREY)), no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def _of_two(lead: Lead, strategies: Sequence[str], room: int) -> Text:
    """Both are named where there is room, or where more than two are compared and names are not cut too short."""
    both, by, sure = (lead.first, lead.second), points_of(lead.difference), ""
    are_two = len(strategies) == 2
    if lead.is_shown:
        said, sure = (f"{{}} beats {{}} by {by}", f"{{}} is more accurate by {by}"), ", beyond chance"
    elif lead.difference == 0:
        they = "both" if are_two else "the best two"
        said = f"{CLOSE}{{}} and {{}} are equally accurate", f"{CLOSE}{they} are equally accurate"
    else:
        said = f"{CLOSE}{{}} is ahead of {{}} by {by}", f"{CLOSE}{{}} is ahead by {by}"
    left = room - cell_len(said[0].replace("{}", "") + sure)
    wanted = sum(cell_len(shown(name)) for name in both) if are_two else 2 * LEAST_NAME
    chosen = said[left < wanted]
    one_seed = " (one seed)" if lead.is_shown and lead.pair is not None and lead.pair.seeds == 1 else ""
    if room - cell_len(chosen.replace("{}", "") + sure + one_seed) >= LEAST_NAME * chosen.count("{}"):
        sure += one_seed
    line = _with_names(chosen, both, strategies, room - cell_len(sure))
    if not lead.is_shown:
        line.stylize(rgb(AMBER), 0, len(CLOSE))
    return line.append(sure, rgb(GREEN))


def _cut_short(lead: Lead, strategies: Sequence[str], room: int) -> Text:
    """Who did not train all its epochs; by how much it is behind or ahead where there is room for that and its name."""
    names, trained = zip(*lead.cut_short, strict=True)
    said = NO_VERDICT + ", ".join(f"{{}} trained {epochs}" for epochs in trained)
    if len(names) == 1 and reads_as_one(lead.difference):
        where = "ahead" if names[0] == lead.first else "behind"
        longer = f"{said}, {points_of(lead.difference)} {where}"
        said = longer if cell_len(longer.replace("{}", shown(names[0], 160))) <= room else said
    line = _with_names(said, names, strategies, room)
    line.stylize(rgb(AMBER), 0, len(NO_VERDICT))
    return line


def _with_names(said: str, names: Sequence[str], strategies: Sequence[str], room: int) -> Text:
    """The sentence with a strategy's name in place of each ``{}``, cut so that all have room."""
    parts = said.split("{}")
    colours = strategy_colours(strategies)
    names = names[: len(parts) - 1]
    left = room - cell_len("".join(parts))
    whole = [shown(name, 160) for name in names]
    cells = max(1, left // max(1, len(names)))
    while cells < max(map(cell_len, whole), default=0) and sum(min(cell_len(one), cells + 1) for one in whole) <= left:
        cells += 1
    line = Text(parts[0], no_wrap=True)
    for name, cut, part in zip(names, told_apart(whole, cells), parts[1:], strict=True):
        line.append(cut, rgb(colours[name])).append(part)
    return line
