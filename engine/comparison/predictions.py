"""Reading a run's file of predictions: what its best epoch said of every image. numpy, no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from sys import intern
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from scipy.special import softmax

from engine.comparison.measured_parts import MeasuredPart
from engine.data.group_split import numbered
from engine.logs.folder import predictions_file


@dataclass(frozen=True)
class Seen:
    """N images of one part of the data, in file order, of which one run's best epoch said something.

    ``groups``: what patient, animal or scene an image shows, empty where unknown. ``labels``: (N,), the index of an
    image's true class.
    """

    run: str
    part: MeasuredPart
    epoch: int
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    groups: tuple[str, ...]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Predictions(Seen):
    """What it said: ``probabilities``, (N, classes), the softmax of the logits, so each row sums to 1."""

    probabilities: NDArray[np.float64]


class Saved(NamedTuple):
    """A run's file of predictions as it is now: whose it is, its size in bytes and its time of change in ns."""

    folder: Path
    run: str
    size: int
    changed: int


def saved(folder: Path, run: str) -> Saved | None:
    """The predictions that a run of the experiment in ``folder`` has left so far; None where there are none."""
    try:
        found = predictions_file(folder, run).stat()
    except OSError:
        return None
    return Saved(folder, run, found.st_size, found.st_mtime_ns)


def read(folder: Path, run: str, part: MeasuredPart = "val") -> Predictions | None:
    """The predictions of a run of the experiment in ``folder``; None where its file holds none that make sense.

    ``OSError`` where the file is not there or cannot be read now, which may pass: nothing is to be concluded of it.
    """
    path, prefix = predictions_file(folder, run), "test_" if part == "test" else ""
    if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            described: dict[str, str] = file.metadata() or {}
            logits = file.get_tensor(f"{prefix}logits").astype(np.float64)
            labels = file.get_tensor(f"{prefix}labels").astype(np.int64)
        classes, paths = _texts(described["classes"]), _texts(described[f"{prefix}paths"])
        groups = _texts(described.get(f"{prefix}groups", "[]")) or ("",) * len(paths)
        epoch = int(described["epoch"])
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError):
        return None
    count = len(paths)
    shapes = (logits.shape, labels.shape, len(groups)) == ((count, len(classes)), (count,), count)
    if not shapes or count == 0 or not np.isfinite(logits).all():
        return None
    if labels.min() < 0 or labels.max() >= len(classes):
        return None
    return Predictions(run, part, epoch, classes, paths, groups, labels, softmax(logits, axis=1))


@dataclass(frozen=True)
class Outcomes(Seen):
    """What came of a run's predictions, as far as strategies are compared by it: much less than :class:`Predictions`.

    ``right``: (N,), whether an image was classified rightly. ``losses``: (N,), its cross-entropy in nats.
    """

    right: NDArray[np.bool_]
    losses: NDArray[np.float64]


def below(paths: Sequence[str]) -> tuple[str, ...]:
    """The images' paths without the folder that all are in: those of a copy of the data are the same."""
    try:
        start = len(os.path.commonpath([os.path.dirname(path) for path in paths]))  # noqa: PTH120 - many of them
    except ValueError:  # no paths, or of all sorts
        return tuple(paths)
    return tuple(path[start:].lstrip("/") for path in paths)


def outcomes(of: Predictions) -> Outcomes:
    """What came of a run's predictions."""
    right = np.asarray(of.probabilities.argmax(axis=1) == of.labels)
    return Outcomes(of.run, of.part, of.epoch, of.classes, of.paths, of.groups, of.labels, right, cross_entropies(of))


def units_of(groups: Sequence[str], paths: Sequence[str]) -> NDArray[np.int64]:
    """The number (N,) of what each image is drawn with: its group, or of an image without one itself."""
    alone = ((group, "" if group else path) for group, path in zip(groups, paths, strict=True))
    return numbered(list(alone))


def cross_entropies(predicted: Predictions) -> NDArray[np.float64]:
    """The cross-entropy of each image (N,), in nats: finite, even where a true class was given no chance."""
    given = predicted.probabilities[np.arange(len(predicted.labels)), predicted.labels]
    return np.asarray(-np.log(np.maximum(given, np.finfo(np.float64).eps)))


def _texts(encoded: str) -> tuple[str, ...]:
    values = json.loads(encoded)
    if not isinstance(values, list) or not {*map(type, values)} <= {str}:
        raise TypeError("not a list of texts")
    return tuple(map(intern, values))  # every run has the same images
