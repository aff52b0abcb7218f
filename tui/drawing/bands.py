"""The curves of one or several runs of a strategy: means, and where there are seeds the band from lowest to highest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from statistics import mean

from engine.logs.events import EpochFinished
from engine.states.state import RunState
from engine.text import shown
from engine.units import percent
from tui.drawing.curves import accuracy_axis, drawn, epoch_axis, epochs_of, rounded_up
from tui.drawing.plot import Curves, Point, Series
from tui.drawing.theme import AMBER, BLUE, GREY, ROSE, strategy_colours

Value = Callable[[EpochFinished], float]
Band = tuple[tuple[float, float, float], ...]


def accuracy(runs: Sequence[RunState]) -> Curves:
    """Accuracy by epoch, 0..1."""
    train, _ = _over(runs, lambda epoch: epoch.train.accuracy)
    val, band = _over(runs, lambda epoch: epoch.val.accuracy)
    axis = accuracy_axis([value for _, value in train + val] + [low for _, low, _ in band])
    latest = percent(val[-1][1]) if val else ""
    series = (Series("train", train, GREY, "dotted"), Series("val", val, BLUE, value=latest, band=band))
    return Curves(_title("accuracy", runs), series, _epochs(runs), axis, "{:.0%}".format)


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


def loss(runs: Sequence[RunState], turned: Sequence[int]) -> Curves:
    """Cross-entropy by epoch, the axis from nought; ``turned``: the epochs at which validation loss did."""
    train, _ = _over(runs, lambda epoch: epoch.train.loss)
    val, band = _over(runs, lambda epoch: epoch.val.loss)
    top = rounded_up(max([value for _, value in train + val] + [high for _, _, high in band], default=1.0))
    series = [Series("train", train, GREY, "dotted"), Series("val", val, BLUE, band=band)]
    if turned:
        at = f"@{min(turned)}" if min(turned) == max(turned) else f"@{min(turned)}–{max(turned)}"
        place = mean(turned)
        series.append(Series("turned", ((place, 0.0), (place, top)), AMBER, value=at))
    return Curves(_title("loss", runs), tuple(series), _epochs(runs), (0.0, top), "{:.3g}".format)


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


def _title(name: str, runs: Sequence[RunState]) -> str:
    return f"{name}, mean of {len(runs)}" if len(runs) > 1 else name


def _over(runs: Sequence[RunState], value: Value) -> tuple[tuple[Point, ...], Band]:
    """The mean by epoch over the runs that have trained it, and the lowest and the highest where there are several."""
    found: dict[int, list[float]] = {}
    for run in runs:
        for epoch in drawn(run.epochs):
            found.setdefault(epoch.epoch, []).append(value(epoch))
    points = tuple((float(epoch), mean(values)) for epoch, values in sorted(found.items()))
    if len(runs) < 2:
        return points, ()
    return points, tuple((float(epoch), min(values), max(values)) for epoch, values in sorted(found.items()))


def _epochs(runs: Sequence[RunState]) -> tuple[float, float]:
    """Of all of them together, as :func:`tui.drawing.curves.epochs_of` of each."""
    return max((epochs_of(run) for run in runs), key=itemgetter(1), default=epoch_axis(0))
