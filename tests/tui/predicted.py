"""What made-up runs said of made-up images: pictures and files of predictions beside a made-up log."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import msgspec
import numpy as np
from safetensors.numpy import save_file

from engine.logs.events import AnyEvent, DataDecoded, EpochFinished, ExperimentStarted, Metrics
from engine.states.replay import replay
from tests.conftest import COLOURS, draw

CLASSES = ("ants", "bees")
IMAGES = 24


def images(root: Path, names: Sequence[str] = ()) -> list[str]:
    """Small pictures, half of each class, warm and cold; paths in file order."""
    names = names or [f"image-{number:02}.png" for number in range(IMAGES)]
    paths = []
    for number, name in enumerate(names):
        path = root / name
        draw(path, COLOURS["warm" if number < len(names) // 2 else "cold"], number)
        paths.append(str(path))
    return paths


def agreed(told: Sequence[AnyEvent]) -> list[AnyEvent]:
    """The log with as many validation images as :func:`images` makes, and every run at its best epoch as good as what
    :func:`write` has it say of them, at the others less accurate.
    """
    best = {run.run: (place, run.best) for place, run in enumerate(replay(told).runs) if run.best is not None}
    return [_agreed(event, best) for event in told]


def _agreed(event: AnyEvent, best: Mapping[str, tuple[int, EpochFinished]]) -> AnyEvent:
    match event:
        case ExperimentStarted():
            return msgspec.structs.replace(
                event, data=msgspec.structs.replace(event.data, val=dict.fromkeys(CLASSES, IMAGES // 2))
            )
        case DataDecoded():
            return msgspec.structs.replace(event, val=IMAGES)
        case EpochFinished():
            place, at_best = best[event.run]
            wrong = [number for number in range(IMAGES) if _is_wrong(number, place)]
            worse = round(IMAGES * (at_best.val.accuracy - event.val.accuracy))
            worse = 0 if event.epoch == at_best.epoch else max(1, worse)
            accuracy = max(0, IMAGES - len(wrong) - worse) / IMAGES
            losses = [
                math.log1p(math.exp(_surety(one))) - (0 if one in wrong else _surety(one)) for one in range(IMAGES)
            ]
            loss = round(mean(losses) + event.val.loss - at_best.val.loss, 4)
            return msgspec.structs.replace(event, val=Metrics(loss, accuracy, IMAGES))
        case _:
            return event


def _is_wrong(number: int, place: int) -> bool:
    return number % (place + 5) == 0


def _surety(number: int) -> float:
    """The logit of what is said of an image; the other class's is 0."""
    return 1 + number / 10


def write(
    folder: Path,
    told: Sequence[AnyEvent],
    paths: Sequence[str],
    classes: Sequence[str] = CLASSES,
    test_paths: Sequence[str] = (),
) -> None:
    """Predictions of every run of the log at its best epoch: the n-th run mistakes every (n + 5)-th image, surer of
    the later ones. Of the test images, where there are some, it mistakes the n-th alone.
    """
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    labels = np.array([int(number >= len(paths) // 2) for number in range(len(paths))])
    for place, run in enumerate(replay(told).runs):
        if run.best is None:
            continue
        logits = np.zeros((len(paths), len(classes)), np.float32)
        for number, label in enumerate(labels):
            logits[number, 1 - label if _is_wrong(number, place) else label] = _surety(number)
        described = {"classes": json.dumps(classes), "epoch": str(run.best.epoch), "paths": json.dumps(list(paths))}
        tensors = {"logits": logits, "labels": labels.astype(np.int64)}
        if test_paths:
            tested = np.eye(len(test_paths), dtype=np.int64)[place]  # 1 where it is wrong; all are of the first class
            tensors |= {"test_logits": np.stack([1 - tested, tested], axis=1).astype(np.float32)}
            tensors |= {"test_labels": np.zeros(len(test_paths), np.int64)}
            described["test_paths"] = json.dumps(list(test_paths))
        save_file(
            tensors,
            folder / "predictions" / f"{run.run}.safetensors",
            described,
        )
