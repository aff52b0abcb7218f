"""What made-up runs said of made-up images: pictures and files of predictions beside a made-up log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from engine.logs.events import AnyEvent
from engine.states.fold import fold
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
    for place, run in enumerate(fold(told).runs):
        if run.best is None:
            continue
        logits = np.zeros((len(paths), len(classes)), np.float32)
        for number, label in enumerate(labels):
            wrong = number % (place + 5) == 0
            logits[number, 1 - label if wrong else label] = 1 + number / 10
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
