"""The batches that a model is fed: of images, or of features where the backbone is frozen.

The order of images, the augmentation and dropout derive from (seed, epoch, step) alone, so a batch is the same
however the process got to it. Nothing here waits for the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from engine.data.augment import central, draw_views, normalise, random_views
from engine.data.pixels import on_device
from engine.data.prepared import Prepared, PreparedPart
from engine.models.backbones import Network, Preprocessing
from engine.specs.batch_sizes import batch_sizes
from engine.specs.strategy import Strategy

Batch = tuple[Tensor, Tensor]
EVALUATION_BATCH = {"cpu": 32, "cuda": 64}
"""Images a forward pass where nothing is learnt from it.

With 64 on a CPU a small network takes a fifth less for an image, but what the last batch is filled up with takes that
again, and 130 MiB more; with more than 64 on a card the memory that a run needs would be that of its validation instead
of its training.
"""


@dataclass(frozen=True)
class MicroBatches:
    """How a batch is cut where it does not fit into memory as a whole; the gradients of its pieces are added up.

    ``most``: images in a piece, None for whole batches. ``least``: no piece has fewer, unless the batch has; where
    batch norm trains it is 2, and of an odd batch one piece may then have one image more than ``most``.
    """

    most: int | None = None
    least: int = 1

    def sizes(self, batch: int) -> list[int]:
        """A batch of so many images in pieces that are as even as can be."""
        count = 1 if self.most is None else max(1, min(-(-batch // self.most), batch // self.least))
        return [batch // count + (number < batch % count) for number in range(count)]

    def halved(self, batch: int) -> Self | None:
        """Pieces half as large as those of such a batch are now; None where there are no smaller ones."""
        largest = max(self.sizes(batch))
        smaller = replace(self, most=max(self.least, largest // 2))
        return smaller if max(smaller.sizes(batch)) < largest else None


@dataclass(frozen=True)
class Feed:
    """The inputs of the part that trains, and that part.

    ``train(epoch, first, micro_batches)`` gives the batches of an epoch (counted from 1) in their order, each in its
    pieces; ``train_sizes`` are the images of every whole batch. ``first``: batches to skip.
    ``still(part, at_once)`` gives those of a part as validation sees them, in file order. ``at_once``: largest batch,
    None for the usual size.
    ``model`` maps inputs to logits. ``features``: those of a frozen backbone that the inputs are taken from, if any.
    """

    train: Callable[[int, int, MicroBatches], Generator[Batch, None, None]]
    still: Callable[[PreparedPart, int | None], Iterator[Batch]]
    model: Callable[[Tensor], Tensor]
    train_sizes: list[int]
    features: Tensor | None = None

    @property
    def train_steps(self) -> int:
        """How many steps an epoch has."""
        return len(self.train_sizes)


@dataclass(frozen=True)
class InputImages:
    """Prepared images and how a backbone wants to see them."""

    prepared: Prepared
    preprocessing: Preprocessing
    device: torch.device

    def seen(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, crop, crop) in 0..255 as the backbone's normalised input."""
        return normalise(pixels, *self._mean_and_std)

    @cached_property
    def _mean_and_std(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values) for values in (self.preprocessing.mean, self.preprocessing.std))
        return mean.to(self.device), std.to(self.device)

    def central(self, rows: Tensor, at_once: int | None = None) -> Iterator[Tensor]:
        """The images of these rows as validation sees them, in batches of :func:`evaluation_sizes`."""
        for pixels in self.prepared.pixels.batches(rows, evaluation_sizes(len(rows), self.device, at_once)):
            yield self.seen(central(pixels, self.preprocessing.crop))


STILL_BYTES = 256 * 2**20
"""Features that are validated at once: usually all of them, but they are copied for it."""
WHOLE_BATCHES = MicroBatches()
VIEWS = -1
"""Beside the steps of an epoch, which are counted from 0: what its random views are drawn with."""


