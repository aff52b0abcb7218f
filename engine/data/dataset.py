"""What a data set is: classes, and labelled images for training and for validation. Imports without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from engine.logs.events import DataSummary, Leak


class Unreadable(Struct, frozen=True):
    """A file that could not be decoded, and why, in a few words."""

    path: str
    reason: str


class Sample(Struct, frozen=True):
    """One labelled image: the absolute path of its file, and ``label``, the number of its class.

    ``group``: what it shares with other images (a patient, a scene), empty where no group is known.
    """

    path: str
    label: int
    group: str = ""


class DataSet(Struct, frozen=True):
    """Labelled images divided into training and validation, and maybe a test part that no choice ever looks at.

    A sample's ``label`` is an index into ``classes``, which are sorted by name. ``split`` says in words how the images
    were divided, ``groups`` where their groups come from, empty where none are known; ``warnings`` is what a person
    should know about them, one line each.
    """

    name: str
    path: str
    kind: Literal["folders", "csv", "demo"]
    classes: tuple[str, ...]
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    split: str
    warnings: tuple[str, ...]
    test: tuple[Sample, ...] = ()
    groups: str = ""


def summary(dataset: DataSet) -> DataSummary:
    """The facts about a data set that its log keeps; classes without an image count 0."""
    return DataSummary(
        name=dataset.name,
        path=dataset.path,
        kind=dataset.kind,
        classes=dataset.classes,
        train=counts(dataset.classes, dataset.train),
        val=counts(dataset.classes, dataset.val),
        split=dataset.split,
        test=counts(dataset.classes, dataset.test) if dataset.test else {},
        groups=dataset.groups,
        leak=leak(dataset.train, dataset.val) if dataset.groups else None,
        test_leak=leak((*dataset.train, *dataset.val), dataset.test) if dataset.groups and dataset.test else None,
    )


def leak(train: Sequence[Sample], others: Sequence[Sample]) -> Leak:
    """What the groups of ``train`` give away about ``others``; an image without a group shares none.

    Where training images of a group have several labels, or all training images, the most frequent one counts, of
    several the first.
    """
    by_group: dict[str, Counter[int]] = {}
    for sample in train:
        if sample.group:
            by_group.setdefault(sample.group, Counter())[sample.label] += 1
    common = _commonest(Counter(sample.label for sample in train))
    of_group = {group: _commonest(labels) for group, labels in by_group.items()}
    guessed = sum(of_group.get(sample.group, common) == sample.label for sample in others)
    shared = [sample.group for sample in others if sample.group in of_group]
    most = sum(sample.label == common for sample in others)
    count = max(len(others), 1)
    return Leak(guessed / count, most / count, len(shared), len(others), len(set(shared)))


def _commonest(labels: Counter[int]) -> int:
    return min(labels, key=lambda label: (-labels[label], label))


def counts(classes: Sequence[str], samples: Sequence[Sample]) -> dict[str, int]:
    """Images by class name."""
    found = Counter(sample.label for sample in samples)
    return {name: found[label] for label, name in enumerate(classes)}
