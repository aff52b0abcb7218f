"""Whether experiments were measured on the same data, and if not, what differs. Imports without torch."""

from __future__ import annotations

from collections.abc import Sequence

from engine.specs.spec import Experiment
from engine.states.state import ExperimentState
from engine.text import shown


def what_differs(states: Sequence[ExperimentState]) -> str:
    """What differs between the data of the experiments, in a line; empty where they are the same.

    The fingerprints of the decoded images decide, where both are known, and how folds divide them; else the classes and
    the counts of images do.
    """
    first = states[0]
    for other in states[1:]:
        if difference := _difference(first, other):
            return f"{shown(other.name, 80)} was not measured on the same data as {shown(first.name, 80)}: {difference}"
    return ""


def _difference(one: ExperimentState, other: ExperimentState) -> str:
    if one.data is None or other.data is None or one.spec is None or other.spec is None:
        return "nothing is known about one of them yet"
    if one.data.classes != other.data.classes:
        return "different classes"
    if difference := _division_differs(one.spec, other.spec):
        return difference
    parts = (
        ("training", one.data.train, other.data.train),
        ("validation", one.data.val, other.data.val),
        ("test", one.data.test, other.data.test),
    )
    for name, first, second in parts:
        if sum(first.values()) != sum(second.values()):
            return f"{sum(second.values()):,} instead of {sum(first.values()):,} {name} images"
    known = [state.decoded.fingerprint for state in (one, other) if state.decoded and state.decoded.fingerprint]
    if len(known) == 2:
        return "" if known[0] == known[1] else "same number of images, but different images, labels or split"
    return "" if all(first == second for _, first, second in parts) else "a different number of images in some class"


def _division_differs(one: Experiment, other: Experiment) -> str:
    """What differs between the folds of two experiments, of which the fingerprint of all the images tells nothing."""
    if one.folds != other.folds:
        return f"{other.folds or 'no'} folds instead of {one.folds or 'none'}"
    if one.folds is not None and one.data.split_seed != other.data.split_seed:
        return f"folds divided with split seed {other.data.split_seed} instead of {one.data.split_seed}"
    return ""
