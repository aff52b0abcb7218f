"""What a model is fed: batches of images, or of features where the backbone is frozen.

The order of images, the augmentation and dropout derive from (seed, epoch, step) alone, so a batch is the same
however the process got to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engine.data.augment import central, normalise, random_views
from engine.data.images import Decoded
from engine.models.backbones import Network, Preprocessing
from engine.spec import Strategy

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Feed:
    """The inputs of the part that trains, and that part.

    ``train(epoch)`` gives the batches of an epoch (counted from 1) in their order, ``val()`` those of validation;
    ``model`` maps inputs to logits; ``train_steps`` and ``val_steps`` are their numbers of batches.
    """

    train: Callable[[int], Iterator[Batch]]
    val: Callable[[], Iterator[Batch]]
    model: Callable[[Tensor], Tensor]
    train_steps: int
    val_steps: int


@dataclass(frozen=True)
class Images:
    """Decoded images and how a backbone wants to see them."""

    train: Decoded
    val: Decoded
    preprocessing: Preprocessing
    device: torch.device

    def seen(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, crop, crop) in 0..255 as the backbone's normalised input."""
        return normalise(pixels, self.preprocessing.mean, self.preprocessing.std, torch.float32)

    def central(self, decoded: Decoded, index: Tensor) -> Batch:
        """The images of these numbers as validation sees them, with their labels."""
        pixels = central(decoded.pixels[index].to(self.device), self.preprocessing.crop)
        return self.seen(pixels), decoded.labels[index].to(self.device)


def derived_seed(*parts: int) -> int:
    """A seed in 0..2⁶³ that depends on all the parts and on nothing else."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def split(order: Tensor, batch_size: int) -> list[Tensor]:
    """The order cut into batches; a last batch of one image joins the one before, since batch norm needs two."""
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def image_feed(images: Images, strategy: Strategy, seed: int, network: Network) -> Feed:
    """Batches of images for a network in which every layer trains, or whose features change with augmentation."""
    count, size = len(images.train.labels), strategy.batch_size

    def train(epoch: int) -> Iterator[Batch]:
        for step, index in enumerate(split(_order(count, seed, epoch), size)):
            generator = torch.Generator().manual_seed(derived_seed(seed, epoch, step))
            pixels = images.train.pixels[index].to(images.device)
            views = random_views(pixels, images.preprocessing.crop, strategy.augmentation, generator)
            torch.manual_seed(derived_seed(seed, epoch, step, 1))
            yield images.seen(views), images.train.labels[index].to(images.device)

    def val() -> Iterator[Batch]:
        for index in torch.split(torch.arange(len(images.val.labels)), size):
            yield images.central(images.val, index)

    return Feed(train, val, network.module, _steps(count, size), -(-len(images.val.labels) // size))


def feature_feed(
    images: Images, strategy: Strategy, seed: int, network: Network, run_backbone: Callable[[Tensor], Tensor]
) -> Generator[tuple[int, int], None, Feed]:
    """Batches of a frozen backbone's features, computed once an image; augmented images anew in every epoch.

    Yields (images done, images in all) while it extracts them. Dropout that stands before the last layer is applied
    to the features in training, as the whole network in training mode would.
    """
    total = len(images.val.labels) + (len(images.train.labels) if strategy.augmentation.is_none else 0)
    val_features = yield from _extract(images, images.val, strategy.batch_size, run_backbone, 0, total)
    done = len(val_features)
    pixels_feed = image_feed(images, strategy, seed, network)
    train_features = None
    if strategy.augmentation.is_none:
        train_features = yield from _extract(images, images.train, strategy.batch_size, run_backbone, done, total)
    train_labels = images.train.labels.to(images.device)
    val_labels = images.val.labels.to(images.device)
    count, size = len(train_labels), strategy.batch_size

    def dropped(batch: Tensor) -> Tensor:
        return functional.dropout(batch, network.dropout) if network.dropout else batch

    def train(epoch: int) -> Iterator[Batch]:
        if train_features is None:
            for inputs, labels in pixels_feed.train(epoch):
                yield dropped(run_backbone(inputs)), labels
            return
        for step, index in enumerate(split(_order(count, seed, epoch), size)):
            torch.manual_seed(derived_seed(seed, epoch, step, 1))
            place = index.to(images.device)
            yield dropped(train_features[place]), train_labels[place]

    def val() -> Iterator[Batch]:
        yield val_features, val_labels

    return Feed(train, val, network.head, pixels_feed.train_steps, 1)


def _extract(
    images: Images, decoded: Decoded, size: int, run_backbone: Callable[[Tensor], Tensor], done: int, total: int
) -> Generator[tuple[int, int], None, Tensor]:
    parts = []
    for index in torch.split(torch.arange(len(decoded.labels)), size):
        inputs, _ = images.central(decoded, index)
        parts.append(run_backbone(inputs))
        done += len(index)
        yield done, total
    return torch.cat(parts)


def _order(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(derived_seed(seed, epoch)))


def _steps(count: int, size: int) -> int:
    return len(split(torch.arange(count), size))
