"""What the verdict and the choices say in numbers stands in the comparison's table or in its JSON export as well."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.comparison.aspects import sections
from engine.comparison.columns import columns
from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.comparison.difference_words import about
from engine.comparison.rows import Comparison
from engine.comparison.verdict import choices, verdict
from engine.export import FORMATS
from engine.logs import events as ev
from engine.logs.events import Metrics
from engine.states.state import ExperimentState, RunState
from tests.engine.comparison.files import write_predictions
from tests.engine.comparison.test_several import state

SEEDS = (0, 1, 2)
TESTED = 12


@st.composite
def experiments(draw: st.DrawFn) -> tuple[ExperimentState, dict[str, tuple[list[int], list[int]]]]:
    """Two strategies, each with some of the seeds, and what each run predicts of which labels, unless it left no file;
    some stopped early, some tested, some of data that leaks.
    """
    images, tested = draw(st.integers(1, 40)), draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels, predicted, runs = [number % 2 for number in range(images)], {}, []
    known = state(SEEDS)
    for run in known.runs:
        if not draw(st.booleans()) and run.seed > 0:
            runs.append(replace(run, epochs=(), status="failed"))
            continue
        right = rng.random(images) < draw(st.sampled_from((0.0, 0.5, 0.9, 1.0)))
        guesses = [label if is_right else 1 - label for label, is_right in zip(labels, right, strict=True)]
        if draw(st.integers(0, 3)):
            predicted[run.run] = labels, guesses
        runs.append(_measured(run, float(right.mean()), images, tested, stopped=not draw(st.integers(0, 3))))
    assert known.data is not None
    leak = ev.Leak(no_pixels=0.9, majority=0.5, shared=images - 1, images=images) if draw(st.booleans()) else None
    of_test = ev.Leak(no_pixels=0.8, majority=0.6, shared=TESTED - 1, images=TESTED) if draw(st.booleans()) else None
    data = replace(known.data, leak=leak, test_leak=of_test)
    decoded = ev.DataDecoded(train=50, val=images, left_out=0, test=TESTED if tested else 0)
    return replace(known, runs=tuple(runs), data=data, decoded=decoded), predicted


def _measured(run: RunState, accuracy: float, images: int, tested: bool, *, stopped: bool) -> RunState:
    epochs = [replace(epoch, is_best=False) for epoch in run.epochs[: 2 if stopped else 3]]
    epochs[-1] = replace(epochs[-1], is_best=True, val=Metrics(0.3, accuracy, images))
    test = Metrics(0.4, 0.75, TESTED) if tested and not stopped else None
    return replace(run, epochs=tuple(epochs), status="stopped" if stopped else "finished", test=test)


@settings(max_examples=40, deadline=None)
@given(experiments())
def test_percentages_points_and_images_are_those_of_the_table_or_the_export(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[ExperimentState, dict[str, tuple[list[int], list[int]]]]
) -> None:
    known, predicted = drawn
    folder = tmp_path_factory.mktemp("experiment")
    for run in known.runs:
        if run.run in predicted and run.best is not None:
            write_predictions(folder, run.run, *predicted[run.run], epoch=run.best.epoch)
    check(compare([Source(known, folder)]))


def test_of_folds_under_way_as_well(tmp_path: Path) -> None:
    known = state(SEEDS)
    assert known.spec is not None
    known = replace(known, spec=replace(known.spec, folds=len(known.spec.seeds)))
    runs = [replace(run, fold=run.seed + 1, seed=0) for run in known.runs]
    check(compare([Source(replace(known, runs=tuple(runs)), tmp_path)]))
    waiting = replace(runs[0], epochs=(), status="waiting")
    check(compare([Source(replace(known, runs=(waiting, *runs[1:])), tmp_path)]))


def check(made: Comparison) -> None:
    """That every number which is said is one that was measured."""
    said = " ".join([verdict(made), *(choice.sentence for choice in choices(made))])
    exported = json.loads(FORMATS["json"](made))
    shown = " ".join(
        value for section in sections(made, columns(made)) for line in section.lines for value in line.values
    )
    percentages = {*re.findall(r"[\d.]+ %", shown), *(f"{100 * share:.1f} %" for share in _shares(exported))}
    assert {*re.findall(r"\d+\.\d %", said)} <= percentages
    points = {f"{abs(100 * share):.1f}" for share in _differences(exported)}
    assert {*re.findall(r"(?<!±)(?<!\d)(\d+\.\d) points", said)} - {"0.1"} <= points
    intervals = re.findall(r"95 % interval [-+]([\d.]+) to [-+]([\d.]+) points", said)
    assert len(intervals) == said.count("95 % interval")
    assert {end for interval in intervals for end in interval} <= points
    assert {*re.findall(r"(?:about )?[\d,]+(?= (?:validation |test )?images)", said)} <= _images(exported)


def _shares(exported: dict[str, Any]) -> list[float]:
    strategies, pairs, runs = exported["strategies"], exported["pairs"], exported["runs"]
    measured = [one["measures"].get(f"{part}_accuracy") for one in strategies for part in ("val", "test")]
    of_strategies = [one[name] for one in measured if one is not None for name in ("mean", "least", "most")]
    ends = [run[f"{part}_accuracy_{end}"] for run in runs for part in ("val", "test") for end in ("low", "high")]
    leaks = [exported[name] for name in ("leak", "test_leak") if exported[name]]
    of_groups = [leak[name] for leak in leaks for name in ("no_pixels", "majority")]
    known = [*of_strategies, *(one for pair in pairs for one in pair["accuracies"]), *ends, *of_groups]
    return [share for share in known if share is not None]


def _differences(exported: dict[str, Any]) -> list[float]:
    measures = [one["measures"] for one in exported["strategies"]]
    gaps = [one["generalisation_gap"]["mean"] for one in measures if "generalisation_gap" in one]
    means = [[one[name]["mean"] for one in measures if name in one] for name in ("val_accuracy", "test_accuracy")]
    unpaired = [one - other for part in means for one in part for other in part]
    return [*gaps, *unpaired, *(pair[name] for pair in exported["pairs"] for name in ("difference", "low", "high"))]


def _images(exported: dict[str, Any]) -> set[str]:
    data, pairs = exported["data"], exported["pairs"]
    folds = {run["fold"] for run in exported["runs"]} - {None}
    every = [data["train"] + data["val"]] if folds else []
    shared = [exported[name]["images"] for name in ("leak", "test_leak") if exported[name]]
    counts = [data["val"], data["test"], *every, *shared, *(pair["images"] for pair in pairs)]
    return {f"{count:,}" for count in counts} | {
        about(pair["images_needed"]) for pair in pairs if pair["images_needed"]
    }
