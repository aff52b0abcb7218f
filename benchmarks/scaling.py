"""Time and memory of the engine as the images grow in number, wherever it keeps them decoded, as a table.

``python -m benchmarks.scaling`` draws small images, trains on 1, 4 and 16 times as many, each in a process of its own
with an empty cache, and prints a row each. Weights are random: what is measured does not depend on them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import psutil
from msgspec import Struct
from PIL import Image

from benchmarks.measure import Counted, SideFailedError, Task, Watched, end_on_sigterm, measure
from benchmarks.report import header, spread, table
from engine.specs.presets import presets
from engine.specs.strategy import Strategy

SIDE = 160
CLASSES = ("first", "second")
VAL_EVERY = 5
STORES = ("bounded", "mapped", "decoded")
"""Where the engine keeps decoded images: in memory up to a bound that the most images exceed, and those in a mapped
file; all in a mapped file; nowhere, so that they are decoded in every epoch."""
IMAGE_SIZES = {"mobilenetv3-extract": 128, "resnet18-finetune": 64}
"""Pixels: small, so that 16 times as many images take minutes."""
MIB = 2**20
HEAD = (
    "strategy · images kept",
    "images",
    "s in all",
    "s a 1000 images",
    "peak RSS, MiB",
    "peak anonymous, MiB",
    "decoded images, MiB",
)
NOTES = """\
*s in all*: weights, decoding, warm-up and training (epochs: {epochs}), from the imported libraries on. *Peak RSS* by
the kernel's count, with whatever pages of mapped files happen to be in memory; *anonymous* without them, sampled 20
times a second. *Decoded images*: the bytes of all of them as the engine keeps them."""


class Row(Struct, frozen=True):
    """What was measured of one strategy with so many images, a list entry a repeat."""

    strategy: Strategy
    images: int
    decoded_bytes: int
    measured: tuple[tuple[Counted, Watched], ...]


def environment(store: str, bound: int) -> dict[str, str]:
    """What makes the engine keep images there, with a bound of so many bytes."""
    match store:
        case "bounded":
            return {"TL_TUI_RAM_SHARE": f"{bound / psutil.virtual_memory().available:.6f}"}
        case "mapped":
            return {"TL_TUI_RAM_SHARE": "0"}
        case _:
            return {"TL_TUI_RAM_SHARE": "0", "TL_TUI_CACHE_GIB": "0"}


def draw(folder: Path, images: int) -> None:
    """Draws so many different JPEGs of two classes, every fifth for validation."""
    rng = np.random.default_rng(images)
    for label, class_name in enumerate(CLASSES):
        for part in ("train", "val"):
            (folder / part / class_name).mkdir(parents=True)
        for number in range(label, images, len(CLASSES)):
            part = "val" if number // len(CLASSES) % VAL_EVERY == 0 else "train"
            coarse = rng.integers(0, 160, (8, 8, 3)) + np.array([80 * label, 40, 80 * (1 - label)])
            picture = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8)).resize((SIDE, SIDE))
            picture.save(folder / part / class_name / f"{number:06}.jpg", quality=80)


def scaling_table(rows: Sequence[Row]) -> str:
    """The table, and what its columns mean."""
    lines = []
    for row in rows:
        seconds = [counted.seconds for counted, _ in row.measured]
        kept = row.measured[0][0].trained.note
        lines.append(
            [
                f"{row.strategy.name} at {row.strategy.image_size} px · {kept}",
                f"{row.images:,}",
                spread(seconds),
                spread([1000 * one / row.images for one in seconds]),
                f"{max(counted.peak_rss for counted, _ in row.measured) / MIB:.0f}",
                f"{max(watched.peak_anonymous for _, watched in row.measured) / MIB:.0f}",
                f"{row.decoded_bytes / MIB:.0f}",
            ]
        )
    epochs = " or ".join(dict.fromkeys(str(row.strategy.epochs) for row in rows))
    others = spread([100 * watched.others for row in rows for _, watched in row.measured], ".0f")
    quiet = f"Other processes took {others} % of the machine's processor time meanwhile."
    return f"{table(HEAD, lines)}\n\n{NOTES.format(epochs=epochs)} {quiet}"


def main() -> None:
    """Measures what is asked and prints the table."""
    options = _options()
    end_on_sigterm()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tl-tui-benchmark-") as scratch:
        folders = {count: Path(scratch, str(count)) for count in options.images}
        for count, folder in folders.items():
            draw(folder, count)
        for name in options.presets:
            strategy = msgspec.structs.replace(presets()[name], epochs=options.epochs, image_size=IMAGE_SIZES[name])
            *_, most = sorted(options.images)
            bound = most * bytes_of_an_image(strategy) // 2
            cells = list(product(options.stores, folders))
            measured: dict[tuple[str, int], list[tuple[Counted, Watched]]] = {cell: [] for cell in cells}
            for repeat in range(options.repeats):  # in turns, so that what else goes on meets all alike
                for store, count in cells if repeat % 2 == 0 else reversed(cells):
                    print(f"{repeat + 1}: {name} · {store} · {count} images", file=sys.stderr, flush=True)
                    measured[store, count].append(_measured(strategy, folders[count], environment(store, bound)))
            rows += [
                Row(strategy, count, count * bytes_of_an_image(strategy), tuple(found))
                for (_, count), found in measured.items()
            ]
    print(f"{header()}\n\n{scaling_table(rows)}")


def _measured(strategy: Strategy, folder: Path, kept: dict[str, str]) -> tuple[Counted, Watched]:
    """A run with an empty cache, and ``kept`` in its environment."""
    task = Task("engine_run", strategy, str(folder), "none", 0)
    with tempfile.TemporaryDirectory(prefix="tl-tui-benchmark-") as cache:
        try:
            return measure(task, {"TL_TUI_CACHE": cache} | kept)
        except SideFailedError as error:
            sys.exit(str(error))


def bytes_of_an_image(strategy: Strategy) -> int:
    """What a decoded image takes: of 256 pixels a side for what is seen at 224, as both networks want it."""
    return 3 * round((strategy.image_size or 224) * 256 / 224) ** 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--presets", nargs="+", choices=list(IMAGE_SIZES), default=list(IMAGE_SIZES))
    parser.add_argument("--images", nargs="+", type=int, default=[500, 2000, 8000])
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
