"""Ranking backbones before anything trains, by how well their features of the training images tell classes apart."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from msgspec import Struct
from msgspec.structs import replace
from torch import Tensor, nn

from engine.data.dataset import DataSet
from engine.data.prepare import prepare
from engine.data.prepared import NO_IMAGES, Prepared
from engine.devices.computing import COMPUTING
from engine.devices.device import choose_device, has_float64
from engine.devices.memory_probe import release_memory
from engine.devices.precision import choose_precision, use_precision
from engine.models.backbones import Network, count_parameters, preprocessing
from engine.models.weights import WeightsError, fetch, network_of
from engine.progress import WorkDone, transformed
from engine.specs.presets import on_rung
from engine.specs.spec import Arithmetic
from engine.specs.strategy import LBFGS
from engine.training.batches import InputImages
from engine.training.feature_store import FeatureStore
from engine.training.features import NotFiniteError, extracted
from engine.training.memory import TooLargeError, shortage
from engine.training.probe import divided, probe

SETTLED = 1e-3
"""The relative change of the ratio of precisions at which the evidence is taken to be the greatest."""
SEED = 0


class Ranked(Struct, frozen=True, kw_only=True):
    """One backbone. ``logme`` is the mean logarithmic evidence an image, in nats: it only compares on the same data.

    ``accuracy`` (0..1) and ``loss`` (nats) are a probe's, cross-validated within the training images; None where a
    class has too few. ``features`` is how many there are, ``parameters`` how many the network has, ``seconds`` what it
    took with the features. ``skipped``: why it was not ranked, in one line, else empty.
    """

    backbone: str
    logme: float | None = None
    accuracy: float | None = None
    loss: float | None = None
    features: int = 0
    parameters: int = 0
    seconds: float = 0.0
    weights: str = ""
    skipped: str = ""


def rank(
    dataset: DataSet, backbones: Sequence[str], weights: str, device: str
) -> Generator[WorkDone | Ranked, None, tuple[Ranked, ...]]:
    """Yields each backbone once it is ranked or skipped, in the order asked for, and how far the work on the next is;
    returns all of them, :func:`best_first`. Validation images play no part; they are decoded with the others only so
    that an experiment which comes next finds all images in one entry of the cache, instead of most of them twice.

    ``weights`` and ``device`` as in an experiment. ``UserError`` where torchvision has no such backbone or the device
    is not there, ``DataError`` where the data cannot be used.
    """
    for backbone in backbones:
        preprocessing(backbone, None)
    on, found, prepared = choose_device(device), [], dict[int, Prepared]()
    precision = choose_precision(on, "auto")
    with COMPUTING, ThreadPoolExecutor(1) as later:
        use_precision(on, precision)
        store = FeatureStore(later)
        for backbone in backbones:
            view = preprocessing(backbone, None)
            try:
                # first: for what has no weights no image is decoded
                pretrained = yield from transformed(fetch(backbone, weights), partial(_named, backbone))
                network = network_of(backbone, len(dataset.classes), "head", pretrained, SEED)
                if view.resize not in prepared:
                    others = [one.pixels for one in prepared.values()]
                    whole = yield from prepare(dataset, view.resize, on, later, others)
                    prepared[view.resize] = dataclasses.replace(whole, val=NO_IMAGES, test=NO_IMAGES)
                images = InputImages(prepared[view.resize], view, on)
                work = _ranked(backbone, images, network, len(dataset.classes), store, precision)
                one = replace((yield from work), weights=pretrained.origin)
            except (WeightsError, TooLargeError, NotFiniteError) as error:
                one = Ranked(backbone=backbone, skipped=str(error))
            except Exception as error:
                if not shortage(error):
                    raise
                release_memory()
                one = Ranked(backbone=backbone, skipped="it does not fit into memory")
            store.held.clear()
            found.append(one)
            yield one
    return best_first(found)


def best_first(found: Iterable[Ranked]) -> tuple[Ranked, ...]:
    """The backbones, the best by LogME first, those that were skipped last."""
    return tuple(sorted(found, key=lambda one: -math.inf if one.logme is None else one.logme, reverse=True))


def log_evidence(features: Tensor, labels: Tensor, classes: int) -> float:
    """LogME of features (N, D) for labels (N,): how well Bayesian linear regression explains the labels, in nats an
    image, the mean over the classes.

    You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (2021), by the
    fixed-point iteration of You et al., "Ranking and Tuning Pre-trained Models" (2022): one decomposition serves every
    class, which is why it is not scikit-learn's ``BayesianRidge``, whose evidence it equals.
    """
    rows = features.double()
    images, size = rows.shape
    left, singular, _ = torch.linalg.svd(rows, full_matrices=False)
    sigma = singular.square()
    targets = nn.functional.one_hot(labels, classes).double()
    along = (left.mT @ targets).square()  # (rank, classes)
    beyond = (targets.square().sum(0) - along.sum(0)).clamp_min(0)
    found = [_evidence(sigma, along[:, label], beyond[label], images, size) for label in range(classes)]
    return sum(found) / classes / images


def _evidence(sigma: Tensor, along: Tensor, beyond: Tensor, images: int, size: int) -> float:
    """The greatest logarithmic evidence over the precisions of the weights (alpha) and of the noise (beta)."""
    alpha = beta = torch.ones((), dtype=torch.float64, device=sigma.device)
    tiny = torch.finfo(torch.float64).eps
    for _ in range(100):
        ratio = alpha / beta
        effective = (sigma / (sigma + ratio)).sum()
        weights = (sigma * along / (sigma + ratio).square()).sum()
        residual = (along * (ratio / (sigma + ratio)).square()).sum() + beyond
        alpha, beta = effective / (weights + tiny), (images - effective).clamp_min(tiny) / (residual + tiny)
        if abs(alpha / beta - ratio) <= SETTLED * ratio:
            break
    logarithms = size * alpha.log() + images * beta.log() - images * math.log(2 * math.pi)
    volume = (alpha + beta * sigma).log().sum() + (size - len(sigma)) * alpha.log()
    return float((logarithms - volume - beta * residual - alpha * weights) / 2)


def _named(backbone: str, done: WorkDone) -> WorkDone:
    return WorkDone(f"{backbone}: {done.detail}", done.done, done.total, done.images)


def _ranked(
    backbone: str, images: InputImages, network: Network, classes: int, store: FeatureStore, precision: Arithmetic
) -> Generator[WorkDone, None, Ranked]:
    named = partial(_named, backbone)
    began = time.perf_counter()
    network.module.to(images.device).to(memory_format=torch.channels_last)
    work = extracted(store, images, on_rung(backbone, "probe"), network, precision)
    table, _, elsewhere = yield from transformed(work, named)
    part = images.prepared.train
    features, labels = table[0, part.rows.to(table.device)], part.labels.to(table.device)
    settings = LBFGS()
    parts = divided(part.samples, settings.folds, SEED)
    solved = yield from transformed(probe(features, labels, classes, parts, settings), named)
    flat = features.flatten(2).mean(2) if features.dim() == 4 else features
    flat = flat if has_float64(images.device) else flat.cpu()
    evidence = log_evidence(flat, labels.to(flat.device), classes)
    if not math.isfinite(evidence):
        raise NotFiniteError("every image has the same features")
    return Ranked(
        backbone=backbone,
        logme=evidence,
        accuracy=solved.accuracy,
        loss=solved.loss,
        features=flat.shape[1],
        parameters=count_parameters(network.module).total,
        seconds=time.perf_counter() - began + elsewhere,
    )
