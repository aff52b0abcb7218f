"""A probe: the best last layer on a frozen backbone's features, solved for at once instead of trained epoch by epoch.

As in Kornblith et al., "Do Better ImageNet Models Transfer Better?" (2019): multinomial logistic regression by L-BFGS,
its L2 regularisation chosen by cross-validation. Only training images are looked at.

SqueezeNet's last layer is a convolution, with ReLU and the mean over positions after it. It is solved for on the mean
of the features over positions, which is the same layer without the ReLU: it has one best solution, at a hundredth of
the work. Its biases are then raised alike, which changes no probability, until the ReLU lets all of these images pass.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from engine.data.dataset import Sample
from engine.data.memory_limits import free_memory
from engine.data.splits import folds
from engine.devices.device import has_float64
from engine.errors import DataError
from engine.progress import WorkDone
from engine.specs.strategy import LBFGS
from engine.training.memory import too_large

ITERATIONS, AT_ONCE = 1000, 50
"""Of L-BFGS at most, and between two looks at whether a person wants it to end."""
TOLERANCE, ROUGH = 1e-6, 1e-4
"""The largest component of the gradient at which a solution is one; ROUGH where it only tells regularisations apart."""
SMALL = 2_000_000
"""Numbers in the features up to which a second thread would wait longer than it works."""
AT_A_TIME = 64
"""Images of whose positions the values are computed at once."""
LOGITS = 6
"""Times the logits of all heads in float64 that a step of L-BFGS holds at once (5.4 were measured)."""
WORSE = 2
"""Weaker regularisation is no longer tried after so many that were each worse than the best."""


class Head(NamedTuple):
    """A last layer: ``weight`` (classes, D) and ``bias`` (classes,), float64; or several, (heads, classes, …)."""

    weight: Tensor
    bias: Tensor


class Probe(NamedTuple):
    """The head, the ``l2`` that it was solved with, and what cross-validation said of it.

    ``loss`` is the mean cross-entropy, by ``weights`` where there are some, and ``accuracy`` in 0..1, of every training
    image by a head that had not seen it; None where there was nothing to choose or too little to divide.
    """

    head: Head
    l2: float
    loss: float | None
    accuracy: float | None


class _Task(NamedTuple):
    """Features (N, D) with mean 0 and standard deviation 1, labels (N,), and how much each image counts (N,)."""

    features: Tensor
    labels: Tensor
    counts: Tensor

    def logits(self, heads: Head) -> Tensor:
        """What each of the heads says of each image: (heads, N, classes)."""
        return torch.einsum("nd,hcd->hnc", self.features, heads.weight) + heads.bias[:, None]

    def losses(self, logits: Tensor) -> Tensor:
        """Cross-entropies (heads, N)."""
        labels = self.labels.expand(len(logits), -1)
        return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)


def probe(
    features: Tensor,
    labels: Tensor,
    classes: int,
    parts: Tensor | None,
    settings: LBFGS,
    weights: Tensor | None = None,
) -> Generator[WorkDone, None, Probe]:
    """Solves for the head that maps features (N, D), or a convolution's (N, D, H, W), to labels (N,) of ``classes``.

    ``parts``: the number of the part (from 0) of the cross-validation to which each image belongs, None where they
    cannot be divided: then the middle one of ``settings.l2`` is taken. ``weights``: how much each image counts in what
    is minimised and in the loss of the cross-validation, float64 (N,); alike where None.
    """
    device = features.device if has_float64(features.device) else torch.device("cpu")
    rows = features.flatten(2).to(device).mean(2, dtype=torch.float64) if features.dim() == 4 else features
    if device.type == "cpu":
        _check_room(rows, classes, 1 if parts is None or len(settings.l2) == 1 else int(parts.max()) + 1)
    rows = rows.to(device, torch.float64, copy=True)  # changed in place: this is most of the memory that it takes
    mean = rows.mean(0)
    rows -= mean
    scale = (torch.linalg.vector_norm(rows) / math.sqrt(max(1, rows.numel()))).clamp_min(1e-12)
    rows /= scale
    counts = torch.ones(len(labels), dtype=torch.float64) if weights is None else weights
    task = _Task(rows, labels.to(device), counts.to(device))
    basis = _basis(task)
    if basis is not None:
        task = task._replace(features=rows @ basis)
    begin = Head(rows.new_zeros(1, classes, task.features.shape[1]), rows.new_zeros(1, classes))
    strengths = sorted(settings.l2, reverse=True)
    l2, loss, accuracy = strengths[len(strengths) // 2], None, None
    if parts is not None and len(strengths) > 1:
        l2, loss, accuracy = yield from _chosen(task, parts.to(device), begin, strengths)
    every = task.counts / task.counts.sum()
    solved = yield from _solve(task, every[None], l2, begin, TOLERANCE, WorkDone("the best last layer"))
    weight = (solved.weight[0] if basis is None else solved.weight[0] @ basis.mT) / scale
    head = Head(weight, solved.bias[0] - weight @ mean)
    return Probe(_passing(head, features) if features.dim() == 4 else head, l2, loss, accuracy)


def _passing(head: Head, maps: Tensor) -> Head:
    """The convolution of the same probabilities whose least value at any position of maps (N, D, H, W) is 0."""
    least = [
        torch.einsum("cd,ndp->ncp", head.weight, some.flatten(2).to(head.weight)).amin((0, 2))
        for some in torch.split(maps, AT_A_TIME)
    ]
    return head._replace(bias=head.bias - (torch.stack(least).amin(0) + head.bias).amin())


def _check_room(features: Tensor, classes: int, heads: int) -> None:
    """Raises before the system ends the process, which would have it end again each time that it goes on."""
    needed = 8 * features.numel() + LOGITS * 8 * heads * len(features) * classes
    if needed > (free := free_memory()):
        what = f"fitting the last layer to {len(features):,} images and {classes:,} classes needs"
        raise too_large(what, needed, free, "train it in steps, or use fewer images")


def _basis(task: _Task) -> Tensor | None:
    """A basis (D, N) of all that the features span, where that is less than (D, D), else None.

    The best head lies in it, since what is orthogonal to every image is only penalised.
    """
    images, size = task.features.shape
    with _threads(task):
        return torch.linalg.qr(task.features.mT).Q if images < size else None


def divided(samples: Sequence[Sample], count: int, seed: int) -> Tensor | None:
    """The number of the part of each sample, for a cross-validation of ``count`` parts, or fewer where a class is too
    small; stratified, groups whole. None where not even two are possible.
    """
    for parts in range(count, 1, -1):
        try:
            found = folds(samples, parts, seed)
        except DataError:
            continue
        numbers = torch.empty(len(samples), dtype=torch.int64)
        for number, (_, held_out) in enumerate(found):
            numbers[held_out] = number
        return numbers
    return None


def _chosen(
    task: _Task, parts: Tensor, begin: Head, strengths: list[float]
) -> Generator[WorkDone, None, tuple[float, float, float]]:
    """The regularisation of least cross-validated loss, with that and the accuracy; the strongest is tried first."""
    held_out = parts == torch.arange(int(parts.max()) + 1, device=parts.device)[:, None]  # (parts, N)
    counts = ~held_out * task.counts
    shares = counts / counts.sum(1, keepdim=True)
    heads = Head(begin.weight.expand(len(shares), -1, -1), begin.bias.expand(len(shares), -1))
    tried: list[tuple[float, float, float]] = []  # loss, l2, accuracy
    for number, l2 in enumerate(strengths):
        done = WorkDone(f"regularisation, {len(shares)} parts", number, len(strengths))
        heads = yield from _solve(task, shares, l2, heads, ROUGH, done)
        logits = task.logits(heads)
        loss = float((task.losses(logits) * (held_out * task.counts)).sum() / task.counts.sum())
        right = int(((logits.argmax(2) == task.labels) & held_out).sum())
        tried.append((loss, l2, right / len(parts)))
        if len(tried) > WORSE and min(one[0] for one in tried[-WORSE:]) > min(tried)[0]:
            break
    best, l2, accuracy = min(tried)
    return l2, best, accuracy


def _solve(
    task: _Task, shares: Tensor, l2: float, begin: Head, tolerance: float, done: WorkDone
) -> Generator[WorkDone, None, Head]:
    """The heads of least cross-entropy with this regularisation, all at once, where each image counts for a head as
    much as ``shares`` (heads, N) says.
    """
    weight, bias = (tensor.clone().requires_grad_(True) for tensor in begin)
    solver = torch.optim.LBFGS(
        (weight, bias),
        max_iter=AT_ONCE,
        history_size=20,
        tolerance_grad=tolerance,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> float:
        solver.zero_grad()
        found = (task.losses(task.logits(Head(weight, bias))) * shares).sum() + l2 / 2 * weight.square().sum()
        torch.autograd.backward(found)
        return float(found.detach())

    for _ in range(ITERATIONS // AT_ONCE):
        yield done
        before = solver.state[weight].get("n_iter", 0)
        with _threads(task):
            solver.step(loss)  # type: ignore[no-untyped-call]
        if solver.state[weight]["n_iter"] < before + AT_ONCE:  # it stopped before it had to
            break
    return Head(weight.detach(), bias.detach())


@contextmanager
def _threads(task: _Task) -> Iterator[None]:
    """Computes with as many threads on a CPU as are worth it."""
    usual = torch.get_num_threads()
    if task.features.numel() > SMALL:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
