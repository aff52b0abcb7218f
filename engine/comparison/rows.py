"""The comparison as data: one measured row a run. No prose, no rendering; imports without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from engine.comparison import speed
from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.compared_runs import ComparedRun, Source, compared_runs
from engine.comparison.difference import PairedDifference
from engine.comparison.fairness import unfairness
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.same_data import what_differs
from engine.logs.events import Leak, Metrics
from engine.specs.strategy import LBFGS
from engine.states.state import Condition, ExperimentState, RunState, condition

if TYPE_CHECKING:
    from engine.comparison.scores import Scores


class DataCounts(Struct, frozen=True):
    """Images used for training, validation and the test (unreadable ones left out), and the class names.

    ``folds``: into how many those of training and validation are divided, whichever of them are compared; None: none.
    ``val_copies``, ``test_copies``: those that another part has too; ``val_conflicts``, ``test_conflicts``: those that
    another class has too; see :class:`engine.logs.events.DataDecoded`.
    """

    train: int
    val: int
    classes: tuple[str, ...]
    test: int = 0
    val_copies: int = 0
    test_copies: int = 0
    val_conflicts: int = 0
    test_conflicts: int = 0
    folds: int | None = None


class Row(Struct, frozen=True, kw_only=True):
    """What was measured of one run; None where it was not (yet).

    Accuracies are in 0..1 and losses mean cross-entropies in nats, all at ``best_epoch`` (best validation accuracy,
    ties by lower loss, counted from 1). Those of the validation images flatter, since they chose the epoch; those of
    the test part were measured at that epoch, and before where ``times_tested`` is more than 1. docs/verdict.md
    describes every field, with its unit.
    """

    experiment: str = ""
    run: str
    strategy: str
    seed: int
    fold: int | None = None
    state: Condition
    error: str
    backbone: str
    trains: str
    head: str = "random"
    optimizer: str = ""
    learning_rate: float | None = None
    layer_decay: float = 1.0
    class_weights: str = "none"
    batch_size: int | None = None
    l2: float | None = None
    weights: str
    parameters_total: int
    parameters_trainable: int
    multiply_adds: int | None = None
    precision: str
    device: str
    epochs: int
    epochs_planned: int
    best_epoch: int | None
    val_accuracy: float | None
    val_accuracy_low: float | None
    val_accuracy_high: float | None
    val_loss: float | None
    scores: Scores | None = None
    test_accuracy: float | None = None
    test_accuracy_low: float | None = None
    test_accuracy_high: float | None = None
    test_loss: float | None = None
    test_scores: Scores | None = None
    times_tested: int = 0
    train_accuracy: float | None
    generalisation_gap: float | None
    gap_by_epoch: tuple[float, ...] = ()
    val_loss_turned: int | None = None
    val_loss_rise: float | None = None
    seconds_total: float | None
    seconds_of_found_features: float = 0.0
    seconds_per_epoch: float | None
    seconds_to_target: float | None = None
    target_accuracy: float | None = None
    cpu_seconds: float | None
    images_per_second: float | None
    joules: float | None = None
    peak_memory_bytes: int | None
    memory_at_start_bytes: int | None
    memory_kind: str
    peak_rss_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    peak_device_bytes: int | None = None

    @property
    def has_result(self) -> bool:
        """Whether an epoch was finished: then there is a best one."""
        return self.best_epoch is not None

    @property
    def is_probe(self) -> bool:
        """Whether its last layer was solved for, as :attr:`engine.specs.strategy.Strategy.is_probe`."""
        return self.optimizer == LBFGS.__name__


RSS = "process RSS"
"""The kind of memory of which a run's peak holds what the process needed before it."""


class Measured(NamedTuple):
    """What a row tells of one part: the accuracy with both ends of its 95 % interval (0..1), loss (nats) and scores."""

    accuracy: float | None
    low: float | None
    high: float | None
    loss: float | None
    scores: Scores | None


def of_part(row: Row, part: MeasuredPart) -> Measured:
    """What was measured of a run on the part."""
    if part == "test":
        return Measured(
            row.test_accuracy, row.test_accuracy_low, row.test_accuracy_high, row.test_loss, row.test_scores
        )
    return Measured(row.val_accuracy, row.val_accuracy_low, row.val_accuracy_high, row.val_loss, row.scores)


def part_compared(rows: Sequence[Row]) -> MeasuredPart:
    """What runs are compared on: the test part where every one that has a result was tested, else validation."""
    done = [row for row in rows if row.has_result]
    return "test" if done and all(row.test_accuracy is not None for row in done) else "val"


class Comparison(Struct, frozen=True):
    """Runs side by side, of one experiment or of several (then ``experiment`` lists their names).

    ``positive``: of two classes, the one that sensitivity is about; empty for more. ``fairness``: what differs between
    the strategies besides what is compared, a sentence each. ``pairs``: differences on the same images.
    ``data_differs``: where the runs were not measured on the same data, what differs, in a line; then there is no
    verdict. ``leak``: what groups in both training and validation give away, where groups are known; ``test_leak``:
    what those do that are in the test part and another. ``error``: why an experiment ended as a whole, in a line.
    """

    experiment: str
    data: DataCounts
    runs: tuple[Row, ...]
    positive: str = ""
    fairness: tuple[str, ...] = ()
    pairs: tuple[PairedDifference, ...] = ()
    data_differs: str = ""
    leak: Leak | None = None
    test_leak: Leak | None = None
    error: str = ""


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
        pairs=() if differs else _pairs(runs, part_compared(rows), data.train + data.val),
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


def _pairs(runs: Sequence[ComparedRun], part: MeasuredPart, divided: int) -> tuple[PairedDifference, ...]:
    from engine.comparison.pairs import SavedRun, differences  # noqa: PLC0415 - loads scipy

    return differences(
        [
            SavedRun(one.strategy, one.run.seed, one.run.fold, best.epoch, saved)
            for one in runs
            if (best := one.run.best) is not None and (saved := one.saved) is not None
        ],
        part,
        divided,
    )
