"""What each strategy reached, as means over its runs. Imports without numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean

from msgspec import Struct

from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.cells import from_to
from engine.comparison.columns import columns, no_seed_moves
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.rows import RSS, Comparison, Row, judged_strategies, of_part, part_compared


class StrategyMeans(Struct, frozen=True):
    """A strategy's means over its runs; what is not known is None.

    ``cut_short``: where runs trained fewer epochs than were planned, how many, ``1 of 5 epochs``; else empty.
    ``accuracy``: the mean of ``accuracies`` on the ``part`` that counts; ``low`` to ``high`` its 95 % interval. They
    are of one run where no seed moves the strategy. ``balanced``: mean balanced accuracy on that part.
    ``loss``: mean cross-entropy on that part. ``gap``: training accuracy less validation accuracy. ``overfits``: the
    training accuracy is above the 95 % interval of the validation accuracy.
    ``total_seconds``: None where a run did not train all its epochs; ``seconds_so_far`` is then the least it takes.
    ``cpu_seconds``: processor time of all cores, where the runs trained on a CPU and all their epochs.
    ``ran_beside_another``: whether another experiment ran on the machine at the same time as one of the runs.
    ``memory``: bytes, the peak less what was in use when the run began, of the run that took most; runs that found
    their features are left out, since extracting them takes memory. ``multiply_adds``: of one image's forward pass.
    ``features_of``: the frozen backbone on whose features it trains, else empty. Strategies share such features, and
    the memory for them.
    """

    strategy: str
    cut_short: str
    accuracy: float
    accuracies: tuple[float, ...]
    low: float
    high: float
    balanced: float | None
    gap: float
    overfits: bool
    total_seconds: float | None
    seconds_so_far: float | None
    cpu_seconds: float | None
    ran_beside_another: bool
    memory: float | None
    loss: float | None
    multiply_adds: float | None
    features_of: str


def part(comparison: Comparison) -> MeasuredPart:
    """What accuracies are compared on."""
    return part_compared(comparison.runs)


def images(comparison: Comparison) -> int:
    """How many images that is: of folds those that some run was validated on."""
    return _images([row for row in comparison.runs if row.has_result], comparison, part(comparison))


def interval(rows: Sequence[Row], comparison: Comparison, measured_on: MeasuredPart) -> tuple[float, float] | None:
    """The 95 % Wilson score interval of the mean accuracy (0..1) of runs on the part, by all the images that they were
    measured on, each counted once: folds together tell more than one of them, seeds of the same images do not. Where
    images have groups, those of all folds count, with the mean of the runs' design effects.

    None where no accuracy is known, or of several runs where experiments were not measured on the same data.
    """
    known = [row for row in rows if of_part(row, measured_on).accuracy is not None]
    if not known:
        return None
    first, *others = (of_part(row, measured_on) for row in known)
    if not others and first.low is not None and first.high is not None:  # by its own images, not about as many
        return first.low, first.high
    if comparison.data_differs:  # how many images that is would be the first experiment's
        return None
    accuracy = mean(of_part(row, measured_on).accuracy or 0.0 for row in known)
    return accuracy_interval(accuracy, _images(known, comparison, measured_on), *_groups(known, measured_on))


def _groups(done: Sequence[Row], measured_on: MeasuredPart) -> tuple[int, float]:
    """How many groups the images are of that the runs were measured on, and their mean design effect, of runs that tell
    it if there are any; 0 and 1 where some run's are not known. Folds keep groups whole, and share a test part.
    """
    known = [(row.fold, scores) for row in done if (scores := of_part(row, measured_on).scores) and scores.groups]
    if len(known) < len(done):
        return 0, 1.0
    of_fold = {None if measured_on == "test" else fold: scores.groups for fold, scores in known}
    telling = [scores for _, scores in known if 0 < scores.accuracy < 1]  # others have the most that it can be
    return sum(of_fold.values()), mean(scores.design_effect for scores in telling or [scores for _, scores in known])


def _images(done: Sequence[Row], comparison: Comparison, measured_on: MeasuredPart) -> int:
    """How many images the runs were measured on; folds are of about the same size."""
    data = comparison.data
    if measured_on == "test":
        return data.test
    if data.folds is None:
        return data.val
    return (data.train + data.val) * len({row.fold for row in done}) // data.folds


def strategy_means(comparison: Comparison) -> list[StrategyMeans]:
    """The strategies that have a result, most accurate first."""
    results = [_measured(column.rows, comparison) for column in columns(comparison)]
    return sorted((result for result in results if result), key=lambda result: -result.accuracy)


def judged(results: Sequence[StrategyMeans], comparison: Comparison) -> list[StrategyMeans]:
    """Of the strategies those that :func:`engine.comparison.rows.judged_strategies` names."""
    names = judged_strategies(comparison.runs)
    return [one for one in results if one.strategy in names]


def shared_losses(comparison: Comparison, one: str, other: str) -> tuple[float, float] | None:
    """The mean cross-entropies of two strategies over the seeds and folds both have a result of, over all where
    they have none in common; None where one is not known.
    """
    measured_on, done = part(comparison), [row for row in comparison.runs if row.has_result]
    losses = [
        {(row.seed, row.fold): of_part(row, measured_on).loss for row in done if row.strategy == name}
        for name in (one, other)
    ]
    both = losses[0].keys() & losses[1].keys()
    first, second = (_mean([loss for key, loss in some.items() if not both or key in both]) for some in losses)
    return None if first is None or second is None else (first, second)


def _took_all(row: Row) -> bool:
    """Whether the seconds of a run are those of all that it does: of one without an end they are its epochs' alone."""
    return not row.is_cut_short and row.state in ("finished", "stopped", "skipped")


