"""What would start, a line a strategy: how much work it is, how long it will take, and what it reached before. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from engine.history.summaries import Summary
from engine.logs.events import Forecast
from engine.specs.batch_sizes import batch_sizes
from engine.specs.spec import Experiment, with_absolute_paths
from engine.specs.strategy import settings
from engine.states.forecast import DataSize, counted_size
from engine.text import shown
from engine.units import UNKNOWN, percent_range, roughly
from tui.drawing.text import told_apart
from tui.drawing.theme import BLUE, GREY, rgb

if TYPE_CHECKING:
    from engine.data.check import DataReport

MOST = 6
"""Strategies that have a line."""
FEWEST_NAME = 9


def plan(
    asked: Experiment, images: DataSize, forecast: Forecast, before: Mapping[str, Sequence[float]], width: int
) -> Text:
    """The strategies of an experiment on these ``images`` as a table of at most ``width`` cells: epochs and steps of
    all runs, the time for them, and the validation accuracies (0..1) ``before``. The last columns go where there is no
    room for them.
    """
    rows = [_row(asked, number, images, forecast, before) for number in range(min(MOST, len(asked.strategies)))]
    heads = ("epochs", "steps", "time", "earlier val acc")
    cells = [max(len(head), *(len(row[place]) for row in rows)) for place, head in enumerate(heads)]
    names = [shown(one.name) for one in asked.strategies[:MOST]]
    longest = max(map(cell_len, names))
    while len(cells) > 1 and min(longest, FEWEST_NAME) + sum(cells) + 2 * len(cells) > width:
        cells.pop()
    room = max(1, min(longest, width - sum(cells) - 2 * len(cells)))
    lines = [Text(f"{'':{room}}" + _cells(heads, cells), rgb(GREY))]
    for name, row in zip(told_apart(names, room), rows, strict=True):
        line = Text(name)
        line.pad_right(room - line.cell_len)
        line.append(_cells(row, cells))
        if len(cells) == len(heads):
            line.stylize(rgb(BLUE), len(line) - len(row[-1]))
        lines.append(line)
    if (more := len(asked.strategies) - MOST) > 0:
        lines.append(Text(f"… {more} more", rgb(GREY)))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def reached_before(summaries: Sequence[Summary], asked: Experiment) -> dict[str, tuple[float, ...]]:
    """The best validation accuracies (0..1) of earlier runs on the same data, divided alike, with the settings that
    each strategy has now, by its name. ``UserError`` where a path cannot be one.
    """
    data = with_absolute_paths(asked).data
    found: dict[str, list[float]] = {}
    for one in summaries:
        spec = one.spec
        if spec is None or (spec.data, spec.folds) != (data, asked.folds):
            continue
        if (spec.weights == "none") != (asked.weights == "none"):
            continue
        for strategy in asked.strategies:
            alike = [other for other in spec.strategies if settings(other) == settings(strategy)]
            found.setdefault(strategy.name, []).extend(
                value for other in alike for value in one.reached.get(other.name, ())
            )
    return {name: tuple(values) for name, values in found.items() if values}


def images_found(report: DataReport, folds: int | None) -> DataSize:
    """The images of the data of this ``report``, as an experiment on them will have them."""
    return counted_size(os.path.abspath(report.path), report.counts, folds)  # noqa: PTH100 - as the experiment does


def _row(
    asked: Experiment, number: int, images: DataSize, forecast: Forecast, before: Mapping[str, Sequence[float]]
) -> tuple[str, ...]:
    strategy = asked.strategies[number]
    runs = len(asked.seeds) * (asked.folds or 1)
    an_epoch = len(batch_sizes(images.an_epoch[0], strategy.batch_size))
    epochs = f"{runs} × {strategy.epochs}" if runs > 1 else f"{strategy.epochs}"
    work = (UNKNOWN, UNKNOWN) if strategy.is_probe else (epochs, f"{runs * strategy.epochs * an_epoch:,}")
    seconds, values = forecast.seconds.get(strategy.name), before.get(strategy.name, ())
    count = f" ({len(values)})" if len(values) > 1 else ""
    time = UNKNOWN if seconds is None else roughly(seconds)
    return (*work, time, percent_range(values) + count)


def _cells(row: Sequence[str], cells: Sequence[int]) -> str:
    return "".join(f"  {text:>{width}}" for text, width in zip(row, cells, strict=False))
