"""What charts show of a run, or of several of a strategy: means, and the bands from lowest to highest. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from statistics import fmean

from engine.logs.events import EpochFinished, Memory
from engine.states.state import MemoryPoint, RunState
from engine.text import shown
from engine.units import duration, percent, size
from tui.drawing.plot import Curves, Point, Series, steps
from tui.drawing.theme import AMBER, BLUE, GREY, ROSE, Colour, strategy_colours

Band = tuple[tuple[float, float, float], ...]
MEMORY_SERIES: tuple[tuple[str, Callable[[Memory], int | None], Colour, bool], ...] = (
    ("device", lambda memory: memory.device_used, GREY, True),
    ("reserved", lambda memory: memory.reserved, AMBER, True),
    ("peak", lambda memory: memory.peak_allocated, ROSE, False),
    ("allocated", lambda memory: memory.allocated, BLUE, False),
)
"""Memory on a CUDA device: label, value, colour, whether dotted."""
DECADES_WORTH_A_LOG = 20
"""A learning rate that falls by more than this factor is drawn on a logarithmic axis."""
MOST_EPOCHS = 4000
"""Many times what a screen has columns; looking at more each time one is added would hold up the keys."""
MOST_RATES = 1000
"""Likewise of learning rates, which are planned and have no peaks of a single epoch."""


def accuracy(runs: Sequence[RunState], colour: Colour) -> Curves:
    """Accuracy by epoch, 0..1; ``colour``: the strategy's."""
    train, _ = _over(runs, lambda epoch: epoch.train.accuracy)
    val, band = _over(runs, lambda epoch: epoch.val.accuracy)
    axis = accuracy_axis([value for _, value in train + val] + [low for _, low, _ in band])
    series = _train_and_val(train, val, band, colour, percent)
    return Curves(_title("accuracy", runs), series, _epochs(runs), axis, "{:.0%}".format, empty=_nothing(runs))


def loss(runs: Sequence[RunState], colour: Colour, turned: Sequence[int] = ()) -> Curves:
    """Cross-entropy by epoch, the axis from nought; ``turned``: the epochs at which validation loss did."""
    train, _ = _over(runs, lambda epoch: epoch.train.loss)
    val, band = _over(runs, lambda epoch: epoch.val.loss)
    top = rounded_up(max([value for _, value in train + val] + [high for _, _, high in band], default=1.0))
    series = _train_and_val(train, val, band, colour, "{:.3f}".format)
    if turned:
        at = f"@{min(turned)}" if min(turned) == max(turned) else f"@{min(turned)}–{max(turned)}"
        place = fmean(turned)
        series = (*series, Series("turned", ((place, 0.0), (place, top)), AMBER, value=at))
    return Curves(_title("loss", runs), series, _epochs(runs), (0.0, top), "{:.3g}".format, empty=_nothing(runs))


def gap(runs: Sequence[RunState]) -> Curves:
    """Training less validation accuracy by epoch, from -1 to 1."""
    points, band = _over(runs, lambda epoch: epoch.train.accuracy - epoch.val.accuracy)
    values = [value for _, value in points] + [low for _, low, _ in band] + [high for _, _, high in band]
    low, high = min(values, default=0.0), max(values, default=0.0)
    bottom, top = -rounded_up(-low) if low < 0 else 0.0, rounded_up(high) if high > 0 else 0.0
    last = f"{100 * points[-1][1]:+.1f} points" if points else ""
    span = _epochs(runs)
    level = Series("", ((span[0], 0.0), (span[1], 0.0)), GREY, "dotted")
    series = (level, Series("train - val", points, ROSE, value=last, band=band)) if points else ()
    if top - bottom < 0.02:
        bottom, top = bottom - 0.01, top + 0.01
    return Curves(_title("gap", runs), series, span, (bottom, top), lambda value: f"{100 * value:+.0f} pt")


