"""From the states of experiments to the rows of their runs side by side. Imports without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.comparison import speed
from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.compared_runs import ComparedRun, Source, compared_runs
from engine.comparison.difference import PairedDifference
from engine.comparison.fairness import unfairness
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.rows import RSS, Comparison, DataCounts, Row, judged_strategies, part_compared
from engine.comparison.same_data import what_differs
from engine.history.experiment_state import ran_beside_another
from engine.logs.events import Leak, Metrics
from engine.states.state import ExperimentState, RunState, condition

if TYPE_CHECKING:
    from engine.comparison.scores import Scores


def compare(sources: Sequence[Source], positive: str | None = None) -> Comparison:
    """The runs of one experiment, or of several on the same data, as rows; also while they still run.

    ``positive``: of two classes, the one that sensitivity is about; the last by name where None or unknown. Files of
    predictions that are missing, damaged or cannot be read now leave their measures None.
    """
    known = [source for source in sources if source.state.data is not None]
    if not known:
        return Comparison(sources[0].state.name if sources else "", DataCounts(0, 0, ()), ())
    data = _counts(known[0].state)
    runs = compared_runs(sources)
    differs = what_differs([source.state for source in known])
    rows = [_row(one, positive) for one in runs]
    return Comparison(
        experiment=", ".join(dict.fromkeys(one.experiment for one in runs)),
        data=data,
        runs=_with_targets(rows, [None if differs else one.run for one in runs]),
        positive=_positive(data.classes, positive),
        fairness=unfairness(runs),
        pairs=() if differs else _pairs(runs, rows, data.train + data.val),
        data_differs=differs,
        leak=_leak(known[0].state),
        test_leak=None if known[0].state.data is None else known[0].state.data.test_leak,
        error="; ".join(dict.fromkeys(source.state.error for source in known if source.state.error)),
    )


def _positive(classes: tuple[str, ...], wanted: str | None) -> str:
    if len(classes) != 2:
        return ""
    return wanted if wanted in classes else sorted(classes)[1]


def _counts(state: ExperimentState) -> DataCounts:
    data, decoded = state.data, state.decoded
    if data is None:
        return DataCounts(0, 0, ())
    folds = None if state.spec is None else state.spec.folds
    if decoded is not None:
        told = {name: getattr(decoded, name) for name in DataCounts.__struct_fields__ if hasattr(decoded, name)}
        return DataCounts(classes=data.classes, folds=folds, **told)
    train, val, test = (sum(part.values()) for part in (data.train, data.val, data.test))
    return DataCounts(train, val, data.classes, test, folds=folds)


def _leak(state: ExperimentState) -> Leak | None:
    """The leak of the split; None with folds, which keep groups whole."""
    folded = state.spec is not None and state.spec.folds is not None
    return None if state.data is None or folded else state.data.leak


def _row(one: ComparedRun, wanted: str | None) -> Row:
    source, run = one.source, one.run
    positive = _positive(source.state.data.classes if source.state.data else (), wanted)
    best, test, device = run.best, run.test, source.state.device
    scores, test_scores = _scores(one, "val", positive), _scores(one, "test", positive) if test else None
    low, high = _interval(best.val, scores) if best else (None, None)
    test_low, test_high = _interval(test, test_scores) if test else (None, None)
    peak, turn = run.most, speed.turn(run.epochs)
    on_device = peak.allocated is not None
    start = run.memory_at_start
    return Row(
        experiment=one.experiment,
        run=run.run,
        strategy=one.strategy,
        seed=run.seed,
        fold=run.fold,
        state=condition(run, source.state),
        error=run.failure.message if run.failure else "",
        backbone=run.strategy.backbone,
        trains=run.strategy.trains,
        head=run.strategy.head,
        optimizer=type(run.strategy.optimizer).__name__,
        learning_rate=run.strategy.learning_rate,
        layer_decay=1.0 if run.strategy.on_features else run.strategy.layer_decay,
        class_weights=run.strategy.class_weights,
        batch_size=None if run.strategy.is_probe else run.strategy.batch_size,
        l2=None if run.probe is None else run.probe.l2,
        weights=run.weights,
        parameters_total=run.parameters_total,
        parameters_trainable=run.parameters_trainable,
        multiply_adds=run.multiply_adds or None,
        precision=run.precision,
        device=device.hardware if device else "",
        epochs=len(run.epochs),
        epochs_planned=run.strategy.epochs,
        best_epoch=best.epoch if best else None,
        val_accuracy=best.val.accuracy if best else None,
        val_accuracy_low=low,
        val_accuracy_high=high,
        val_loss=best.val.loss if best else None,
        scores=scores,
        test_accuracy=test.accuracy if test else None,
        test_accuracy_low=test_low,
        test_accuracy_high=test_high,
        test_loss=test.loss if test else None,
        test_scores=test_scores,
        times_tested=run.times_tested,
        train_accuracy=best.train.accuracy if best else None,
        generalisation_gap=best.train.accuracy - best.val.accuracy if best else None,
        gap_by_epoch=tuple(epoch.train.accuracy - epoch.val.accuracy for epoch in run.epochs),
        val_loss_turned=turn.epoch if turn else None,
        val_loss_rise=turn.rise if turn else None,
        seconds_total=speed.seconds_in_all(run),
        ran_beside_another=ran_beside_another(run.run, source.state),
        seconds_of_found_features=run.seconds_of_found_features,
        seconds_per_epoch=mean(epoch.seconds for epoch in run.epochs) if run.epochs else None,
        cpu_seconds=run.cpu_seconds,
        images_per_second=speed.images_per_second(run.epochs),
        joules=run.joules,
        peak_memory_bytes=peak.allocated if on_device else peak.rss,
        memory_at_start_bytes=None if start is None else start.allocated if on_device else start.rss,
        memory_kind="CUDA allocated" if on_device else RSS,
        peak_rss_bytes=peak.rss,
        peak_allocated_bytes=peak.allocated,
        peak_reserved_bytes=peak.reserved,
        peak_device_bytes=peak.device,
    )


def _with_targets(rows: Sequence[Row], runs: Sequence[RunState | None]) -> tuple[Row, ...]:
    """The rows with the time that each took to come near the best accuracy of the other strategies.

    ``runs``: of each row, or None where it cannot be compared with the others.
    """
    done = []
    for row, run in zip(rows, runs, strict=True):
        accuracies = [other.val_accuracy for other in rows if other.strategy != row.strategy]
        others = [accuracy for accuracy in accuracies if accuracy is not None]
        target = speed.GOOD_ENOUGH * max(others) if others and run is not None else None
        seconds = speed.seconds_to(run, target) if run is not None and target is not None else None
        done.append(_finite(replace(row, target_accuracy=target, seconds_to_target=seconds)))
    return tuple(done)


def _finite(row: Row) -> Row:
    """The row without infinite sums and ratios, which a damaged log may make."""
    numbers = {name: value for name in row.__struct_fields__ if isinstance(value := getattr(row, name), float)}
    return replace(row, **{name: None for name, value in numbers.items() if not math.isfinite(value)})


def _interval(measured: Metrics, scores: Scores | None) -> tuple[float, float]:
    """The interval of an accuracy in the log; its images' groups are known from the predictions."""
    groups, effect = (scores.groups, scores.design_effect) if scores else (0, 1.0)
    return accuracy_interval(measured.accuracy, measured.images, groups, effect)


def _scores(one: ComparedRun, part: MeasuredPart, positive: str) -> Scores | None:
    best, saved = one.run.best, one.saved
    if best is None or saved is None:
        return None
    from engine.comparison.scores import scores_of  # noqa: PLC0415 - loads scikit-learn

    try:
        return scores_of(saved, best.epoch, part, positive)
    except OSError:  # the next comparison reads it again
        return None


def _pairs(runs: Sequence[ComparedRun], rows: Sequence[Row], divided: int) -> tuple[PairedDifference, ...]:
    from engine.comparison.pairs import SavedRun, differences  # noqa: PLC0415 - loads scipy

    return differences(
        [
            SavedRun(one.strategy, one.run.seed, one.run.fold, best.epoch, saved)
            for one in runs
            if (best := one.run.best) is not None and (saved := one.saved) is not None
        ],
        part_compared(rows),
        divided,
        judged_strategies(rows),
    )
