"""Extracting a frozen backbone's features: once for all runs, seeds and later experiments that would get the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain

import msgspec
import torch
from torch import Tensor

from engine import cache
from engine.cached_rows import entry_name
from engine.clock import PROGRESS_SECONDS, every
from engine.data.augment import draw_views, random_views
from engine.data.pixels import on_device
from engine.data.prepared import Prepared
from engine.devices.device import describe, wait_for
from engine.devices.precision import autocast
from engine.models.backbones import Network
from engine.models.fused import fused
from engine.models.trainable import state_hash
from engine.progress import WorkDone
from engine.specs.spec import Arithmetic
from engine.specs.strategy import Augmentation, Strategy
from engine.training.batches import InputImages, evaluation_batch, evaluation_sizes, generator
from engine.training.feature_store import Features, FeatureStore, Filling, from_cache, place, to_cache
from engine.training.warm_up import forward_blanks

EXTRACTOR = "6"
"""Changes whenever the same backbone is to give other features of the same images."""
EVERY_SEED = 0


class NotFiniteError(RuntimeError):
    """Features are not finite numbers; the text is one line that says what to do."""


def extracted(
    store: FeatureStore,
    images: InputImages,
    strategy: Strategy,
    network: Network,
    precision: Arithmetic,
    at_once: int | None = None,
) -> Generator[WorkDone, None, Features]:
    """The features of every readable image, on the training device while they fit there.

    View 0 is the central one; the others, of training images only, are random and the same for every seed. Rows that
    cannot be read are zero. ``at_once``: images in a forward pass, where the usual number does not fit into memory.
    :class:`TooLargeError` where the features do not fit into memory either, :class:`NotFiniteError` where the network
    gives infinite ones.
    """
    views, rows = strategy.extracted_views, _readable(images.prepared)
    recipe, contents = _recipe(images, strategy, network, precision, views), images.prepared.contents[rows.numpy()]
    key = entry_name(recipe, contents)
    if (held := store.found(key, images.device)) is not None:
        return held
    filling = from_cache(store, recipe, contents, rows, images, views)
    before = filling.cost.seconds
    if filling.table is None or len(filling.left):
        title = f"{strategy.backbone} at {images.preprocessing.crop} pixels"
        keep_it = partial(to_cache, store, recipe, title, contents, rows, filling)
        try:
            yield from _extract(store, images, strategy, network, precision, at_once, filling)
        except GeneratorExit:  # an hour's work is not lost
            keep_it()
            raise
        keep_it()
    assert filling.table is not None
    store.held[key] = Features(filling.table, filling.cost, elsewhere=filling.cost.seconds)
    return store.held[key]._replace(elsewhere=before)


def _recipe(images: InputImages, strategy: Strategy, network: Network, precision: Arithmetic, views: int) -> str:
    """What decides features besides the images; random views depend on which others train."""
    trained = images.prepared.contents[images.prepared.trained.numpy()]
    random = (msgspec.json.encode(strategy.augmentation), trained.tobytes()) if views > 1 else ()
    return cache.key(
        EXTRACTOR,
        torch.__version__,
        images.device.type,
        # other hardware, or other cores of a CPU, take other seconds, and those count as this run's
        describe(images.device).hardware,
        *((torch.get_num_threads(),) if images.device.type == "cpu" else ()),
        precision,
        state_hash(network.module, network.head_name),
        msgspec.json.encode(images.preprocessing),
        images.prepared.recipe,
        *random,
    )


def _readable(prepared: Prepared) -> Tensor:
    """The rows of every image that can be read, each once and in order."""
    rows: Tensor = torch.unique(torch.cat((prepared.trained, prepared.val.rows, prepared.test.rows)))
    return rows


def _extract(
    store: FeatureStore,
    images: InputImages,
    strategy: Strategy,
    network: Network,
    precision: Arithmetic,
    at_once: int | None,
    filling: Filling,
) -> Generator[WorkDone, None, None]:
    """Computes the features of the rows that are left; random views are left until all of them are there."""
    views, rows, before = strategy.extracted_views, filling.left, filling.cost
    training = torch.unique(images.prepared.trained)
    detail = "every image once" if views == 1 else f"{views - 1} views of every training image"
    total, done = len(rows) + (views - 1) * len(training), 0
    finite = torch.ones((), dtype=torch.bool, device=images.device)

    def told() -> WorkDone:
        """How far it is, told once the device has done it and the features are finite, so that they may be kept."""
        wait_for(images.device)
        _check(finite, precision)
        filling.cost = before + (store.meters() - began)
        if views == 1 or done == total:
            filling.left = rows[done:]
        return WorkDone(detail, done, total, images=True)

    yield WorkDone(detail, done, total, images=True)
    run = _warmed_up(network, images, precision, at_once)
    began, due = store.meters(), every(PROGRESS_SECONDS, time.perf_counter)
    for view, index, inputs in chain(
        _central(images, rows, at_once), _random(images, strategy.augmentation, training, views, at_once)
    ):
        with torch.inference_mode(), autocast(images.device, precision):
            found = run(inputs)[: len(index)].float()
        if filling.table is None:
            shape = (views, images.prepared.count, *found.shape[1:])
            filling.table = torch.zeros(shape, device=place(store, shape, images.device))
        filling.table[view, on_device(index, filling.table.device)] = found.to(filling.table.device)
        finite &= found.isfinite().all()
        done += len(index)
        if due():
            yield told()
    yield told()


def _warmed_up(
    network: Network, images: InputImages, precision: Arithmetic, at_once: int | None
) -> Callable[[Tensor], Tensor]:
    """What gives features, with what is paid only once done: its time does not count, as that of training does not."""
    device, crop = images.device, images.preprocessing.crop
    run = fused(network, crop)
    if device.type != "cpu":  # a card's kernels are chosen by the shape of the batch
        forward_blanks(run, evaluation_batch(device, at_once), crop, device, precision)
        wait_for(device)
    return run


def _check(finite: Tensor, precision: Arithmetic) -> None:
    if not finite:
        advice = "precision fp32 can hold larger ones" if precision == "fp16" else "are they damaged?"
        raise NotFiniteError(f"these weights give features that are not finite in {precision}; {advice}")


Views = Iterator[tuple[int, Tensor, Tensor]]
"""The number of a view, the rows of a batch on the CPU, and the backbone's input."""