def derived_seed(*parts: int) -> int:
    """A seed in 0..2⁶³ that depends on all the parts and on nothing else."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def evaluation_batch(device: torch.device, at_once: int | None = None) -> int:
    """Images in a forward pass alone: ``at_once``, or where that is None what suits the device."""
    return at_once or EVALUATION_BATCH.get(device.type, EVALUATION_BATCH["cpu"])


def evaluation_sizes(count: int, device: torch.device, at_once: int | None = None) -> list[int]:
    """So many images cut into batches of :func:`evaluation_batch` and a smaller last one."""
    size = evaluation_batch(device, at_once)
    full, rest = divmod(count, size)
    return [size] * full + ([rest] if rest else [])


def image_feed(images: InputImages, strategy: Strategy, seed: int, model: Callable[[Tensor], Tensor]) -> Feed:
    """Batches of images, seen anew in every epoch, for a network of which more than the head trains."""
    part, device = images.prepared.train, images.device
    sizes = batch_sizes(len(part.labels), strategy.batch_size)
    labels = part.labels.to(device)

    def train(epoch: int, first: int, micro_batches: MicroBatches = WHOLE_BATCHES) -> Generator[Batch, None, None]:
        pieces, done = _pieces(sizes, first, micro_batches), sum(sizes[:first])
        left = [one.size for one in pieces]
        order = epoch_order(len(labels), seed, epoch)[done:]
        drawn = draw_views(len(part.labels), strategy.augmentation, generator(seed, epoch, VIEWS))[done:].to(device)
        targets = zip(torch.split(drawn, left), torch.split(labels[order.to(device)], left), strict=True)
        batches = images.prepared.pixels.batches(part.rows[order], left)
        for one, pixels, (matrices, target) in zip(pieces, batches, targets, strict=True):
            views = random_views(pixels, images.preprocessing.crop, strategy.augmentation, matrices)
            if one.begins:
                seed_device(device, derived_seed(seed, epoch, one.step))
            yield images.seen(views), target

    def still(seen: PreparedPart, at_once: int | None = None) -> Iterator[Batch]:
        targets = torch.split(seen.labels.to(device), evaluation_sizes(len(seen.labels), device, at_once))
        yield from zip(images.central(seen.rows, at_once), targets, strict=True)

    return Feed(train, still, model, sizes)


def feature_feed(images: InputImages, strategy: Strategy, seed: int, network: Network, features: Tensor) -> Feed:
    """Batches of a frozen backbone's ``features``, (views, rows, ...) on the device or in memory, for the head alone.

    View 0 of a row is the central one, which validation sees; where there are more, each epoch draws one of the others
    for every image. Dropout that stands before the last layer is applied to the features in training, as the whole
    network in training mode would.
    """
    part, device, views, kept = images.prepared.train, images.device, len(features), features.device
    sizes = batch_sizes(len(part.labels), strategy.batch_size)
    rows, labels = part.rows.to(kept), part.labels.to(device)
    usual = max(STILL_BYTES // features[0, 0].nbytes, EVALUATION_BATCH["cpu"])
    drop: Callable[[Tensor], Tensor] = nn.Dropout(network.dropout) if network.dropout else nn.Identity()

    def train(epoch: int, first: int, micro_batches: MicroBatches = WHOLE_BATCHES) -> Generator[Batch, None, None]:
        pieces, done = _pieces(sizes, first, micro_batches), sum(sizes[:first])
        order = epoch_order(len(labels), seed, epoch)
        view = torch.zeros_like(order)
        if views > 1:
            view = torch.randint(1, views, order.shape, generator=generator(seed, epoch, VIEWS))
        order, view = order[done:], view[done:].to(kept)
        left = [one.size for one in pieces]
        each = (view, rows[order.to(kept)], labels[order.to(device)])
        seen = zip(*(torch.split(one, left) for one in each), strict=True)
        for one, (shown, place, target) in zip(pieces, seen, strict=True):
            if one.begins:
                seed_device(device, derived_seed(seed, epoch, one.step))
            yield drop(on_device(features[shown, place], device)), target

    def still(seen: PreparedPart, at_once: int | None = None) -> Iterator[Batch]:
        size = at_once or usual
        both = (torch.split(seen.rows.to(kept), size), torch.split(seen.labels.to(device), size))
        for places, target in zip(*both, strict=True):
            yield on_device(features[0, places], device), target

    return Feed(train, still, network.head, sizes, features)


class _Piece(NamedTuple):
    """What is computed at once of the batch of a step (counted from 0), whether it is the step's first, and its number
    of images.
    """

    step: int
    begins: bool
    size: int


def _pieces(sizes: list[int], first: int, micro_batches: MicroBatches) -> list[_Piece]:
    """The pieces of the batches of an epoch. ``first``: batches to skip."""
    return [
        _Piece(step, number == 0, size)
        for step, batch in enumerate(sizes[first:], start=first)
        for number, size in enumerate(micro_batches.sizes(batch))
    ]


def seed_device(device: torch.device, seed: int) -> None:
    """Seeds what draws on the device (dropout). ``torch.manual_seed`` seeds every kind of device, at 1 ms a call."""
    match device.type:
        case "cuda":
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        case "mps":
            torch.mps.manual_seed(seed)
        case _:
            torch.default_generator.manual_seed(seed)


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """The order of so many images in an epoch: int64 (count,), on the CPU."""
    return torch.randperm(count, generator=generator(seed, epoch))


def generator(*parts: int) -> torch.Generator:
    """A source of randomness on the CPU that depends on the parts alone."""
    return torch.Generator().manual_seed(derived_seed(*parts))
