"""The best epoch of a run: a copy of what it moved, and what it said of the validation and the test images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.data.dataset import Sample
from engine.logs.events import FileSaved, Metrics
from engine.logs.folder import predictions_file, weights_file
from engine.models.trainable import fill, moving_state
from engine.training import tensor_file
from engine.training.run import Run
from engine.training.tensor_file import TensorFile


@dataclass
class BestEpoch:
    """Keeps a run's epoch of best validation accuracy; among equals that of lower loss, then the earlier one.

    :meth:`save` writes it below ``folder``, the experiment's. ``test`` and ``test_logits``: what this epoch says of the
    test images, None before it was asked in this process. ``saved``: the epoch that the files hold, 0 where they hold
    none or that is not known, and whether with the test.
    """

    run: Run
    folder: Path
    classes: tuple[str, ...]
    epoch: int = 0
    val: Metrics | None = None
    state: dict[str, Tensor] = field(default_factory=dict)
    logits: Tensor | None = None
    test: Metrics | None = None
    test_logits: Tensor | None = None
    saved: tuple[int, bool] = (0, False)

    def offer(self, epoch: int, val: Metrics, logits: Tensor) -> bool:
        """Whether this epoch is the best so far; if so, copies its logits and the weights that trained."""
        if self.val and (val.accuracy, -val.loss) <= (self.val.accuracy, -self.val.loss):
            return False
        state = _copied(self._moving())
        # all of it or, where memory runs out, nothing
        self.epoch, self.val, self.state, self.logits = epoch, val, state, logits.detach().clone()
        self.test = self.test_logits = None
        return True

    def forget(self) -> None:
        """There is none: what it said was of other images."""
        self.epoch, self.val, self.state, self.logits = 0, None, {}, None

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network as it was at the best epoch; afterwards it is as it was before."""
        moving = self._moving()
        now = _copied(moving)
        try:
            fill(moving, self.state)
            yield
        finally:
            fill(moving, now)

    def _moving(self) -> dict[str, Tensor]:
        return moving_state(self.run.network.module, self.run.network.trained)

    def full_state(self) -> dict[str, Tensor]:
        """The whole network's state at the best epoch, on the CPU; what is frozen is the network's own."""
        state = self.run.network.module.state_dict()
        return {name: self.state.get(name, tensor.detach()).cpu().contiguous() for name, tensor in state.items()}

    def save(self) -> list[FileSaved]:
        """Writes the best epoch's weights and its logits, both or none; nothing where that is done already.

        ``checkpoints/RUN/best.safetensors``: the network's state dict; in its metadata ``classes``, ``epoch`` and what
        :func:`needed_to_use` gives. ``predictions/RUN.safetensors``: ``logits`` (images, classes) and ``labels``
        (images,) of the validation images in file order, whose paths and groups are in its metadata; ``test_logits``
        and ``test_labels``, with ``test_paths`` and ``test_groups``, once the test images were asked.
        """
        if self.saved in ((self.epoch, True), (self.epoch, self.test is not None)) or self.logits is None:
            return []
        run = self.run
        described = {"classes": json.dumps(self.classes), "epoch": str(self.epoch)}
        weights, predictions = weights_file(Path(), run.name), predictions_file(Path(), run.name)
        tensor_file.write_together(
            {
                self.folder / weights: TensorFile(self.full_state(), {**described, **needed_to_use(run)}),
                self.folder / predictions: self._predictions(described),
            }
        )
        self.saved = (self.epoch, self.test is not None)
        return [
            FileSaved(run=run.name, kind="best", path=str(weights), epoch=self.epoch),
            FileSaved(run=run.name, kind="predictions", path=str(predictions), epoch=self.epoch),
        ]

    def recall_test(self) -> None:
        """Notes whether an earlier process has saved this epoch with its test, which is not to be overwritten."""
        weights, predictions = weights_file(self.folder, self.run.name), predictions_file(self.folder, self.run.name)
        with (
            suppress(OSError, SafetensorError),  # then it is saved anew
            safe_open(weights, framework="pt") as one,
            safe_open(predictions, framework="pt") as other,
        ):
            epochs = {(file.metadata() or {}).get("epoch") for file in (one, other)}
            if epochs == {str(self.epoch)} and "test_logits" in other.keys():  # noqa: SIM118 - no dict
                self.saved = (self.epoch, True)

    def _predictions(self, described: Mapping[str, str]) -> TensorFile:
        images = self.run.images.prepared
        asked = (("", self.logits, images.val), ("test_", self.test_logits, images.test))
        tensors: dict[str, Tensor] = {}
        metadata = dict(described)
        for prefix, logits, part in asked:
            if logits is not None:
                tensors |= {f"{prefix}logits": logits.cpu(), f"{prefix}labels": part.labels}
                metadata |= {f"{prefix}{name}": text for name, text in _where(part.samples).items()}
        return TensorFile(tensors, metadata)


def needed_to_use(run: Run) -> dict[str, str]:
    """What using a run's network needs beside the names of its classes, each as JSON: its strategy, its images'
    preprocessing, and the ``arguments`` of torchvision's constructor.
    """
    network, view = run.network, run.images.preprocessing
    found = {"strategy": run.strategy, "preprocessing": view, "arguments": network.arguments}
    return {name: msgspec.json.encode(value).decode() for name, value in found.items()}


def _where(samples: Sequence[Sample]) -> dict[str, str]:
    """The images' paths and groups, each as JSON."""
    return {
        "paths": json.dumps([sample.path for sample in samples]),
        "groups": json.dumps([sample.group for sample in samples]),
    }


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