def _central(images: InputImages, rows: Tensor, at_once: int | None) -> Views:
    """View 0, in batches that are all of one size, so that what an image gives depends on no other; the last one is
    filled up with its last image, whose further results are nobody's.
    """
    size = evaluation_batch(images.device, at_once)
    filled = torch.cat((rows, rows[-1:].expand(-len(rows) % size)))
    pieces = torch.split(rows, size)
    for index, inputs in zip(pieces, images.central(filled, at_once), strict=True):
        yield 0, index, inputs


def _random(images: InputImages, augmentation: Augmentation, rows: Tensor, views: int, at_once: int | None) -> Views:
    """Views 1 and up; every batch of images is read once for all of them."""
    sizes = evaluation_sizes(len(rows), images.device, at_once)
    drawn = [
        torch.split(draw_views(len(rows), augmentation, generator(EVERY_SEED, view)).to(images.device), sizes)
        for view in range(1, views)
    ]
    pieces = torch.split(rows, sizes)
    batches = images.prepared.pixels.batches(rows, sizes) if drawn else ()
    for step, (index, pixels) in enumerate(zip(pieces, batches)):  # noqa: B905 - no batches where no view is random
        for view, matrices in enumerate(drawn, start=1):
            views_seen = random_views(pixels, images.preprocessing.crop, augmentation, matrices[step])
            yield view, index, images.seen(views_seen)
