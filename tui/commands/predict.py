"""``tl-tui predict``: what a trained network says of other images, and where they have labels, how good it is there."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.confusion import confused
from engine.data.folders import images_at, labels_at
from engine.errors import DataError, UserError
from engine.export.to_csv import csv_text
from engine.export.to_json import json_text
from engine.logs.folder import weights_file
from engine.progress import WorkDone
from engine.text import counted, listed, shown
from engine.units import UNKNOWN, percent
from tui.commands.find import find_network, whose
from tui.commands.progress import with_progress_bar
from tui.drawing.text import cut_in_the_middle, print_line
from tui.drawing.theme import GREY, rgb

if TYPE_CHECKING:
    from engine.comparison.scores import Scores
    from engine.data.seen_before import SeenBefore
    from engine.predict import Prediction
    from engine.states.state import RunState

Labels = Mapping[str, str]
"""The classes of images, by the paths of those that have a label."""
NUMBERS = 40
"""Cells of a line of the scores that its two names do not have."""


def print_predictions(
    experiment: str, images: Sequence[Path], format_: str, out: Path, device: str, *, wrong: bool = False
) -> int:
    """What the best of the experiment's runs, or the named one, says of each image; 1 where one cannot be read.

    Of the images in folders named as classes, how good it is too. ``wrong``: only of those that it gets wrong, the most
    confident mistake first. ``UserError`` where there is no such run or it has no network, ``DataError`` where a folder
    has no images, or only those that are wrong are asked for and none has a label.
    """
    folder, run = find_network(experiment, out)
    there = [(image, images_at(image)) for image in images]
    from engine.predict import load_network, predictions_of, scores_on  # noqa: PLC0415 - loads torch: what is mistyped is told before

    network = load_network(weights_file(folder, run.run), device)
    print_line(whose(folder, run), to_stderr=True)
    labels, known = dict[str, str](), {*network.classes}
    for image, below in there:
        of_these, warnings = labels_at(image, below, known)
        labels |= of_these
        for warning in warnings:
            print_line(warning, to_stderr=True)
    if wrong and not labels:
        raise DataError(
            f"none of these images is labelled, so wrong ones cannot be told; --wrong needs a FOLDER with folders "
            f"named after the classes: {listed([*network.classes])}"
        )
    paths = [path for _, below in there for path in below]
    said = predictions_of(network, paths)
    if format_ == "text" and not wrong:
        told = _print_lines(said, network.classes, labels)
    else:
        told = with_progress_bar(_collected(said, len(paths)), Console(stderr=True))
    problems = [one for one in told if one.problem]
    labelled = [one for one in told if one.path in labels and not one.problem]
    if wrong:
        told = _wrong_first(labelled, network.classes, labels)
        if format_ == "text":
            for one in told:
                print_line(_line(one, network.classes, labels))
    measured = dict[str, Any]()
    if labelled:
        scores = scores_on(labelled, [labels[one.path] for one in labelled], network.classes)
        interval = accuracy_interval(scores.accuracy, scores.images)
        seen = _seen(folder, run, [one.path for one in labelled])
        _print_scores(scores, interval, seen, Console(stderr=format_ != "text"))
        measured = {"scores": _as_object(scores, interval, seen)}
    if format_ == "csv":
        sys.stdout.write(_to_csv(told, network.classes, labels))
    elif format_ == "json":
        sys.stdout.write(json_text({"images": _to_objects(told, network.classes, labels), **measured}))
    for one in problems:
        print_line(f"{one.path}: cannot be read: {one.problem}", to_stderr=True)
    return int(bool(problems))


def _print_lines(said: Iterable[Prediction], classes: Sequence[str], labels: Labels) -> list[Prediction]:
    """A line an image as soon as it is known; returns those that cannot be read and those that have a label."""
    kept = []
    for one in said:
        if one.problem or one.path in labels:
            kept.append(one)
        if not one.problem:
            print_line(_line(one, classes, labels))
    return kept


def _line(one: Prediction, classes: Sequence[str], labels: Labels) -> str:
    answer, probability = _answer(one, classes)
    wrong = f", labelled {labels[one.path]}" if labels.get(one.path, answer) != answer else ""
    return f"{one.path}: {answer} ({percent(probability)}){wrong}"


def _collected(said: Iterable[Prediction], total: int) -> Generator[WorkDone, None, list[Prediction]]:
    """All of them; yields how many are there."""
    found = []
    for one in said:
        found.append(one)
        yield WorkDone("predicting", len(found), total, images=True)
    return found


def _wrong_first(said: Iterable[Prediction], classes: Sequence[str], labels: Labels) -> list[Prediction]:
    """Those that are wrong, the most confident mistake first; equally confident ones in their order."""
    wrong = [one for one in said if _answer(one, classes)[0] != labels[one.path]]
    return sorted(wrong, key=lambda one: -max(one.probabilities))


def _seen(folder: Path, run: RunState, paths: Sequence[str]) -> SeenBefore | None:
    """Which of the images the run knows already; None, and a line that says why, where nobody can tell."""
    from engine.predict import seen_by  # noqa: PLC0415 - loads torch

    try:
        return with_progress_bar(seen_by(folder, run, paths), Console(stderr=True))
    except UserError as error:
        print_line(f"cannot tell whether it was trained on some of these images: {error}", to_stderr=True)
        return None


def _print_scores(scores: Scores, interval: tuple[float, float], seen: SeenBefore | None, console: Console) -> None:
    """How many are right in all, what flatters in that, and a line a class that has images."""
    for line in _sentences(scores, interval, seen):
        console.print(Text(line), soft_wrap=True)
    most = {one.true: one for one in reversed(confused([one.name for one in scores.classes], scores.confusion))}
    table = Table(box=None, header_style=rgb(GREY), pad_edge=False)
    table.add_column("class", no_wrap=True)
    for column in ("images", "right", ""):
        table.add_column(column, justify="right")
    table.add_column("most often predicted as", no_wrap=True)
    room = max(12, (console.width - NUMBERS) // 2)
    for number, one in enumerate(scores.classes):
        if one.support:
            other = most.get(one.name)
            right = scores.confusion[number][number]
            table.add_row(
                Text(cut_in_the_middle(shown(one.name), room)),
                f"{one.support:,}",
                f"{right:,}",
                percent(right / one.support),
                Text(f"{cut_in_the_middle(shown(other.predicted), room)} ({other.images:,})" if other else UNKNOWN),
            )
    console.print(table)


def _sentences(scores: Scores, interval: tuple[float, float], seen: SeenBefore | None) -> Iterator[str]:
    low, high = map(percent, interval)
    absent = [one.name for one in scores.classes if not one.support]
    yield (
        f"{counted(scores.images, 'labelled image', 'labelled images')}: accuracy {percent(scores.accuracy)} "
        f"(95 % interval {low} to {high}), balanced accuracy {percent(scores.balanced_accuracy)}"
        f"{f', no image of {listed(absent)}' if absent else ''}"
    )
    if seen is not None and seen.trained_on:
        yield f"It was trained on {seen.trained_on:,} of them (the same bytes), so this is optimistic."
    if seen is not None and seen.validated_on:
        yield f"Its best epoch was chosen on {seen.validated_on:,} of them (validation images), so this is optimistic."


def _as_object(scores: Scores, interval: tuple[float, float], seen: SeenBefore | None) -> dict[str, Any]:
    low, high = interval
    of_seen = {"trained_on": None, "validated_on": None} if seen is None else seen._asdict()
    return {**msgspec.to_builtins(scores), "accuracy_low": low, "accuracy_high": high, **of_seen}


def _to_csv(said: Sequence[Prediction], classes: Sequence[str], labels: Labels) -> str:
    """A line an image that could be read; with labels where any image has one."""
    column = ("label",) if labels else ()
    lines = (
        (one.path, *(labels.get(one.path, "") for _ in column), *_answer(one, classes), *one.probabilities)
        for one in said
        if not one.problem
    )
    return csv_text([("path", *column, "class", "probability", *classes), *lines])


def _to_objects(said: Sequence[Prediction], classes: Sequence[str], labels: Labels) -> list[dict[str, Any]]:
    return [
        {"path": one.path, **({"label": labels[one.path]} if one.path in labels else {}), **_told(one, classes)}
        for one in said
    ]


def _told(one: Prediction, classes: Sequence[str]) -> dict[str, Any]:
    if one.problem:
        return {"problem": one.problem}
    probabilities = dict(zip(classes, one.probabilities, strict=True))
    return {"class": _answer(one, classes)[0], "probabilities": probabilities}


def _answer(one: Prediction, classes: Sequence[str]) -> tuple[str, float]:
    probability = max(one.probabilities)
    return classes[one.probabilities.index(probability)], probability
