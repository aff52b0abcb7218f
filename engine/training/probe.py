"""A probe: the best last layer on a frozen backbone's features, solved for at once instead of trained epoch by epoch.

As in Kornblith et al., "Do Better ImageNet Models Transfer Better?" (2019): multinomial logistic regression by L-BFGS,
its L2 regularisation chosen by cross-validation. Only training images are looked at.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from engine.data.dataset import DataError, Sample
from engine.data.splits import folds
from engine.progress import WorkDone
from engine.spec import LBFGS

ITERATIONS, AT_ONCE = 1000, 50
"""Of L-BFGS at most, and between two looks at whether a person wants it to end."""
TOLERANCE, ROUGH = 1e-6, 1e-4
"""The largest component of the gradient at which a solution is one; ROUGH where it only tells regularisations apart."""
SMALL = 2_000_000
"""Numbers in the features up to which a second thread would wait longer than it works."""
WORSE = 2
"""Weaker regularisation is no longer tried after so many that were each worse than the best."""


class Head(NamedTuple):
    """A last layer: ``weight`` (classes, D) and ``bias`` (classes,), float64."""

    weight: Tensor
    bias: Tensor


class Probe(NamedTuple):
    """The head, the ``l2`` that it was solved with, and what cross-validation said of it.

    ``loss`` is the mean cross-entropy and ``accuracy`` in 0..1, of every training image by a head that had not seen it;
    None where there was nothing to choose or too little to divide.
    """

    head: Head
    l2: float
    loss: float | None
    accuracy: float | None


class _Task(NamedTuple):
    """Features (N, positions, D) with mean 0 and standard deviation 1, labels (N,), and whether ReLU comes after."""

    features: Tensor
    labels: Tensor
    rectified: bool

    def part(self, chosen: Tensor) -> _Task:
        return _Task(self.features[chosen], self.labels[chosen], self.rectified)

    def logits(self, head: Head) -> Tensor:
        found = self.features @ head.weight.T + head.bias
        return (found.relu() if self.rectified else found).mean(1)


def probe(
    features: Tensor, labels: Tensor, parts: Tensor | None, start: Head, settings: LBFGS
) -> Generator[WorkDone, None, Probe]:
    """Solves for the head that maps features (N, D), or a convolution's (N, D, H, W), to labels (N,).

    ``parts``: the number of the part (from 0) of the cross-validation to which each image belongs, None where they
    cannot be divided: then the middle one of ``settings.l2`` is taken. ``start`` is where a convolution's search begins
    and gives the number of classes; a linear head has one best solution, wherever it begins.
    """
    device = torch.device("cpu") if features.device.type == "mps" else features.device  # which has no float64
    rows = features.to(device, torch.float64).flatten(2).mT if features.dim() == 4 else features.to(device)[:, None]
    rows = rows.double()
    mean = rows.mean((0, 1))
    scale = (rows - mean).square().mean().sqrt().clamp_min(1e-12)
    task = _Task((rows - mean) / scale, labels.to(device), features.dim() == 4)
    begin, basis = _began(task, start, mean, scale)
    if basis is not None:
        task = task._replace(features=task.features @ basis)
    strengths = sorted(settings.l2, reverse=True)
    l2, loss, accuracy = strengths[len(strengths) // 2], None, None
    if parts is not None and len(strengths) > 1:
        l2, loss, accuracy = yield from _chosen(task, parts.to(device), begin, strengths)
    solved = yield from _solve(task, l2, begin, TOLERANCE, WorkDone("the best last layer"))
    unscaled = (solved.weight if basis is None else solved.weight @ basis.mT) / scale
    return Probe(Head(unscaled, solved.bias - unscaled @ mean), l2, loss, accuracy)


def _began(task: _Task, start: Head, mean: Tensor, scale: Tensor) -> tuple[Head, Tensor | None]:
    """Where the search begins, and a basis (D, N) of all that the features span, where that is less than (D, D).

    The best linear head lies in it, since what is orthogonal to every image is only penalised.
    """
    weight, bias = start.weight.detach().flatten(1).to(mean), start.bias.detach().to(mean)
    if task.rectified:  # where every logit is below nought, nothing leads on
        return Head(weight * scale, bias + weight @ mean), None
    images, size = len(task.features), weight.shape[1]
    basis = torch.linalg.qr(task.features[:, 0].mT).Q if images < size else None
    return Head(weight.new_zeros(len(weight), min(images, size)), torch.zeros_like(bias)), basis


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
    count = int(parts.max()) + 1
    heads = [begin] * count
    tried: list[tuple[float, float, float]] = []  # loss, l2, accuracy
    for number, l2 in enumerate(strengths):
        loss, right = 0.0, 0
        for part in range(count):
            done = WorkDone(f"regularisation, {count} parts", number * count + part, len(strengths) * count)
            heads[part] = yield from _solve(task.part(parts != part), l2, heads[part], ROUGH, done)
            held_out = task.part(parts == part)
            logits = held_out.logits(heads[part])
            loss += float(functional.cross_entropy(logits, held_out.labels, reduction="sum"))
            right += int((logits.argmax(1) == held_out.labels).sum())
        tried.append((loss / len(parts), l2, right / len(parts)))
        if len(tried) > WORSE and min(one[0] for one in tried[-WORSE:]) > min(tried)[0]:
            break
    best, l2, accuracy = min(tried)
    return l2, best, accuracy


def _solve(task: _Task, l2: float, begin: Head, tolerance: float, done: WorkDone) -> Generator[WorkDone, None, Head]:
    """The head of least cross-entropy with this regularisation."""
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
        found = functional.cross_entropy(task.logits(Head(weight, bias)), task.labels) + l2 / 2 * weight.square().sum()
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
    """As many threads on a CPU as are worth it."""
    usual = torch.get_num_threads()
    if task.features.numel() > SMALL:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
