"""What the columns of the Compare screen's table are, and how its lines are sorted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from engine.comparison.columns import Column, are_probes, best, columns, comparable, is_spread, with_result
from engine.comparison.measured_parts import PART_WORDS, MeasuredPart
from engine.comparison.rows import RSS, Comparison, Measured, Row, memory_of, of_part
from engine.comparison.score_names import SCORES, Better, Score
from engine.comparison.strategy_means import interval, part
from engine.units import UNKNOWN, duration, energy, short_count, size, three_digits
from tui.drawing.intervals import Ends

Number = Callable[[Row], float | None]


@dataclass(frozen=True)
class Measure:
    """A column: a number a run, of several their mean. ``words`` explain it; ``better`` says which end is the good one.

    ``spread``: several runs are told as mean ± standard deviation, probes where they differ. ``ends``: of an interval,
    over all the runs; its number is the lower one.
    """

    title: str
    words: str
    value: Number
    text: Callable[[float], str]
    better: Better | None = None
    spread: bool = field(default=False, kw_only=True)
    ends: Callable[[Sequence[Row]], Ends | None] | None = field(default=None, kw_only=True)

    def number(self, rows: Sequence[Row]) -> float | None:
        """The mean over the runs in which it was measured, those with a result where there are some."""
        if self.ends is not None:
            return None if (ends := self.ends(rows)) is None else ends[0]
        known = _known(self.value, rows)
        return mean(known) if known else None

    def cell(self, rows: Sequence[Row]) -> str:
        """In words: ``93.5``, ``93.5 ±0.4``, ``88.1–96.6``."""
        if self.ends is not None:
            return UNKNOWN if (ends := self.ends(rows)) is None else "–".join(map(self.text, ends))
        known = _known(self.value, rows)
        if not known:
            return UNKNOWN
        said = self.text(mean(known))
        is_told = self.spread and is_spread(known, are_probes(with_result(rows)))
        return f"{said} ±{self.text(stdev(known)).lstrip('+')}" if is_told else said


def _known(number: Number, rows: Sequence[Row]) -> list[float]:
    return [found for row in with_result(rows) if (found := number(row)) is not None]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _whole(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number:.1f}"


def _of(measured_on: MeasuredPart, measure: Callable[[Measured], float | None]) -> Number:
    return lambda row: measure(of_part(row, measured_on))


def _scores(comparison: Comparison, measured_on: MeasuredPart) -> list[Measure]:
    of = f" of {comparison.positive}" if comparison.positive else ", one vs rest"
    other = " (p: the other class)" if comparison.positive else ""
    said = {
        "balanced_accuracy": ("balanced", "balanced accuracy (%): mean class recall"),
        "macro_f1": ("F1", "macro F1: mean class F1"),
        "roc_auc": ("AUC", f"area under the ROC curve{of}"),
        "average_precision": ("AP", f"average precision{of}"),
        "sensitivity": ("sens", f"sensitivity (%): share{of} found{other}"),
        "specificity": (
            "spec",
            f"specificity (%): share of non-{comparison.positive} images not predicted {comparison.positive}{other}",
        ),
        "calibration_error": ("ECE", "expected calibration error (%)"),
    }

    def column(score: Score) -> Measure:
        title, words = said[score.name]
        value = _of(measured_on, lambda of: getattr(of.scores, score.name, None))
        text = _percent if score.as_percent else three_digits
        return Measure(title, f"{PART_WORDS[measured_on]} {words}", value, text, score.better)

    return [column(score) for score in SCORES]


def _remembered(ends: Callable[[Sequence[Row]], Ends | None]) -> Callable[[Sequence[Row]], Ends | None]:
    """Asks once for the same rows of a comparison: drawing asks again and again, and groups take 0.1 ms each time."""
    known: dict[tuple[int, ...], Ends | None] = {}

    def asked(rows: Sequence[Row]) -> Ends | None:
        key = tuple(map(id, rows))
        if key not in known:
            known[key] = ends(rows)
        return known[key]

    return asked


def measures(comparison: Comparison) -> tuple[Measure, ...]:
    """The columns that have something to say about these runs, accuracy and its cost first.

    What is measured of images is of the part on which runs are compared, but for the other part's accuracy.
    """
    compared_on = part(comparison)
    name = PART_WORDS[compared_on]
    accuracies: dict[MeasuredPart, str] = {
        "test": "test accuracy (%) at the best epoch",
        "val": "validation accuracy (%) at the best epoch; optimistic, as it chose that epoch",
    }
    accuracy = {
        one: Measure(f"{one} acc", words, _of(one, lambda of: of.accuracy), _percent, "higher", spread=True)
        for one, words in accuracies.items()
    }
    is_rss = any(row.memory_kind == RSS and row.peak_memory_bytes is not None for row in comparison.runs)
    inflated = any(row.ran_beside_another for row in comparison.runs)
    shorter: Better | None = None if inflated else "lower"
    beside = "; inflated, as another experiment ran too" if inflated else ""
    found = any(row.seconds_of_found_features for row in comparison.runs)
    cached = ", with what features found in the cache had taken" if found else ""
    every = (
        accuracy[compared_on],
        Measure(
            "95 % CI",
            f"95 % confidence interval of the {name} accuracy (%)",
            _of(compared_on, lambda of: of.low),
            _percent,
            ends=_remembered(lambda rows: interval(rows, comparison, compared_on)),
        ),
        accuracy["val" if compared_on == "test" else "test"],
        Measure("time", f"total time{cached}{beside}", lambda row: row.seconds_total, duration, shorter),
        Measure(
            "+memory" if is_rss else "memory",
            "memory a run added to its process; – if resumed or its features were found" if is_rss else "peak memory",
            memory_of,
            size,
            None if is_rss else "lower",
        ),
        Measure("trained", "trainable parameters", lambda row: row.parameters_trainable or None, short_count, "lower"),
        *_scores(comparison, compared_on),
        Measure("loss", f"{name} log loss (nats)", _of(compared_on, lambda of: of.loss), three_digits, "lower"),
        Measure("gap", "training minus validation accuracy (points)", lambda row: row.generalisation_gap, _points),
        Measure("best", "epoch of best validation accuracy", lambda row: row.best_epoch, _whole),
        Measure("loss rose at", "epoch after which validation loss rose", lambda row: row.val_loss_turned, _whole),
        Measure(
            "t to 95 %",
            f"time to 95 % of the other's best accuracy{beside}",
            lambda row: row.seconds_to_target,
            duration,
            shorter,
        ),
        Measure("CPU", "CPU time, all cores", lambda row: row.cpu_seconds, duration, "lower"),
        Measure("energy", "GPU energy", lambda row: row.joules, energy, shorter),
        Measure("params", "total parameters", lambda row: row.parameters_total or None, short_count, "lower"),
        Measure("mult-adds", "multiply-adds per image", lambda row: row.multiply_adds, short_count, "lower"),
    )
    first, *others = every
    return first, *(one for one in others if any(one.value(row) is not None for row in comparison.runs))


@dataclass(frozen=True)
class Line:
    """A strategy with all its runs, or below it one of them."""

    column: Column
    name: str
    is_run: bool = False
    runs: int = 1


@dataclass(frozen=True)
class Order:
    """By which measure lines are sorted (None: as they were run), and whether from the good end."""

    title: str | None = None
    best_first: bool = True


def lines(comparison: Comparison, measures: Sequence[Measure], unfolded: frozenset[str], order: Order) -> list[Line]:
    """The strategies in order, each with its runs below it where it is unfolded, in the same order."""
    by = next((one for one in measures if one.title == order.title), None)
    made: list[Line] = []
    runs = columns(comparison, single_runs=True)
    for column in _sorted(columns(comparison), by, order):
        made.append(Line(column, column.title, runs=len(column.rows)))
        if column.title in unfolded and len(column.rows) > 1:
            mine = [one for one in runs if one.title == column.title]
            made += [Line(one, one.note or one.rows[0].run, True) for one in _sorted(mine, by, order)]
    return made


def _sorted(some: Sequence[Column], by: Measure | None, order: Order) -> list[Column]:
    """Those of which nothing is known come last, whatever the direction."""
    if by is None:
        return list(some)
    sign = -1.0 if (by.better != "lower") == order.best_first else 1.0

    def key(column: Column) -> tuple[bool, float]:
        number = by.number(column.rows)
        return number is None, 0.0 if number is None else sign * number

    return sorted(some, key=key)


def best_in(comparison: Comparison, measure: Measure) -> frozenset[str]:
    """The strategies that are best, none where nobody is better than another."""
    shown = columns(comparison)
    if not comparable(comparison, shown):
        return frozenset()
    are_best = best([measure.number(column.rows) for column in shown], measure.text, measure.better)
    return frozenset(column.title for column, is_best in zip(shown, are_best, strict=True) if is_best)
