"""``tl-tui predict``: what a trained network says of other images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.folders import images_at
from engine.export.to_csv import csv_text
from engine.export.to_json import json_text
from engine.logs.folder import weights_file
from engine.units import percent
from tui.commands.find import find_network, whose
from tui.drawing.text import print_line

if TYPE_CHECKING:
    from engine.predict import Prediction


def print_predictions(experiment: str, images: Sequence[Path], format_: str, out: Path, device: str) -> int:
    """What the best of the experiment's runs, or the named one, says of each image; 1 where one cannot be read.

    ``SpecError`` where there is no such run or it has no network, ``DataError`` where a folder has no images.
    """
    folder, run = find_network(experiment, out)
    paths = [path for image in images for path in images_at(image)]
    from engine.predict import load_network, predictions_of  # noqa: PLC0415 - loads torch: what is mistyped is told before

    network = load_network(weights_file(folder, run.run), device)
    print_line(whose(folder, run), to_stderr=True)
    said = predictions_of(network, paths)
    if format_ == "text":
        problems = _print_lines(said, network.classes)
    else:
        told = list(said)
        problems = [one for one in told if one.problem]
        sys.stdout.write(_FORMATS[format_](told, network.classes))
    for one in problems:
        print_line(f"{one.path}: cannot be read: {one.problem}", to_stderr=True)
    return int(bool(problems))


def _print_lines(said: Iterable[Prediction], classes: Sequence[str]) -> list[Prediction]:
    """A line an image as soon as it is known; returns those that cannot be read."""
    problems = []
    for one in said:
        if one.problem:
            problems.append(one)
        else:
            answer, probability = _answer(one, classes)
            print_line(f"{one.path}: {answer} ({percent(probability)})")
    return problems


def _to_csv(said: Sequence[Prediction], classes: Sequence[str]) -> str:
    lines = ((one.path, *_answer(one, classes), *one.probabilities) for one in said if not one.problem)
    return csv_text([("path", "class", "probability", *classes), *lines])


def _to_json(said: Sequence[Prediction], classes: Sequence[str]) -> str:
    images = [
        {"path": one.path, "problem": one.problem}
        if one.problem
        else {
            "path": one.path,
            "class": _answer(one, classes)[0],
            "probabilities": dict(zip(classes, one.probabilities, strict=True)),
        }
        for one in said
    ]
    return json_text({"images": images})


_FORMATS: dict[str, Callable[[Sequence[Prediction], Sequence[str]], str]] = {"csv": _to_csv, "json": _to_json}


def _answer(one: Prediction, classes: Sequence[str]) -> tuple[str, float]:
    probability = max(one.probabilities)
    return classes[one.probabilities.index(probability)], probability
