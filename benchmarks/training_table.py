"""From measurements of training to a Markdown table. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import mean, median
from typing import TypeVar

from msgspec import Struct

from benchmarks.measure import Counted, Epoch, Watched
from benchmarks.report import spread, table

T = TypeVar("T")
MIB = 2**20
BASE, ENGINE = "plain", "engine"
HEAD = (
    "strategy · side",
    "s an epoch",
    "× faster (an epoch)",
    "s in all",
    "× faster (in all)",
    "images/s",
    "CPU s",
    "peak RSS, MiB",
    "with workers, MiB",
    "best val accuracy, %",
    "runs",
    "× the engine is faster (an epoch)",
)
NOTES = """\
Medians (smallest–largest) of the runs. *× faster*: the plain loop's seconds by this side's, *× the engine is faster*:
this side's by the engine's, pair by pair of one repeat.

- *An epoch* is training, validation and keeping the best one. Fine-tuning: a run's first epoch is left out on every
  side, since what is done only once falls into it; the mean of the others is the run's figure. Extraction: seconds in
  all by epochs, since what the engine does for it is done once.
- *In all*: from the imported libraries to the end of the last epoch, with weights read, images decoded, kernels warmed
  up and the best epoch kept. CPU seconds are of the same time, worker processes included. Of fine-tuning only the runs
  of full length, one for each seed, give these and the accuracy.
- *images/s*: training and validation images by seconds an epoch.
- *Peak RSS* is the main process's, by the kernel's count, of the run with the most; *with workers* that of all
  processes, shared pages counted once, sampled twice a second."""


class Sample(Struct, frozen=True):
    """One measured run. ``data``: the folder, or that it is the demo set; ``weights`` as asked; ``epochs``:
    planned; ``trains`` as in the strategy.

    ``full``: as long as the comparison asks, not a shorter further repeat.
    """

    data: str
    weights: str
    strategy: str
    trains: str
    side: str
    repeat: int
    seed: int
    epochs: int
    full: bool
    commit: str
    counted: Counted
    watched: Watched


def epoch_seconds(sample: Sample) -> float:
    """Seconds of an epoch of this run; see :data:`NOTES`."""
    if sample.trains == "head":
        return sample.counted.seconds / sample.epochs
    epochs: Sequence[Epoch] = sample.counted.trained.epochs
    return mean(epoch.seconds for epoch in (epochs[1:] or epochs))


def best_accuracy(sample: Sample) -> float:
    """The best validation accuracy of this run in 0..1."""
    return max(epoch.val_accuracy for epoch in sample.counted.trained.epochs)


def training_table(samples: Sequence[Sample]) -> str:
    """The table of both strategies and all sides, what it means, and where the engine's time went."""
    rows = [
        _row(group, *([one for one in samples if (one.strategy, one.side) == (strategy, of)] for of in (BASE, ENGINE)))
        for strategy in _in_order(sample.strategy for sample in samples)
        for side in _in_order(sample.side for sample in samples)
        if (group := [one for one in samples if (one.strategy, one.side) == (strategy, side)])
    ]
    others = spread([100 * sample.watched.others for sample in samples], ".0f")
    quiet = f"- Other processes took {others} % of the machine's processor time meanwhile."
    return "\n\n".join((table(HEAD, rows), f"{NOTES}\n{quiet}", "\n".join(_details(samples))))


def _row(group: Sequence[Sample], base: Sequence[Sample], engine: Sequence[Sample]) -> list[str]:
    full = [sample for sample in group if sample.full]
    accuracies = [100 * best_accuracy(sample) for sample in full]
    each = ", ".join(f"{accuracy:.1f}" for accuracy in accuracies)
    seconds = [epoch_seconds(sample) for sample in group]
    speed = [sample.counted.trained.images / epoch for sample, epoch in zip(group, seconds, strict=True)]
    is_base = group[0].side == BASE
    full_base = [sample for sample in base if sample.full]
    return [
        f"{group[0].strategy} · {group[0].side}",
        spread(seconds),
        "1" if is_base else spread(ratios(base, group, epoch_seconds)),
        spread([sample.counted.seconds for sample in full]),
        "1" if is_base else spread(ratios(full_base, full, lambda sample: sample.counted.seconds)),
        f"{median(speed):.0f}",
        spread([sample.counted.cpu_seconds for sample in full]),
        f"{max(sample.counted.peak_rss for sample in group) / MIB:.0f}",
        f"{max(sample.watched.peak_together for sample in group) / MIB:.0f}",
        f"{mean(accuracies):.1f} ({each})" if accuracies else "–",
        str(len(group)),
        spread(ratios(group, engine, epoch_seconds)) if engine and group[0].side != ENGINE else "1",
    ]


def ratios(base: Iterable[Sample], group: Iterable[Sample], seconds: Callable[[Sample], float]) -> list[float]:
    """The base's seconds by the group's, for every repeat that both have."""
    of_base = {sample.repeat: seconds(sample) for sample in base}
    return [of_base[sample.repeat] / seconds(sample) for sample in group if sample.repeat in of_base]


def _details(samples: Sequence[Sample]) -> list[str]:
    """Per strategy and side: weights, how it computed, and median seconds by stage where they are known."""
    lines = []
    for strategy, side in _in_order((sample.strategy, sample.side) for sample in samples):
        group = [one for one in samples if (one.strategy, one.side) == (strategy, side)]
        longest = [one for one in group if one.full] or group
        trained = longest[0].counted.trained
        stages = ", ".join(
            f"{stage} {median(one.counted.trained.stages.get(stage, 0.0) for one in longest):.2f} s"
            for stage in trained.stages
        )
        found = _first_by_others(longest)
        first = f"the first epoch took {spread(found, '.2f')} times the others' mean" if found else ""
        parts = (f"{longest[0].epochs} epochs", trained.note, f"weights: {trained.weights}", stages, first)
        lines.append(f"- {strategy} · {side}: {'; '.join(part for part in parts if part)}")
    return lines


def _first_by_others(group: Sequence[Sample]) -> list[float]:
    """The seconds of the first epoch by the mean of the others, for each run that has others."""
    seconds = ([epoch.seconds for epoch in sample.counted.trained.epochs] for sample in group)
    return [first / mean(others) for first, *others in seconds if others]


def _in_order(names: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(names))
