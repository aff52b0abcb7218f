"""The comparison as data: one measured row a run. No prose, no rendering; imports without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from engine.comparison.difference import PairedDifference
from engine.events import EpochFinished
from engine.state import ExperimentState, RunState, RunStatus

if TYPE_CHECKING:
    from engine.comparison.scores import Scores

CONFIDENCE = 0.95


class Source(Struct, frozen=True):
    """An experiment of which runs are compared.

    ``folder``: where its predictions lie, None where they are not to be read. ``interrupted``: whoever ran it is gone,
    so a run without an end will not get one by itself. ``runs``: the ids of those to compare, None for all.
    """

    state: ExperimentState
    folder: Path | None = None
    interrupted: bool = False
    runs: frozenset[str] | None = None


class DataCounts(Struct, frozen=True):
    """Images used for training, validation and the test (unreadable ones left out), and the class names."""

    train: int
    val: int
    classes: tuple[str, ...]
    test: int = 0


class Row(Struct, frozen=True):
    """What was measured of one run; None where it was not (yet).

    Accuracies are in 0..1 and losses mean cross-entropies in nats, all at ``best_epoch`` (best validation accuracy,
    ties by lower loss, counted from 1). The README describes every field, with its unit.
    """

    run: str
    strategy: str
    backbone: str
    trains: str
    seed: int
    weights: str
    parameters_total: int
    parameters_trainable: int
    epochs: int
    epochs_planned: int
    best_epoch: int | None
    val_accuracy: float | None
    val_accuracy_low: float | None
    val_accuracy_high: float | None
    val_loss: float | None
    train_accuracy: float | None
    generalisation_gap: float | None
    seconds_total: float | None
    seconds_per_epoch: float | None
    cpu_seconds: float | None
    images_per_second: float | None
    peak_memory_bytes: int | None
    memory_at_start_bytes: int | None
    memory_kind: str
    precision: str
    device: str
    state: RunStatus | Literal["interrupted"]
    error: str
    experiment: str = ""
    fold: int | None = None
    test_accuracy: float | None = None
    test_accuracy_low: float | None = None
    test_accuracy_high: float | None = None
    test_loss: float | None = None
    scores: Scores | None = None
    test_scores: Scores | None = None


class Comparison(Struct, frozen=True):
    """Runs side by side, of one experiment or of several (then ``experiment`` lists their names).

    ``positive``: of two classes, the one that sensitivity is about; empty for more. ``fairness``: what differs between
    the strategies besides what is compared, a sentence each. ``pairs``: differences on the same images.
    ``data_differs``: where the runs were not measured on the same data, what differs, in a line; then there is no
    verdict.
    """

    experiment: str
    data: DataCounts
    runs: tuple[Row, ...]
    positive: str = ""
    fairness: tuple[str, ...] = ()
    pairs: tuple[PairedDifference, ...] = ()
    data_differs: str = ""


def compare(sources: Sequence[Source], positive: str | None = None) -> Comparison:
    """The runs of one experiment, or of several on the same data, as rows; also while they still run.

    ``positive``: of two classes, the one that sensitivity is about; the second where None or unknown.
    """
    del positive
    shown = [source for source in sources if source.state.data is not None]
    if not shown:
        return Comparison(sources[0].state.name if sources else "", DataCounts(0, 0, ()), ())
    rows = [_row(source, run) for source in shown for run in _chosen(source)]
    name = ", ".join(dict.fromkeys(source.state.name for source in shown))
    return Comparison(name, _counts(shown[0].state), tuple(rows))


def _chosen(source: Source) -> list[RunState]:
    return [run for run in source.state.runs if source.runs is None or run.run in source.runs]


def _counts(state: ExperimentState) -> DataCounts:
    data, decoded = state.data, state.decoded
    if data is None:
        return DataCounts(0, 0, ())
    if decoded is not None:
        return DataCounts(decoded.train, decoded.val, data.classes, decoded.test)
    train, val, test = (sum(part.values()) for part in (data.train, data.val, data.test))
    return DataCounts(train, val, data.classes, test)


def accuracy_interval(accuracy: float, images: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy (0..1) measured on so many images; of none, all there is."""
    if images < 1:  # as a damaged log may tell
        return 0.0, 1.0
    from scipy.stats import binomtest  # noqa: PLC0415 - half a second that only a comparison needs

    interval = binomtest(round(accuracy * images), images).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def _row(source: Source, run: RunState) -> Row:
    best, test, device = run.best, run.test, source.state.device
    low, high = accuracy_interval(best.val.accuracy, best.val.images) if best else (None, None)
    test_low, test_high = accuracy_interval(test.accuracy, test.images) if test else (None, None)
    peak, kind = _peak_memory(run)
    return Row(
        run=run.run,
        strategy=run.strategy.name,
        backbone=run.strategy.backbone,
        trains=run.strategy.trains,
        seed=run.seed,
        weights=run.weights,
        parameters_total=run.parameters_total,
        parameters_trainable=run.parameters_trainable,
        epochs=len(run.epochs),
        epochs_planned=run.strategy.epochs,
        best_epoch=best.epoch if best else None,
        val_accuracy=best.val.accuracy if best else None,
        val_accuracy_low=low,
        val_accuracy_high=high,
        val_loss=best.val.loss if best else None,
        train_accuracy=best.train.accuracy if best else None,
        generalisation_gap=best.train.accuracy - best.val.accuracy if best else None,
        seconds_total=run.seconds if run.seconds is not None else _seconds(run.epochs),
        seconds_per_epoch=mean(epoch.seconds for epoch in run.epochs) if run.epochs else None,
        cpu_seconds=run.cpu_seconds,
        images_per_second=_images_per_second(run.epochs),
        peak_memory_bytes=peak,
        memory_at_start_bytes=_at_start(run, kind),
        memory_kind=kind,
        precision=run.precision,
        device=device.hardware if device else "",
        state="interrupted" if source.interrupted and not run.is_over else run.status,
        error=run.failure.message if run.failure else "",
        experiment=source.state.name,
        fold=run.fold,
        test_accuracy=test.accuracy if test else None,
        test_accuracy_low=test_low,
        test_accuracy_high=test_high,
        test_loss=test.loss if test else None,
    )


def _peak_memory(run: RunState) -> tuple[int | None, str]:
    """The largest peak of the run and what it is a peak of."""
    seen = [epoch.memory for epoch in run.epochs] + [point.memory for point in run.memory]
    seen += [memory for memory in (run.memory_at_start, run.memory_at_end) if memory is not None]
    on_device = [memory.peak_allocated for memory in seen if memory.peak_allocated is not None]
    if on_device:
        return max(on_device), "CUDA allocated"
    return max((memory.peak_rss for memory in seen), default=None), "process RSS"


def _at_start(run: RunState, kind: str) -> int | None:
    memory = run.memory_at_start
    if memory is None:
        return None
    return memory.rss if kind == "process RSS" else memory.allocated


def _seconds(epochs: tuple[EpochFinished, ...]) -> float | None:
    return sum(epoch.seconds for epoch in epochs) if epochs else None


def _images_per_second(epochs: tuple[EpochFinished, ...]) -> float | None:
    seconds = sum(epoch.train_seconds for epoch in epochs)
    return sum(epoch.train.images for epoch in epochs) / seconds if seconds else None
