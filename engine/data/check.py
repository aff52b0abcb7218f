"""Is the data sound? What its groups give away, images that are there twice, and what the images are like.

Imports without torch; a quick check opens no image and loads neither numpy nor Pillow.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from engine.data.dataset import DataSet, Sample, Unreadable, counts, leak
from engine.data.discover import image_root
from engine.data.groups import below, compiled, group_in
from engine.data.proposal import Proposal, propose
from engine.logs.events import Leak
from engine.progress import WorkDone, counting_images, transformed
from engine.specs.spec import DataSource

if TYPE_CHECKING:
    from engine.data.duplicates import Duplicates
    from engine.data.looks import Look
    from engine.data.near import NearPairs


class ImageFacts(Struct, frozen=True):
    """What the images that can be read are like: widths and heights in pixels, smallest, median and largest by area.

    ``sizes``: how many different ones; ``grey``: images without colours, by class name, of those read of each.
    """

    read: int
    sizes: int
    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    grey: dict[str, tuple[int, int]]
    unreadable: tuple[Unreadable, ...]


class DataReport(Struct, frozen=True):
    """What there is to know about a data set before anything is trained on it.

    ``counts``: images by part, then by class name, without those that cannot be read once they were opened. ``leak``,
    ``test_leak``: what groups give away where they are known; ``proposal``: groups that the names suggest where none
    are known, and then ``leak`` is as it would be with them. ``test_groups``: those of test images that are in training
    or validation too. ``duplicates`` and ``images`` are None where no image was opened. ``root``: the folder that a
    pattern for groups sees the paths below.
    """

    name: str
    path: str
    root: str
    counts: dict[str, dict[str, int]]
    split: str
    groups: str
    leak: Leak | None
    test_leak: Leak | None
    proposal: Proposal | None
    warnings: tuple[str, ...]
    duplicates: Duplicates | None = None
    images: ImageFacts | None = None
    test_groups: tuple[str, ...] = ()


def quick_check(dataset: DataSet, source: DataSource) -> DataReport:
    """What names, labels and groups tell; no image is opened."""
    root = image_root(dataset, source)
    train, val, test = dataset.train, dataset.val, dataset.test
    proposal = None if dataset.groups else propose(dataset, root)
    if proposal is not None:
        train, val, test = (_grouped(part, proposal.pattern, root) for part in (train, val, test))
    known = bool(dataset.groups or proposal)
    parts = {"train": train, "val": val, **({"test": test} if test else {})}
    elsewhere = {one.group for one in (*train, *val)}
    return DataReport(
        name=dataset.name,
        path=dataset.path,
        root=root,
        counts={part: counts(dataset.classes, samples) for part, samples in parts.items()},
        split=dataset.split,
        groups=dataset.groups,
        leak=leak(train, val) if known else None,
        test_leak=leak((*train, *val), test) if known and test else None,
        proposal=proposal,
        warnings=dataset.warnings,
        test_groups=tuple(sorted({one.group for one in test if one.group in elsewhere} - {""})),
    )


def check(dataset: DataSet, source: DataSource, workers: int | None = None) -> Generator[WorkDone, None, DataReport]:
    """The quick check, and every file read and decoded once; yields how far it is.

    Memory grows by about 500 bytes an image. Closing the generator ends its threads as soon as the images in their
    hands are done. ``workers``: threads, as many as there are cores where None.
    """
    # Imported here because a quick check needs neither numpy nor Pillow.
    from engine.data.content_hashes import content_hashes  # noqa: PLC0415
    from engine.data.duplicates import duplicates  # noqa: PLC0415
    from engine.data.looks import hashes, looks  # noqa: PLC0415
    from engine.data.near import near_pairs  # noqa: PLC0415
    from engine.data.threads import cores  # noqa: PLC0415

    report, threads = quick_check(dataset, source), workers or cores()
    samples = (*dataset.train, *dataset.val, *dataset.test)
    paths = sorted({sample.path for sample in samples})
    found = yield from content_hashes(paths, threads)
    digests = {path: digest for path, digest in zip(paths, found, strict=True) if digest is not None}
    path_of = {digest: path for path, digest in reversed(digests.items())}
    files = dict(sorted(path_of.items(), key=lambda item: item[1]))
    look_of = yield from looks(files, threads)
    seen = [digest for digest in files if not look_of[digest].unreadable]
    searching = near_pairs(hashes([look_of[digest] for digest in seen]))
    near = yield from transformed(searching, lambda _: WorkDone("comparing images"))
    equal = yield from _equal(near, seen, files, look_of, threads)
    images = _images(dataset, samples, {path: look_of.get(digests.get(path, "")) for path in paths})
    unreadable = {one.path for one in images.unreadable}
    parts = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    return replace(
        report,
        counts={
            part: counts(dataset.classes, [one for one in parts[part] if one.path not in unreadable])
            for part in report.counts
        },
        duplicates=duplicates(dataset, {path: equal.get(one, one) for path, one in digests.items()}, seen, near),
        images=images,
    )


def _grouped(samples: Sequence[Sample], pattern: str, root: str) -> tuple[Sample, ...]:
    """The samples with the groups that a pattern would give them."""
    expression = compiled(pattern)
    return tuple(replace(one, group=group_in(expression, below(one.path, root))) for one in samples)


def _equal(
    near: NearPairs, seen: Sequence[str], files: Mapping[str, str], look_of: Mapping[str, Look], workers: int
) -> Generator[WorkDone, None, dict[str, str]]:
    """For each digest the one that stands for it where others have the same pixels; yields how far it is.

    Decoded whole are those alone that look the same as another to the last bit.
    """
    from engine.data.images import same_pixels  # noqa: PLC0415
    from engine.data.threads import collected  # noqa: PLC0415

    pairs = [(seen[one], seen[other]) for one, other in near.pairs.tolist()]
    pairs = [(one, other) for one, other in pairs if look_of[one] == look_of[other]]
    work = collected((partial(same_pixels, files[one], files[other]) for one, other in pairs), workers)
    found = yield from counting_images("comparing pixels", work, len(pairs))
    stands_for: dict[str, str] = {}
    for (one, other), same in zip(pairs, found, strict=True):
        if same:
            stands_for[other] = stands_for.get(one, one)
    return stands_for


def _images(dataset: DataSet, samples: Sequence[Sample], look_of: dict[str, Look | None]) -> ImageFacts:
    read: dict[str, list[bool]] = {name: [] for name in dataset.classes}
    sizes: list[tuple[int, int]] = []
    unreadable = []
    for sample in samples:
        look = look_of[sample.path]
        if look is None or look.unreadable:
            unreadable.append(Unreadable(sample.path, look.unreadable if look else "the file cannot be read"))
        else:
            read[dataset.classes[sample.label]].append(look.grey)
            sizes.append((look.width, look.height))
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size)) or [(0, 0)]
    return ImageFacts(
        read=len(sizes),
        sizes=len(set(sizes)),
        smallest=ordered[0],
        median=ordered[len(ordered) // 2],
        largest=ordered[-1],
        grey={name: (sum(greys), len(greys)) for name, greys in read.items()},
        unreadable=tuple(unreadable),
    )