def together(strategies: Sequence[tuple[str, Sequence[RunState]]]) -> Curves:
    """Validation accuracy of every strategy by epoch, 0..1: means over its runs, with bands where there are several."""
    series, lowest, spans = [], list[float](), [epoch_axis(0)]
    colours = strategy_colours(name for name, _ in strategies)
    for name, runs in strategies:
        points, band = _over(runs, lambda epoch: epoch.val.accuracy)
        lowest += [value for _, value in points] + [low for _, low, _ in band]
        spans.append(_epochs(runs))
        series.append(Series(shown(name, 40), points, colours[name], band=band))
    return Curves("validation accuracy", tuple(series), max(spans), accuracy_axis(lowest), "{:.0%}".format)


def learning_rate(run: RunState) -> Curves:
    """The rate of every epoch as a step around it: solid up to the present epoch, dotted after it."""
    stride = max(1, math.ceil(len(run.learning_rates) / MOST_RATES))
    rates = run.learning_rates[::stride]
    done = len(run.epochs) + (run.status == "running" and len(run.epochs) < len(run.learning_rates))
    past = math.ceil(done / stride)
    axis = epoch_axis(len(run.learning_rates))
    series = (
        Series("past", steps(rates[:past], axis, each=stride), AMBER),
        Series("planned", steps(rates[past:], axis, past + 1, each=stride), AMBER, "dotted"),
    )
    drawn = tuple(part for part in series if part.points)
    top, low = max(rates, default=1.0), min(rates, default=0.0)
    logarithmic = low > 0 and top / low > DECADES_WORTH_A_LOG
    y = (low / 1.5, top * 1.2) if logarithmic else (0.0, rounded_up(top))
    return Curves(
        "head learning rate" if run.stage_rates else "learning rate",
        drawn,
        axis,
        y,
        "{:.0e}".format if logarithmic else "{:.2g}".format,
        logarithmic=logarithmic,
        empty="none: L-BFGS solves it directly" if run.strategy.is_probe and not run.never_began else _nothing([run]),
    )


