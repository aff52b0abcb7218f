"""The comparison as data: one measured row a run. No prose, no rendering; imports without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from engine.comparison.difference import PairedDifference
from engine.comparison.measured_parts import MeasuredPart
from engine.logs.events import Leak
from engine.specs.strategy import LBFGS
from engine.states.state import Condition

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
    ran_beside_another: bool = False
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
    def is_cut_short(self) -> bool:
        """Whether it has a result, but of fewer epochs than were planned: because a person skipped or stopped it, it
        failed, whoever ran it is gone, or it still goes on. What it reached tells nothing of its strategy. One that
        finished is not, also where lines of its log cannot be read.
        """
        return self.has_result and self.state != "finished" and self.epochs < self.epochs_planned

    @property
    def is_probe(self) -> bool:
        """Whether its last layer was solved for, as :attr:`engine.specs.strategy.Strategy.is_probe`."""
        return self.optimizer == LBFGS.__name__

    @property
    def memory_added(self) -> int | None:
        """Bytes of the peak that were not in use when the run began; None where that is not known, as of a run that
        went on in another process, or the run found its features, since extracting them takes memory too.
        """
        if self.seconds_of_found_features or self.peak_memory_bytes is None or self.memory_at_start_bytes is None:
            return None
        return max(0, self.peak_memory_bytes - self.memory_at_start_bytes)


RSS = "process RSS"
"""The kind of memory of which a run's peak holds what the process needed before it."""


def memory_of(row: Row) -> int | None:
    """The bytes of memory that say most of a run: on a card its peak, of the process's memory what the run added."""
    return row.memory_added if row.memory_kind == RSS else row.peak_memory_bytes


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


def judged_strategies(rows: Sequence[Row]) -> frozenset[str]:
    """Of the strategies with a result those that are compared: where two or more trained all their epochs, these."""
    every = frozenset(row.strategy for row in rows if row.has_result)
    whole = every.difference(row.strategy for row in rows if row.is_cut_short)
    return whole if len(whole) > 1 else every


def part_compared(rows: Sequence[Row]) -> MeasuredPart:
    """What runs are compared on: the test part where every one that has a result was tested, of the strategies that are
    judged; else validation.
    """
    judged = judged_strategies(rows)
    done = [row for row in rows if row.has_result and row.strategy in judged]
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
