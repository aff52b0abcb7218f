"""How often the verdict is wrong, and how often it sees a true difference, on simulated predictions.

``python -m benchmarks.calibration`` prints the share of comparisons that call two strategies different, for strategies
that are truly equal and for one that is 5 points better, by images, groups and seeds. ``--repeats`` of each.

An image is predicted correctly where a latent value is above 0: the image's difficulty, which both strategies share,
and normal noise of the strategy, of the seed at this image, of the seed at all images, of the group, and of a strategy
or a seed in a group.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from engine.comparison.difference import PairedDifference
from engine.comparison.paired import paired_difference
from engine.comparison.predictions import Predictions, outcomes


class World(NamedTuple):
    """What is simulated; standard deviations are of the latent value, in which an image's difficulty has 1.

    ``strategy``: how differently two strategies take an image; 0 where they are the same one. ``seed``: of a seed at an
    image; ``shared``: of a seed at all images; ``folds``: how many parts the images are divided into.
    """

    title: str
    accuracy: float = 0.94
    better: float = 0.0
    strategy: float = 0.0
    seed: float = 0.35
    shared: float = 0.0
    group: float = 0.7
    in_group: float = 0.0
    folds: int = 1


WORLDS = (
    World("same strategy twice"),
    World("same, a seed moves it 0.5 points", shared=0.05, in_group=0.1),
    World("same, a seed moves it 1 point", shared=0.1, in_group=0.1),
    World("same, accuracy 0.75", accuracy=0.75, seed=0.5, shared=0.03, in_group=0.1),
    World("different, equally accurate", strategy=0.4, shared=0.03, in_group=0.3),
    World("same, 5 folds", shared=0.05, folds=5),
    World("5 points better", better=0.05, strategy=0.4, shared=0.03, in_group=0.3),
    World("5 points better, accuracy 0.80", accuracy=0.80, better=0.05, strategy=0.4, shared=0.03, in_group=0.3),
    World("5 points better, 5 folds", better=0.05, strategy=0.4, shared=0.03, folds=5),
)
IMAGES = (153, 500, 2000)
SEEDS = (1, 2, 3, 5)
GROUP_SIZE = 8


def compared(world: World, images: int, seeds: int, grouped: bool, rng: np.random.Generator) -> PairedDifference:
    """Two strategies in such a world."""
    groups = rng.integers(images // GROUP_SIZE, size=images) if grouped else None
    right = simulated(world, images, seeds, groups, rng)
    names = tuple(f"{group}" for group in groups) if groups is not None else ("",) * images
    divisions = [_divided(world.folds, images, rng) for _ in range(seeds)]  # each seed divides anew, as runs do
    one, other = (
        [
            outcomes(_predictions(fold[seed, part], part, names, f"it-{seed}-fold-{number}"))
            for seed, parts in enumerate(divisions)
            for number, (fold, part) in enumerate(zip(side, parts, strict=True), start=1)
        ]
        for side in right
    )
    of_runs = [seed for seed in range(seeds) for _ in range(world.folds)]
    found = paired_difference(one, other, ("one", "other"), seeds=of_runs, folds=world.folds, divided=images)
    assert found is not None
    return found


def _divided(folds: int, images: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """The images of each fold; of one, all of them in their order."""
    if folds == 1:
        return [np.arange(images)]
    return [np.sort(part) for part in np.array_split(rng.permutation(images), folds)]


def simulated(
    world: World, images: int, seeds: int, groups: NDArray[np.int64] | None, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(2, folds, seeds, images): what each run predicts correctly."""
    shape = (2, world.folds, seeds, images)
    latent = np.broadcast_to(rng.normal(size=images), shape).copy()
    latent += rng.normal(0, world.strategy, (2, 1, 1, images)) + rng.normal(0, world.seed, shape)
    latent += rng.normal(0, world.shared, (*shape[:3], 1))
    variance = 1 + world.strategy**2 + world.seed**2 + world.shared**2
    if groups is not None:
        count = int(groups.max()) + 1
        latent += rng.normal(0, world.group, count)[groups]
        latent += rng.normal(0, world.in_group if world.strategy else 0.0, (2, 1, 1, count))[..., groups]
        latent += rng.normal(0, world.in_group / 2, (*shape[:3], count))[..., groups]
        variance += world.group**2 + world.in_group**2 * (1.25 if world.strategy else 0.25)
    thresholds = norm.ppf([world.accuracy, world.accuracy - world.better]) * np.sqrt(variance)
    return np.asarray(latent + thresholds[:, None, None, None] > 0)


def _predictions(right: NDArray[np.bool_], part: NDArray[np.int64], groups: tuple[str, ...], run: str) -> Predictions:
    probabilities = np.stack([1.0 - right, right.astype(float)], axis=1)
    paths, names = tuple(f"{index}" for index in part), tuple(groups[index] for index in part)
    return Predictions(run, "val", 1, ("a", "b"), paths, names, np.ones(len(part), np.int64), probabilities)


class Rates(NamedTuple):
    """Shares (0..1) of the repetitions: called different, and those whose interval holds the true difference."""

    different: float
    covered: float


def rates(world: World, images: int, seeds: int, grouped: bool, repeats: int) -> Rates:
    """What comes of so many repetitions."""
    rng = np.random.default_rng([images, seeds, grouped, *world.title.encode()])
    results = [compared(world, images, seeds, grouped, rng) for _ in range(repeats)]
    different = np.mean([found.different for found in results])
    return Rates(float(different), float(np.mean([found.low <= world.better <= found.high for found in results])))


def tables(repeats: int, worlds: tuple[World, ...], workers: int) -> Iterator[str]:
    """A Markdown table a world: per cent called different, in brackets those whose interval holds the truth."""
    with ProcessPoolExecutor(workers) as pool:
        for world in worlds:
            yield f"\n{world.title}\n"
            yield (
                "| images | groups | " + " | ".join(f"{seeds} seed{'s' if seeds > 1 else ''}" for seeds in SEEDS) + " |"
            )
            yield "| ---: | ---: |" + " ---: |" * len(SEEDS)
            for images in IMAGES:
                for grouped in (False, True)[: 1 if world.folds > 1 else 2]:
                    cells = [pool.submit(rates, world, images, seeds, grouped, repeats) for seeds in SEEDS]
                    found = [cell.result() for cell in cells]
                    shown = " | ".join(f"{100 * rate.different:.1f} ({100 * rate.covered:.0f})" for rate in found)
                    yield f"| {images:,} | {images // GROUP_SIZE if grouped else '–'} | {shown} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000, help="simulated comparisons a cell")
    parser.add_argument("--world", default="", help="only the worlds with this in their title")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args()
    worlds = tuple(world for world in WORLDS if options.world in world.title)
    print(
        f"{options.repeats:,} comparisons a cell; per cent called different (per cent of intervals that hold the truth)"
    )
    for line in tables(options.repeats, worlds, options.workers):
        print(line, flush=True)


if __name__ == "__main__":
    main()
