"""An experiment in a pane beside the list of all: what it reached, what was asked for, and how that differs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from engine.history.summaries import Summary
from engine.specs.spec import Experiment
from engine.states.state import RunState
from engine.text import numbers, shown
from engine.units import UNKNOWN, percent
from tui.drawing.text import cut_in_the_middle, told_apart, wrapped
from tui.drawing.theme import AMBER, BLUE, GREY, ROSE, rgb, strategy_colours
from tui.words.run_words import mean_accuracy
from tui.words.spec_differences import in_common, side_by_side, spec_differences
from tui.words.summaries import beside_earlier

TITLES = 10
"""Cells of the column that says what stands beside it."""
MOST_LINES = 3
"""Of a text that may be long."""
FEWEST_NAME = 8


def preview(summaries: Sequence[Summary], one: Summary, width: int, year: int) -> Text:
    """One of the ``summaries`` in lines of at most ``width`` cells, what matters most first: why it ended, the note on
    it, the best validation accuracy of each strategy, how its settings differ from those before, what was asked for.
    ``year``: the present one.
    """
    lines = [
        *_part("", one.problem, width, rgb(ROSE if one.status in ("failed", "damaged") else AMBER)),
        *_part("note", one.note, width, rgb(BLUE)),
        *_reached(one, width),
        *_part("v", beside_earlier(summaries, one, year), width, title_style=rgb(AMBER)),
        *_part("data", one.data_path or ("demo set" if one.spec else ""), width),
    ]
    if one.spec is not None:
        lines += _asked(one.spec, width)
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def _part(title: str, said: str, width: int, style: str = "", title_style: str = rgb(GREY)) -> list[Text]:
    """What is said behind its title, on as many lines as it needs, three at most; nothing where nothing is."""
    beside = TITLES if title else 0
    lines = wrapped(shown(said), max(TITLES, width - beside), MOST_LINES)
    heads = [title] + [""] * len(lines)
    return [
        Text.assemble((f"{head:{beside}}", title_style), (line, style))
        for head, line in zip(heads, lines, strict=False)
    ]


def _reached(one: Summary, width: int) -> list[Text]:
    """A line a strategy: the mean of its runs' best validation accuracies, and where there are several each of them."""
    probes = {} if one.spec is None or one.spec.folds else {each.name: each.is_probe for each in one.spec.strategies}
    said = {
        name: mean_accuracy(values, probes.get(name, False)) if values else UNKNOWN
        for name, values in one.reached.items()
    }
    cells = max(map(len, said.values()), default=0)
    full = [shown(name) for name in said]
    names = told_apart(full, max(FEWEST_NAME, min(max(map(cell_len, full), default=0), width - cells - 4)))
    longest = max(map(cell_len, names), default=0)
    lines, colours = [], strategy_colours(said)
    for name, key in zip(names, said, strict=True):
        values = one.reached[key]
        line = Text("● ", rgb(colours[key])).append(name, "default")
        line.pad_right(longest + 2 - line.cell_len + 2)
        line.append(f"{said[key]:>{cells}}", "default bold")
        if len(values) > 1:
            line.append(f"  {' '.join(percent(value).removesuffix(' %') for value in values)}", rgb(GREY))
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def _asked(asked: Experiment, width: int) -> list[Text]:
    """What holds for all runs, then what differs between the strategies, then what does not."""
    data = asked.data
    parts = [
        f"seed {asked.seeds[0]}" if len(asked.seeds) == 1 else f"seeds {numbers(sorted(asked.seeds))}",
        "" if asked.folds is None else f"{asked.folds} folds",
        "split by group" if data.split == "grouped" else "",
        "" if data.test_fraction is None else f"test fraction {data.test_fraction:g}",
        f"weights {cut_in_the_middle(asked.weights, 30)}",
        f"device {asked.device}",
        f"precision {asked.precision}",
    ]
    lines = _part("all runs", " · ".join(filter(None, parts)), width)
    differ = spec_differences([[RunState(one.name, one, 0)] for one in asked.strategies])
    if differ:
        lines += [Text(), *side_by_side(tuple(one.name for one in asked.strategies), differ, width).split("\n")]
    of_all = "all" if len(asked.strategies) > 2 else "both" if len(asked.strategies) == 2 else "settings"
    return lines + _part(of_all, " · ".join(in_common(asked.strategies)), width)
