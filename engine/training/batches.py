"""What a model is fed: batches of images, or of features where the backbone is frozen.

The order of images, the augmentation and dropout derive from (seed, epoch, step) alone, so a batch is the same
however the process got to it. Nothing here waits for the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor, nn

from engine.data.augment import central, draw_views, normalise, random_views
from engine.data.prepare import Prepared
from engine.models.backbones import Network, Preprocessing
from engine.spec import Strategy

Batch = tuple[Tensor, Tensor]
EVALUATION_BATCH = {"cpu": 32, "cuda": 512}
"""Images a forward pass where nothing is learnt from it: larger ones gain nothing on a CPU's caches."""


@dataclass(frozen=True)
class Feed:
    """The inputs of the part that trains, and that part.

    ``train(epoch, first)`` gives the batches of an epoch (counted from 1) in their order, without so many first ones;
    ``val()`` those of validation;
    ``model`` maps inputs to logits; ``train_steps`` and ``val_steps`` are their numbers of batches.
    """

    train: Callable[[int, int], Iterator[Batch]]
    val: Callable[[], Iterator[Batch]]
    model: Callable[[Tensor], Tensor]
    train_steps: int
    val_steps: int


@dataclass(frozen=True)
class Images:
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

    def central(self, rows: Tensor) -> Iterator[Tensor]:
        """The images of these rows as validation sees them, in batches of :data:`EVALUATION_BATCH`."""
        for pixels in self.prepared.pixels.batches(rows, evaluation_sizes(len(rows), self.device)):
            yield self.seen(central(pixels, self.preprocessing.crop))


def derived_seed(*parts: int) -> int:
    """A seed in 0..2⁶³ that depends on all the parts and on nothing else."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def batch_sizes(count: int, size: int) -> list[int]:
    """So many images cut into batches; a last batch of one image joins the one before, since batch norm needs two."""
    full, rest = divmod(count, size)
    sizes = [size] * full + ([rest] if rest else [])
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def evaluation_sizes(count: int, device: torch.device) -> list[int]:
    """So many images cut into batches for a forward pass alone."""
    size = EVALUATION_BATCH.get(device.type, EVALUATION_BATCH["cpu"])
    full, rest = divmod(count, size)
    return [size] * full + ([rest] if rest else [])


def image_feed(images: Images, strategy: Strategy, seed: int, model: Callable[[Tensor], Tensor]) -> Feed:
    """Batches of images, seen anew in every epoch, for a network whose layers all train."""
    part, device = images.prepared.train, images.device
    sizes = batch_sizes(len(part.labels), strategy.batch_size)
    labels, val_labels = part.labels.to(device), images.prepared.val.labels.to(device)

    def train(epoch: int, first: int) -> Iterator[Batch]:
        order, left, done = epoch_order(len(labels), seed, epoch), sizes[first:], sum(sizes[:first])
        drawn = draw_views(len(labels), strategy.augmentation, generator(seed, epoch, 1))[done:].to(device)
        order = order[done:]
        pieces = zip(torch.split(drawn, left), torch.split(labels[order.to(device)], left), strict=True)
        batches = images.prepared.pixels.batches(part.rows[order], left)
        for step, (pixels, (matrices, target)) in enumerate(zip(batches, pieces, strict=True), start=first):
            views = random_views(pixels, images.preprocessing.crop, strategy.augmentation, matrices)
            seed_device(device, derived_seed(seed, epoch, step))
            yield images.seen(views), target

    def val() -> Iterator[Batch]:
        targets = torch.split(val_labels, evaluation_sizes(len(val_labels), device))
        yield from zip(images.central(images.prepared.val.rows), targets, strict=True)

    return Feed(train, val, model, len(sizes), len(evaluation_sizes(len(val_labels), device)))


def feature_feed(images: Images, strategy: Strategy, seed: int, network: Network, features: Tensor) -> Feed:
    """Batches of a frozen backbone's ``features``, (views, rows, ...) on the device, for the head alone.

    View 0 of a row is the central one, which validation sees; where there are more, each epoch draws one of the others
    for every image. Dropout that stands before the last layer is applied to the features in training, as the whole
    network in training mode would.
    """
    part, device, views = images.prepared.train, images.device, len(features)
    sizes = batch_sizes(len(part.labels), strategy.batch_size)
    rows, labels = part.rows.to(device), part.labels.to(device)
    val_features, val_labels = features[0, images.prepared.val.rows.to(device)], images.prepared.val.labels.to(device)
    drop: Callable[[Tensor], Tensor] = nn.Dropout(network.dropout) if network.dropout else nn.Identity()

    def train(epoch: int, first: int) -> Iterator[Batch]:
        order = epoch_order(len(labels), seed, epoch)
        view = torch.zeros_like(order)
        if views > 1:
            view = torch.randint(1, views, order.shape, generator=generator(seed, epoch, 1))
        order, view = order.to(device), view.to(device)
        pieces = zip(*(torch.split(one, sizes) for one in (view, rows[order], labels[order])), strict=True)
        for step, (shown, place, target) in enumerate(islice(pieces, first, None), start=first):
            seed_device(device, derived_seed(seed, epoch, step))
            yield drop(features[shown, place]), target

    def val() -> Iterator[Batch]:
        yield val_features, val_labels

    return Feed(train, val, network.head, len(sizes), 1)


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