def separable(one: StrategyMeans, other: StrategyMeans) -> bool:
    """Whether the 95 % intervals of two accuracies do not overlap (a strict test: it errs towards "no")."""
    return one.low > other.high or other.low > one.high


def _measured(rows: Sequence[Row], comparison: Comparison) -> StrategyMeans | None:
    done = [row for row in rows if row.has_result]
    if not done:
        return None
    found = [of_part(row, part(comparison)) for row in (done[:1] if no_seed_moves(done) else done)]
    accuracies = _known(one.accuracy for one in found)
    if not accuracies:  # it is not judged, and was cut short before its test
        accuracies = _known(row.val_accuracy for row in done)
    accuracy, validated = mean(accuracies), mean(row.val_accuracy or 0.0 for row in done)
    low, high = interval(done, comparison, part(comparison)) or (0.0, 1.0)
    highest_validated = (interval(done, comparison, "val") or (0.0, 1.0))[1]
    gap = mean(row.generalisation_gap or 0.0 for row in done)
    seconds = _cost(_mean([row.seconds_total for row in done]))
    return StrategyMeans(
        strategy=done[0].strategy,
        cut_short=_cut_short(done),
        accuracy=accuracy,
        accuracies=tuple(accuracies),
        low=low,
        high=high,
        balanced=_mean([None if one.scores is None else one.scores.balanced_accuracy for one in found]),
        gap=gap,
        overfits=validated + gap > highest_validated,
        total_seconds=seconds if all(map(_took_all, done)) else None,
        seconds_so_far=seconds,
        cpu_seconds=_cost(_mean([row.cpu_seconds if row.memory_kind == RSS else None for row in done]))
        if all(map(_took_all, done))
        else None,
        ran_beside_another=any(row.ran_beside_another for row in done),
        memory=_cost(max(_known(row.memory_added for row in done), default=None)),
        loss=_mean([one.loss for one in found]),
        multiply_adds=_cost(max(_known(row.multiply_adds for row in done), default=None)),
        features_of=done[0].backbone if done[0].trains == "head" else "",
    )


def _cut_short(done: Sequence[Row]) -> str:
    """``1 of 5 epochs``, ``1 to 3 of 5 epochs in 2 of 4 runs``; empty where all trained all their epochs."""
    short = [row for row in done if row.is_cut_short]
    if not short:
        return ""
    trained = from_to(sorted(row.epochs for row in short))
    of = f" in {len(short)} of {len(done)} runs" if len(done) > 1 else ""
    return f"{trained} of {max(row.epochs_planned for row in short)} epochs{of}"


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _cost(number: float | None) -> float | None:
    """The number; None also of nothing, since there is no share of it."""
    return number if number is not None and number > 0 else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return mean(known) if len(known) == len(values) else None
