"""What charts show of a run, or of several of a strategy: means, and the bands from lowest to highest. Pure.

By epoch, a run's means over an epoch and what validation said after it stand at the same place. Where the loss within
epochs is known, the axis counts the epochs that have gone by, from nought: a loss stands in the middle of its steps, a
mean over an epoch in the middle of that, what validation said at its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Literal

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
    train, _ = _over(runs, lambda epoch: epoch.train.accuracy, 0.5 if _is_timed(runs) else 0.0)
    val, band = _over(runs, lambda epoch: epoch.val.accuracy)
    axis = accuracy_axis([value for _, value in train + val] + [low for _, low, _ in band])
    series = _train_and_val(train, val, band, colour, percent)
    return Curves(_title("accuracy", runs), series, _epochs(runs), axis, "{:.0%}".format, empty=_nothing(runs))


def loss(runs: Sequence[RunState], colour: Colour, turned: Sequence[int] = ()) -> Curves:
    """Cross-entropy by epoch, the axis from nought; ``turned``: the epochs at which validation loss did.

    Where it is known within epochs, the curve of training goes through these losses; until the first epoch has ended,
    that curve is alone, and that epoch all of the axis.
    """
    train, _ = _over(runs, lambda epoch: epoch.train.loss)
    means, x, is_alone = train, _epochs(runs), False
    if _is_timed(runs):
        train, is_alone = _within_epochs(runs[0]), not means
        x = (0.0, 1.0) if is_alone else x
    val, band = _over(runs, lambda epoch: epoch.val.loss)
    top = rounded_up(max([value for _, value in train + val] + [high for _, _, high in band], default=1.0))
    series = _train_and_val(train, val, band, colour, "{:.3f}".format, means, "solid" if is_alone else "dotted")
    if turned:
        at = f"@{min(turned)}" if min(turned) == max(turned) else f"@{min(turned)}–{max(turned)}"
        place = fmean(turned)
        series = (*series, Series("turned", ((place, 0.0), (place, top)), AMBER, value=at))
    return Curves(_title("loss", runs), series, x, (0.0, top), "{:.3g}".format, empty=_nothing(runs))


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
    series, lowest, counts = [], list[float](), [0]
    colours = strategy_colours(name for name, _ in strategies)
    for name, runs in strategies:
        points, band = _over(runs, lambda epoch: epoch.val.accuracy)
        lowest += [value for _, value in points] + [low for _, low, _ in band]
        counts += map(_epoch_count, runs)
        series.append(Series(shown(name, 40), points, colours[name], band=band))
    return Curves("validation accuracy", tuple(series), epoch_axis(max(counts)), accuracy_axis(lowest), "{:.0%}".format)


def learning_rate(run: RunState) -> Curves:
    """The rate of every epoch as a step around or over it: solid up to the present epoch, dotted after it."""
    stride = max(1, math.ceil(len(run.learning_rates) / MOST_RATES))
    rates = run.learning_rates[::stride]
    done = len(run.epochs) + (run.status == "running" and len(run.epochs) < len(run.learning_rates))
    past = math.ceil(done / stride)
    is_timed, count = _is_timed([run]), len(run.learning_rates)
    axis, end = ((0.0, float(max(1, count))), 0.0) if is_timed else (epoch_axis(count), 0.5)
    series = (
        Series("past", steps(rates[:past], axis, each=stride, end=end), AMBER),
        Series("planned", steps(rates[past:], axis, past + 1, each=stride, end=end), AMBER, "dotted"),
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
    return run.strategy.epochs, run.epochs, run.is_over, bool(run.losses)


def _of_losses(run: RunState) -> object:
    return _of_epochs(run), run.losses


def _of_rates(run: RunState) -> object:
    return run.learning_rates, len(run.epochs), run.status, bool(run.losses)


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
    (lambda run, colour: loss([run], colour), _of_losses),
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


def _epoch_count(run: RunState) -> int:
    """The epochs that are planned, of a run that is over those that it did."""
    done = run.epochs[-1].epoch if run.epochs else 0
    return done if run.is_over else max(run.strategy.epochs, done)


def epoch_axis(epochs: int) -> tuple[float, float]:
    """From the first epoch to the last; a single one stands in the middle."""
    return (1.0, float(epochs)) if epochs > 1 else (0.5, 1.5)


def _title(name: str, runs: Sequence[RunState]) -> str:
    return f"{name}, mean of {len(runs)}" if len(runs) > 1 else name


def _is_timed(runs: Sequence[RunState]) -> bool:
    """Whether it is a single run whose loss within epochs is known."""
    return len(runs) == 1 and bool(runs[0].losses)


def _within_epochs(run: RunState) -> tuple[Point, ...]:
    """The training losses within epochs; of an epoch without any, its mean in the middle."""
    within = {loss.epoch for loss in run.losses}
    points = [(loss.epoch - 1 + (loss.after + loss.step) / (2 * loss.steps), loss.loss) for loss in run.losses]
    points += [(epoch.epoch - 0.5, epoch.train.loss) for epoch in drawn(run.epochs) if epoch.epoch not in within]
    return tuple(sorted(points))


def _over(
    runs: Sequence[RunState], value: Callable[[EpochFinished], float], before: float = 0.0
) -> tuple[tuple[Point, ...], Band]:
    """The mean by epoch over the runs that have trained it, and the lowest and the highest where there are several.

    Of a single run so many epochs ``before`` the end of each.
    """
    if len(runs) == 1:
        return tuple((epoch.epoch - before, value(epoch)) for epoch in drawn(runs[0].epochs)), ()
    found: dict[int, list[float]] = {}
    for run in runs:
        for epoch in drawn(run.epochs):
            found.setdefault(epoch.epoch, []).append(value(epoch))
    points = tuple((float(epoch), fmean(values)) for epoch, values in sorted(found.items()))
    return points, tuple((float(epoch), min(values), max(values)) for epoch, values in sorted(found.items()))


def _epochs(runs: Sequence[RunState]) -> tuple[float, float]:
    """The axis of the epochs of all of them together."""
    count = max(map(_epoch_count, runs), default=0)
    if not _is_timed(runs):
        return epoch_axis(count)
    return 0.0, float(max(1, count, runs[0].losses[-1].epoch))  # it may have been stopped within one


def _train_and_val(
    train: tuple[Point, ...],
    val: tuple[Point, ...],
    band: Band,
    colour: Colour,
    words: Callable[[float], str],
    means: tuple[Point, ...] = (),
    line: Literal["solid", "dotted"] = "dotted",
) -> tuple[Series, ...]:
    """``means``: of whole epochs, whose last one stands in the legend rather than the last point of training."""
    said = [words(points[-1][1]) if points else "" for points in (means or train, val)]
    return Series("train", train, GREY, line, said[0]), Series("val", val, colour, "solid", said[1], band=band)


def _latest(run: RunState, value: Callable[[Memory], int | None]) -> str:
    return size(next(known for point in reversed(run.memory) if (known := value(point.memory)) is not None))


def _memory_points(
    samples: Sequence[MemoryPoint], value: Callable[[Memory], int | None], began: float
) -> tuple[Point, ...]:
    return tuple(
        (point.elapsed - began, float(known)) for point in samples if (known := value(point.memory)) is not None
    )
