"""Files of predictions as a run leaves them, with made-up numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file


def write_predictions(
    folder: Path,
    run: str,
    labels: Sequence[int],
    predicted: Sequence[int],
    classes: Sequence[str] = ("ants", "bees"),
    *,
    epoch: int = 1,
    sure: float = 2.0,
    groups: Sequence[str] | None = None,
    test: bool = False,
) -> Path:
    """A file that predicts so for the images ``/0.jpg``, ``/1.jpg`` …; with ``test``, the same of a test part."""
    logits = sure * np.eye(len(classes), dtype=np.float32)[list(predicted)]
    paths = [f"/{number}.jpg" for number in range(len(labels))]
    described = {"classes": json.dumps(list(classes)), "epoch": str(epoch), "paths": json.dumps(paths)}
    tensors: dict[str, NDArray[np.generic]] = {"logits": logits, "labels": np.array(labels, dtype=np.int64)}
    if groups is not None:
        described["groups"] = json.dumps(list(groups))
    if test:
        tensors |= {f"test_{name}": tensor for name, tensor in tensors.items()}
        described |= {f"test_{name}": described[name] for name in ("paths", "groups") if name in described}
    path = folder / "predictions" / f"{run}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, described)
    return path
