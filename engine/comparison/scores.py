"""Measures of predictions beyond accuracy, by scikit-learn. numpy, no torch."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.stats import binned_statistic
from sklearn import metrics

from engine.comparison import predictions
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.predictions import Predictions, Saved, units_of
from engine.comparison.resampling import Units, design_effect

BINS = 15
MOST_RANKED = 100
"""Classes that are each ranked against the rest; of a thousand that takes longer than training."""


class ClassScores(Struct, frozen=True):
    """Measures of one class: ``support``, its images; ``recall``, the share of them that was found; ``precision``, the
    share of what was taken for it that is of it. In 0..1; None where that would be 0/0.
    """

    name: str
    precision: float | None
    recall: float | None
    support: int


class Scores(Struct, frozen=True):
    """Measures of predictions, in 0..1 but for ``log_loss`` (nats); None where the images do not define one.

    ``balanced_accuracy`` is the mean of the recalls, ``macro_f1`` the mean of the classes' F1. Of two classes,
    ``roc_auc``, ``average_precision``, ``sensitivity`` and ``specificity`` are about the class ``positive``; of more,
    the first two are means of each class against the rest (None for more than :data:`MOST_RANKED`), and the others
    None. Means leave out classes that have no image (that of F1: and for which none was taken); where a single class
    has images, the first two are None.
    ``calibration_error``: the expected one, of 15 equal bins of the top probability. ``confusion``: images by true
    class (row) and predicted class (column). ``groups``: how many the images are of, one that has none being its own; 0
    where none is known. ``design_effect``: how many times the accuracy's variance it is with these groups, at least 1;
    at an accuracy of 0 or 1, which tells nothing of it, the most that it can be.
    """

    images: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    roc_auc: float | None
    average_precision: float | None
    positive: str
    sensitivity: float | None
    specificity: float | None
    log_loss: float
    calibration_error: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    groups: int = 0
    design_effect: float = 1.0


def scores(predicted: Predictions, positive: str = "") -> Scores:
    """The measures of a run's predictions; ``positive``: one of two classes, the second of them if not given."""
    names, labels = predicted.classes, predicted.labels
    top = predicted.probabilities.argmax(axis=1)
    every = np.arange(len(names))
    precision, recall, _, support = metrics.precision_recall_fscore_support(
        labels, top, labels=every, zero_division=np.nan
    )
    sure_of = names.index(positive) if positive in names else 1
    auc, average_precision = _ranking(predicted, sure_of)
    two = len(names) == 2
    units = _units(predicted, top == labels)
    accuracy = float(metrics.accuracy_score(labels, top))
    return Scores(
        images=len(labels),
        accuracy=accuracy,
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(metrics.f1_score(labels, top, average="macro", zero_division=0)),
        roc_auc=auc,
        average_precision=average_precision,
        positive=names[sure_of] if two else "",
        sensitivity=_known(recall[sure_of]) if two else None,
        specificity=_known(recall[1 - sure_of]) if two else None,
        log_loss=_log_loss(predicted),
        calibration_error=calibration_error(predicted.probabilities.max(axis=1), top == labels),
        classes=tuple(
            ClassScores(name, _known(precision[index]), _known(recall[index]), int(support[index]))
            for index, name in enumerate(names)
        ),
        confusion=tuple(map(tuple, metrics.confusion_matrix(labels, top, labels=every).tolist())),
        groups=0 if units is None else len(units.sizes),
        design_effect=1.0 if units is None else design_effect(units, accuracy * (1 - accuracy) / len(labels)),
    )


@lru_cache(maxsize=256)
def scores_of(saved: Saved, epoch: int, part: MeasuredPart, positive: str) -> Scores | None:
    """The measures of a run at its best ``epoch``; None where the file does not tell them, or tells another epoch's.

    ``OSError`` where it cannot be read, which is not remembered.
    """
    predicted = predictions.read(saved.folder, saved.run, part)
    return scores(predicted, positive) if predicted is not None and predicted.epoch == epoch else None


def calibration_error(top: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The expected calibration error: by how much the ``top`` probability (N,) and the share that is ``right`` (N,)
    differ within each of 15 equal bins of it, averaged over the images.
    """
    sums, _, _ = binned_statistic(top, [right.astype(float), top], statistic="sum", bins=BINS, range=(0, 1))
    return float(np.abs(sums[0] - sums[1]).sum() / len(top))


def _units(predicted: Predictions, right: NDArray[np.bool_]) -> Units | None:
    """How many images of each group are right, and how many there are; None where no group is known."""
    if not any(predicted.groups):
        return None
    unit = units_of(predicted.groups, predicted.paths)
    sizes = np.bincount(unit)
    return Units(np.bincount(unit[right], minlength=len(sizes)), sizes)


def _ranking(predicted: Predictions, positive: int) -> tuple[float | None, float | None]:
    """The area under the ROC curve and the average precision; None where all images are of one class.

    Of a class without an image neither is defined: scikit-learn's mean would be NaN, and count it as 0.
    """
    count, there = len(predicted.classes), np.unique(predicted.labels)
    if count > MOST_RANKED or len(there) < 2:
        return None, None
    of_each = predicted.labels[:, None] == there
    probabilities = predicted.probabilities[:, there]
    if count == 2:
        of_each, probabilities = of_each[:, positive], probabilities[:, positive]
    return (
        float(metrics.roc_auc_score(of_each, probabilities, average="macro")),
        float(metrics.average_precision_score(of_each, probabilities, average="macro")),
    )


def _log_loss(predicted: Predictions) -> float:
    """The same as scikit-learn's log loss, which takes seconds where there are a thousand classes."""
    return float(predictions.cross_entropies(predicted).mean())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
