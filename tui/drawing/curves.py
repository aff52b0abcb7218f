"""What the four charts of a run show: curves from its state. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from engine.logs.events import EpochFinished, Memory
from engine.states.state import RunState
from engine.units import duration, percent, size
from tui.drawing.plot import Curves, Point, Series, steps
from tui.drawing.theme import AMBER, BLUE, GREEN, GREY, ROSE, Colour

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


def accuracy(run: RunState) -> Curves:
    """Accuracy by epoch, 0..1."""
    epochs = drawn(run.epochs)
    train = tuple((float(epoch.epoch), epoch.train.accuracy) for epoch in epochs)
    val = tuple((float(epoch.epoch), epoch.val.accuracy) for epoch in epochs)
    axis = accuracy_axis(value for _, value in train + val)
    return Curves(
        "accuracy", _train_and_val(train, val, percent), epochs_of(run), axis, "{:.0%}".format, empty=_nothing(run)
    )


def loss(run: RunState) -> Curves:
    """Cross-entropy by epoch, the axis from nought."""
    epochs = drawn(run.epochs)
    train = tuple((float(epoch.epoch), epoch.train.loss) for epoch in epochs)
    val = tuple((float(epoch.epoch), epoch.val.loss) for epoch in epochs)
    top = rounded_up(max((value for _, value in train + val), default=1.0))
    return Curves(
        "loss",
        _train_and_val(train, val, "{:.3f}".format),
        epochs_of(run),
        (0.0, top),
        "{:.3g}".format,
        empty=_nothing(run),
    )


def learning_rate(run: RunState) -> Curves:
    """The rate of every epoch as steps: solid up to the present epoch, dotted after it."""
    stride = max(1, math.ceil(len(run.learning_rates) / MOST_EPOCHS))
    rates = run.learning_rates[::stride]
    done = len(run.epochs) + (run.status == "running" and len(run.epochs) < len(run.learning_rates))
    past = math.ceil(done / stride)
    series = (
        Series("past", steps(rates[:past], each=stride), AMBER),
        Series("planned", steps(rates[past:], past + 1, each=stride), AMBER, "dotted"),
    )
    drawn = tuple(part for part in series if part.points)
    top, low = max(rates, default=1.0), min(rates, default=0.0)
    logarithmic = low > 0 and top / low > DECADES_WORTH_A_LOG
    y = (low / 1.5, top * 1.2) if logarithmic else (0.0, rounded_up(top))
    return Curves(
        "head learning rate" if run.stage_rates else "learning rate",
        drawn,
        (0.0, float(max(1, len(run.learning_rates)))),
        y,
        "{:.0e}".format if logarithmic else "{:.2g}".format,
        logarithmic=logarithmic,
        empty="none: L-BFGS solves it directly" if run.strategy.is_probe and not run.never_began else _nothing(run),
    )


def memory(run: RunState) -> Curves:
    """Memory by seconds since the run's first sample: the card's where there is one, else the process's."""
    points = run.memory
    began = points[0].elapsed if points else 0.0
    if points and points[-1].memory.allocated is not None:
        series = tuple(
            Series(label, known, colour, "dotted" if dotted else "solid", size(known[-1][1]))
            for label, value, colour, dotted in MEMORY_SERIES
            if (known := _memory_points(run, value, began))
        )
    elif points:
        rss = _memory_points(run, lambda memory: memory.rss, began)
        peak = max(point.memory.peak_rss for point in points)
        series = (Series("process RSS", rss, GREEN, value=f"{size(rss[-1][1])}, peak {size(peak)}"),)
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
        empty=_nothing(run),
    )


def _of_epochs(run: RunState) -> object:
    return run.strategy.epochs, run.epochs, run.is_over


def _of_rates(run: RunState) -> object:
    return run.learning_rates, len(run.epochs), run.status


def _of_memory(run: RunState) -> object:
    """Every sample at first, then each time that there are a fiftieth more: fewer would move no dot by a cell; and each
    that reads otherwise in the legend.
    """
    step = max(1, len(run.memory) // 50)
    return len(run.memory) // step, step, run.is_over, _in_words(run.memory[-1].memory) if run.memory else ()


def _in_words(memory: Memory) -> tuple[str, ...]:
    """What the legend says of a sample."""
    values = [memory.rss] if memory.allocated is None else [value(memory) for _, value, *_ in MEMORY_SERIES]
    return tuple(size(value) for value in values if value is not None)


CHARTS: tuple[tuple[Callable[[RunState], Curves], Callable[[RunState], object]], ...] = (
    (accuracy, _of_epochs),
    (loss, _of_epochs),
    (learning_rate, _of_rates),
    (memory, _of_memory),
)
"""The charts of a run in their order: its curves, and what of the run they are made of."""


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


def _nothing(run: RunState) -> str:
    """What stands in place of a curve without points."""
    if run.never_began:
        return "skipped before it started"
    return "nothing was measured" if run.is_over else "nothing yet"


def epochs_of(run: RunState) -> tuple[float, float]:
    """The axis of the epochs: all that are planned, of a run that is over those that it did."""
    done = run.epochs[-1].epoch if run.epochs else 0
    return epoch_axis(done if run.is_over else max(run.strategy.epochs, done))


def epoch_axis(epochs: int) -> tuple[float, float]:
    """From the first epoch to the last; a single one stands in the middle."""
    return (1.0, float(epochs)) if epochs > 1 else (0.5, 1.5)


def _train_and_val(
    train: tuple[Point, ...], val: tuple[Point, ...], words: Callable[[float], str]
) -> tuple[Series, Series]:
    latest = [words(points[-1][1]) if points else "" for points in (train, val)]
    return Series("train", train, GREY, "dotted", latest[0]), Series("val", val, BLUE, "solid", latest[1])


def _memory_points(run: RunState, value: Callable[[Memory], int | None], began: float) -> tuple[Point, ...]:
    return tuple(
        (point.elapsed - began, float(known)) for point in run.memory if (known := value(point.memory)) is not None
    )
