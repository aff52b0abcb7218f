"""Images to measure with, where what they show does not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("blue", "red")


def write_images(folder: Path, *, train: int, val: int, side: int) -> Path:
    """Writes so many PNG files of ``side`` × ``side`` pixels below train and val: noise of two tints."""
    dice = np.random.default_rng(0)
    for part, count in (("train", train), ("val", val)):
        for number in range(count):
            label = number % len(CLASSES)
            target = folder / part / CLASSES[label]
            target.mkdir(parents=True, exist_ok=True)
            pixels = dice.integers(0, 180, (side, side, 3), dtype=np.uint8)
            pixels[:, :, 2 * (1 - label)] += 60
            Image.fromarray(pixels).save(target / f"{number}.png", compress_level=1)
    return folder