def memory(run: RunState, colour: Colour) -> Curves:
    """Memory by seconds since the run's first sample: the card's where there is one, else the process's alone, in the
    strategy's ``colour``. The curves end with the last sample that moved a dot, the legend tells the latest.
    """
    step = 1 if run.is_over else _step(run)
    points = run.memory[: len(run.memory) // step * step]
    began = points[0].elapsed if points else 0.0
    if points and points[-1].memory.allocated is not None:
        series = tuple(
            Series(label, known, colour, "dotted" if dotted else "solid", _latest(run, value))
            for label, value, colour, dotted in MEMORY_SERIES
            if (known := _memory_points(points, value, began))
        )
    elif points:
        rss = _memory_points(points, lambda memory: memory.rss, began)
        peak = size(max(point.memory.peak_rss for point in run.memory))
        now = _latest(run, lambda memory: memory.rss)
        series = (Series("process RSS", rss, colour, value=f"{now}, peak {peak}"),)
    else:
        series = ()
    top = max((value for part in series for _, value in part.points), default=1.0)
    seconds = max(1.0, points[-1].elapsed - began) if points else 1.0
    return Curves(
        "memory",
        series,
        (0.0, seconds),
        (0.0, _rounded_size(top)),
        size,
        x_label=_seconds,
        whole_x=False,
        empty=_nothing([run]),
    )


def _of_epochs(run: RunState) -> object:
    return run.strategy.epochs, run.epochs, run.is_over


def _of_rates(run: RunState) -> object:
    return run.learning_rates, len(run.epochs), run.status


def _of_memory(run: RunState) -> object:
    """Every sample at first, then each time that there are a fiftieth more: fewer would move no dot by a cell; and each
    that reads otherwise in the legend.
    """
    step = _step(run)
    return len(run.memory) // step, step, run.is_over, _in_words(run.memory[-1].memory) if run.memory else ()


def _step(run: RunState) -> int:
    """Samples of memory that move a dot of the chart."""
    return max(1, len(run.memory) // 50)


def _in_words(memory: Memory) -> tuple[str, ...]:
    """What the legend says of a sample."""
    values = [memory.rss] if memory.allocated is None else [value(memory) for _, value, *_ in MEMORY_SERIES]
    return tuple(size(value) for value in values if value is not None)


CHARTS: tuple[tuple[Callable[[RunState, Colour], Curves], Callable[[RunState], object]], ...] = (
    (lambda run, colour: accuracy([run], colour), _of_epochs),
    (lambda run, colour: loss([run], colour), _of_epochs),
    (lambda run, _: learning_rate(run), _of_rates),
    (memory, _of_memory),
)
"""The charts of a run in their order: its curves, of which the strategy has its colour, and what of the run they are
made of.
"""


def drawn(epochs: Sequence[EpochFinished]) -> Sequence[EpochFinished]:
    """The epochs that curves are made of: all, or of very many every second, third … and the last."""
    stride = math.ceil(len(epochs) / MOST_EPOCHS)
    return epochs if stride <= 1 else (*epochs[:-1:stride], epochs[-1])


def accuracy_axis(accuracies: Iterable[float]) -> tuple[float, float]:
    """From the ten per cent below the lowest of the accuracies (0..1), at most 0.9, to 1."""
    low = min(accuracies, default=0.5)
    return min(0.9, max(0.0, math.floor(10 * low - 1e-9) / 10)), 1.0


def rounded_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 8 times a power of ten: an axis that does not change with every point."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 5, 8, 10) if step * power >= value * (1 - 1e-9))


def _rounded_size(value: float) -> float:
    unit = 2.0**30 if value >= 1000 * 2**20 else 2.0**20
    return rounded_up(value / unit) * unit


def _seconds(value: float) -> str:
    return duration(value) if value else "0"


def _nothing(runs: Sequence[RunState]) -> str:
    """What stands in place of a curve without points."""
    if runs and all(run.never_began for run in runs):
        return "skipped before it started"
    return "nothing was measured" if runs and all(run.is_over for run in runs) else "nothing yet"


def epochs_of(run: RunState) -> tuple[float, float]:
    """The axis of the epochs: all that are planned, of a run that is over those that it did."""
    done = run.epochs[-1].epoch if run.epochs else 0
    return epoch_axis(done if run.is_over else max(run.strategy.epochs, done))


def epoch_axis(epochs: int) -> tuple[float, float]:
    """From the first epoch to the last; a single one stands in the middle."""
    return (1.0, float(epochs)) if epochs > 1 else (0.5, 1.5)


def _title(name: str, runs: Sequence[RunState]) -> str:
    return f"{name}, mean of {len(runs)}" if len(runs) > 1 else name


def _over(runs: Sequence[RunState], value: Callable[[EpochFinished], float]) -> tuple[tuple[Point, ...], Band]:
    """The mean by epoch over the runs that have trained it, and the lowest and the highest where there are several."""
    if len(runs) == 1:
        return tuple((float(epoch.epoch), value(epoch)) for epoch in drawn(runs[0].epochs)), ()
    found: dict[int, list[float]] = {}
    for run in runs:
        for epoch in drawn(run.epochs):
            found.setdefault(epoch.epoch, []).append(value(epoch))
    points = tuple((float(epoch), fmean(values)) for epoch, values in sorted(found.items()))
    return points, tuple((float(epoch), min(values), max(values)) for epoch, values in sorted(found.items()))


def _epochs(runs: Sequence[RunState]) -> tuple[float, float]:
    """The axis of the epochs of all of them together."""
    return max(map(epochs_of, runs), key=itemgetter(1), default=epoch_axis(0))


def _train_and_val(
    train: tuple[Point, ...], val: tuple[Point, ...], band: Band, colour: Colour, words: Callable[[float], str]
) -> tuple[Series, ...]:
    latest = [words(points[-1][1]) if points else "" for points in (train, val)]
    return Series("train", train, GREY, "dotted", latest[0]), Series("val", val, colour, "solid", latest[1], band=band)


def _latest(run: RunState, value: Callable[[Memory], int | None]) -> str:
    return size(next(known for point in reversed(run.memory) if (known := value(point.memory)) is not None))


def _memory_points(
    samples: Sequence[MemoryPoint], value: Callable[[Memory], int | None], began: float
) -> tuple[Point, ...]:
    return tuple(
        (point.elapsed - began, float(known)) for point in samples if (known := value(point.memory)) is not None
    )
