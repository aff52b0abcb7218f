"""Measures of predictions against their definitions, written out."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn import metrics

from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.predictions import Predictions, saved
from engine.comparison.score_names import SCORES
from engine.comparison.scores import BINS, Scores, scores, scores_of
from tests.engine.comparison.files import write_predictions

QUICK = settings(max_examples=30, deadline=None, derandomize=True, database=None)
NAMES = ("ants", "bees", "moths", "wasps")


def predictions(labels: list[int], probabilities: NDArray[np.float64], names: Sequence[str] = NAMES) -> Predictions:
    count, classes = probabilities.shape
    paths = tuple(map(str, range(count)))
    return Predictions("a-0", "val", 1, tuple(names[:classes]), paths, ("",) * count, np.array(labels), probabilities)


@st.composite
def some(draw: st.DrawFn, classes: int | None = None) -> Predictions:
    """Predictions of up to 40 images, with ties among the probabilities, of classes that may have no image."""
    number = classes or draw(st.integers(2, 4))
    count = draw(st.integers(1, 40))
    labels = draw(st.lists(st.integers(0, number - 1), min_size=count, max_size=count))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    raw = rng.integers(1, 6, (count, number)).astype(float)
    return predictions(labels, raw / raw.sum(axis=1, keepdims=True))


def share(of: list[bool]) -> float | None:
    return sum(of) / len(of) if of else None


def rank_auc(positive: list[float], negative: list[float]) -> float:
    """The chance that an image of the class is ranked above one that is not, ties counting half."""
    pairs = list(product(positive, negative))
    return sum((one > other) + 0.5 * (one == other) for one, other in pairs) / len(pairs)


def precision_recall_area(of_class: list[bool], probability: list[float]) -> float:
    """The sum over falling thresholds of precision times the gain in recall."""
    area, before = 0.0, 0.0
    for threshold in sorted(set(probability), reverse=True):
        taken = [yes for yes, value in zip(of_class, probability, strict=True) if value >= threshold]
        recall = sum(taken) / sum(of_class)
        area += sum(taken) / len(taken) * (recall - before)
        before = recall
    return area


@QUICK
@given(some())
def test_measures_are_what_their_definitions_say(made: Predictions) -> None:
    labels, top = made.labels.tolist(), made.probabilities.argmax(axis=1).tolist()
    both = list(zip(labels, top, strict=True))
    classes = range(len(made.classes))
    found = scores(made)
    assert found.images == len(labels)
    assert found.accuracy == pytest.approx(share([label == guess for label, guess in both]))
    recalls = [share([guess == one for label, guess in both if label == one]) for one in classes]
    precisions = [share([label == one for label, guess in both if guess == one]) for one in classes]
    assert [one.recall for one in found.classes] == pytest.approx(recalls)
    assert [one.precision for one in found.classes] == pytest.approx(precisions)
    assert [one.support for one in found.classes] == [labels.count(one) for one in classes]
    present = [recall for recall in recalls if recall is not None]
    assert found.balanced_accuracy == pytest.approx(sum(present) / len(present))
    f1 = [
        2 * sum(label == guess == one for label, guess in both) / (labels.count(one) + top.count(one))
        for one in classes
        if one in labels or one in top
    ]
    assert found.macro_f1 == pytest.approx(sum(f1) / len(f1))
    right = made.probabilities[np.arange(len(labels)), labels]
    assert found.log_loss == pytest.approx(float(-np.log(right).mean()))
    assert found.log_loss == pytest.approx(metrics.log_loss(labels, made.probabilities, labels=list(classes)))
    assert found.confusion == tuple(tuple(both.count((true, guess)) for guess in classes) for true in classes)


@QUICK
@given(some())
def test_calibration_error_is_the_mean_gap_of_fifteen_bins(made: Predictions) -> None:
    top = made.probabilities.max(axis=1)
    right = made.probabilities.argmax(axis=1) == made.labels
    expected = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = (top >= low) & ((top < high) | (number == BINS - 1))
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    assert scores(made).calibration_error == pytest.approx(expected, abs=0.02 if _on_an_edge(top) else 1e-9)


def _on_an_edge(top: NDArray[np.float64]) -> bool:
    """Whether rounding may put a probability into the bin beside its own."""
    return bool((np.abs(top * BINS - np.round(top * BINS)) < 1e-9).any())


@QUICK
@given(some())
def test_ranking_is_of_each_class_that_has_an_image_against_the_rest(made: Predictions) -> None:
    found, labels = scores(made), made.labels.tolist()
    if len(set(labels)) < 2:
        assert (found.roc_auc, found.average_precision) == (None, None)
        return
    aucs, areas = [], []
    for one in sorted({*labels}) if len(made.classes) > 2 else (1,):
        probability = made.probabilities[:, one].tolist()
        of_class = [label == one for label in labels]
        sides = [[p for p, yes in zip(probability, of_class, strict=True) if yes is side] for side in (True, False)]
        aucs.append(rank_auc(*sides))
        areas.append(precision_recall_area(of_class, probability))
    assert found.roc_auc == pytest.approx(sum(aucs) / len(aucs))
    assert found.average_precision == pytest.approx(sum(areas) / len(areas))


@settings(QUICK, max_examples=10)
@given(some(classes=2))
def test_the_positive_class_is_the_persons_choice(made: Predictions) -> None:
    usual, other = scores(made), scores(made, "ants")
    assert (usual.positive, other.positive) == ("bees", "ants")
    assert usual == scores(made, "bees") == scores(made, "no class of these")
    assert (usual.sensitivity, usual.specificity) == (other.specificity, other.sensitivity)
    assert (usual.sensitivity, usual.specificity) == (usual.classes[1].recall, usual.classes[0].recall)
    assert usual.roc_auc == (other.roc_auc if other.roc_auc is None else pytest.approx(other.roc_auc))
    assert usual.accuracy == other.accuracy


def numbers(found: Scores) -> list[float]:
    values = [value for value in msgspec.structs.astuple(found) if isinstance(value, float)]
    return values + [value for one in found.classes for value in (one.recall, one.precision) if value is not None]


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
@pytest.mark.parametrize("guess", [0, 1])
def test_one_class_alone_gives_no_ranking_and_no_nan(labels: list[int], guess: int) -> None:
    found = scores(predictions(labels, np.eye(2)[[guess] * 3]))
    assert all(map(math.isfinite, numbers(found)))
    assert (found.roc_auc, found.average_precision) == (None, None)
    absent = 1 - labels[0]
    assert found.classes[absent].recall is None
    assert (found.sensitivity is None) == (absent == 1)
    assert found.balanced_accuracy == found.accuracy == float(labels[0] == guess)
    assert found.calibration_error == 1 - found.accuracy


def test_perfect_and_perfectly_wrong() -> None:
    labels = [0, 1, 2, 0, 1, 2]
    right, wrong = (scores(predictions(labels, np.eye(3)[guesses])) for guesses in (labels, [1, 2, 0, 1, 2, 0]))
    assert (right.accuracy, right.balanced_accuracy, right.macro_f1, right.roc_auc) == (1, 1, 1, 1)
    assert (right.average_precision, right.calibration_error) == (1, 0)
    assert right.log_loss == pytest.approx(0, abs=1e-12)
    assert (wrong.accuracy, wrong.macro_f1, wrong.calibration_error) == (0, 0, 1)
    assert all(map(math.isfinite, numbers(wrong)))
    assert (right.positive, right.sensitivity, right.specificity) == ("", None, None)


def test_a_thousand_classes_are_not_each_ranked() -> None:
    found = scores(predictions(list(range(101)), np.eye(101), [f"class {number}" for number in range(101)]))
    assert (found.accuracy, found.roc_auc, found.average_precision) == (1, None, None)


def test_a_run_is_scored_at_its_best_epoch_from_its_file(tmp_path: Path) -> None:
    write_predictions(tmp_path, "a-0", [0, 1, 1, 0], [0, 1, 0, 0], epoch=2, test=True)
    file = saved(tmp_path, "a-0")
    assert file is not None
    found = scores_of(file, 2, "val", "bees")
    assert found is not None
    assert (found.accuracy, found.sensitivity, found.specificity) == (0.75, 0.5, 1.0)
    assert scores_of(file, 2, "test", "bees") == found
    assert scores_of(file, 3, "val", "bees") is None, "the file is of another epoch"
    path = write_predictions(tmp_path, "a-0", [0, 1, 1, 0], [0, 1, 1, 0], epoch=2)
    os.utime(path, ns=(1, 1))
    again = saved(tmp_path, "a-0")
    assert again is not None and again != file
    better = scores_of(again, 2, "val", "bees")
    assert better is not None and better.accuracy == 1


def test_every_number_among_the_scores_is_listed_once() -> None:
    assert [one.name for one in SCORES] == [
        field.name
        for field in msgspec.structs.fields(Scores)
        if field.type in (float, float | None) and field.name not in ("accuracy", "log_loss", "design_effect")
    ]


def test_groups_count_by_how_alike_their_images_are() -> None:
    labels, right = [0, 1] * 20, np.array([group % 4 > 0 for group in range(10) for _ in range(4)])
    top = np.where(right, labels, 1 - np.array(labels))
    made = predictions(labels, np.eye(2)[top])
    assert (scores(made).groups, scores(made).design_effect) == (0, 1.0)
    groups = tuple(str(image // 4) for image in range(40))
    whole = scores(replace(made, groups=groups))
    assert whole.groups == 10
    assert whole.design_effect == pytest.approx(4 * 10 / 9), "four images tell as much as one"
    own = scores(replace(made, groups=("", *groups[1:])))
    assert own.groups == 11, "an image without a group is one of its own"


@pytest.mark.parametrize("all_right", [True, False])
def test_where_nothing_varies_images_of_a_group_are_taken_to_be_wholly_alike(all_right: bool) -> None:
    labels = [0, 1] * 20
    made = predictions(labels, np.eye(2)[[label if all_right else 1 - label for label in labels]])
    of_four = scores(replace(made, groups=tuple(str(image // 4) for image in range(40))))
    assert (of_four.groups, of_four.design_effect) == (10, 4.0), "ten groups tell as much as ten images"
    low, high = accuracy_interval(of_four.accuracy, 40, of_four.groups, of_four.design_effect)
    of_ten = beta.ppf(0.025, 10, 1)  # the low end of Clopper-Pearson of ten images that are all right
    assert high - low > 0.8 * (1 - of_ten)
    uneven = scores(replace(made, groups=("a",) * 31 + tuple(map(str, range(9)))))
    assert uneven.design_effect == (31**2 + 9) / 40
    alone = scores(replace(made, groups=tuple(map(str, range(40)))))
    assert alone.design_effect == 1.0
