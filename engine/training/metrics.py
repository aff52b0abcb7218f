"""Loss and accuracy over many batches, summed on the device so that no step waits for it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.devices.device import has_float64
from engine.logs.events import Metrics

AT_ONCE = 2**22
"""Logits that are measured at once, in float64."""


class Tally:
    """Sums over images; :meth:`metrics` gives means per image, not per batch."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        exact = torch.float64 if has_float64(device) else torch.float32
        self._loss = torch.zeros((), dtype=exact, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self.images = 0

    def add(self, logits: Tensor, labels: Tensor, mean_loss: Tensor) -> None:
        """Counts a batch: logits (B, classes), labels (B,), and the batch's mean loss."""
        self._loss += mean_loss.detach().to(self._loss.dtype) * len(labels)
        self._correct += (logits.detach().argmax(1) == labels).sum()
        self.images += len(labels)

    def sums(self) -> dict[str, Tensor]:
        """The sums themselves, which a checkpoint keeps and fills again."""
        return {"loss": self._loss, "correct": self._correct}

    def loss(self) -> float:
        """The mean loss so far; waits for the device."""
        return float(self._loss) / max(self.images, 1)

    def metrics(self) -> Metrics:
        """The means so far; waits for the device."""
        return Metrics(self.loss(), int(self._correct) / max(self.images, 1), self.images)


def evaluate(logits: Tensor, labels: Tensor) -> Metrics:
    """Metrics of many images: logits (N, classes), labels (N,). Takes as much memory again as a few of them do."""
    if not has_float64(logits.device):
        logits, labels = logits.cpu(), labels.cpu()
    tally, rows = Tally(logits.device), max(1, AT_ONCE // logits.shape[1])
    for some, of_them in zip(torch.split(logits, rows), torch.split(labels, rows), strict=True):
        tally.add(some, of_them, functional.cross_entropy(some.double(), of_them))
    return tally.metrics()
