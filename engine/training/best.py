"""The best epoch of a run: a copy of what it moved, and what it said of the validation images."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from torch import Tensor

from engine.events import FileSaved, Metrics
from engine.models.backbones import moving_state
from engine.training import tensor_file
from engine.training.run import Run
from engine.training.tensor_file import TensorFile


@dataclass
class Best:
    """Keeps a run's epoch of best validation accuracy; among equals that of lower loss, then the earlier one.

    :meth:`save` writes it below ``folder``, the experiment's.
    """

    run: Run
    folder: Path
    classes: tuple[str, ...]
    epoch: int = 0
    val: Metrics | None = None
    state: dict[str, Tensor] = field(default_factory=dict)
    logits: Tensor | None = None
    saved_epoch: int = 0

    def offer(self, epoch: int, val: Metrics, logits: Tensor) -> bool:
        """Whether this epoch is the best so far; if so, copies its logits and the weights that trained."""
        if self.val and (val.accuracy, -val.loss) <= (self.val.accuracy, -self.val.loss):
            return False
        moving = moving_state(self.run.network, self.run.strategy.trains)
        state = {name: tensor.detach().clone() for name, tensor in moving.items()}
        # all of it or, where memory runs out, nothing
        self.epoch, self.val, self.state, self.logits = epoch, val, state, logits.detach().clone()
        return True

    def full_state(self) -> dict[str, Tensor]:
        """The whole network's state at the best epoch, on the CPU; what is frozen is the network's own."""
        state = self.run.network.module.state_dict()
        return {name: self.state.get(name, tensor.detach()).cpu().contiguous() for name, tensor in state.items()}

    def save(self) -> list[FileSaved]:
        """Writes the best epoch's weights and validation logits, both or none; nothing where that is done already.

        ``checkpoints/RUN/best.safetensors``: the network's state dict; its metadata has what is needed to use it
        (strategy, classes, preprocessing). ``predictions/RUN.safetensors``: ``logits`` (images, classes) and
        ``labels`` (images,) of the validation images in file order, whose paths and groups are in its metadata.
        """
        if self.epoch == self.saved_epoch or self.logits is None:
            return []
        run, val = self.run, self.run.images.prepared.val
        described = {"classes": json.dumps(self.classes), "epoch": str(self.epoch)}
        weights, predictions = (
            Path("checkpoints", run.name, "best.safetensors"),
            Path("predictions", f"{run.name}.safetensors"),
        )
        strategy = msgspec.json.encode(run.strategy).decode()
        view = msgspec.json.encode(run.images.preprocessing).decode()
        paths = json.dumps([sample.path for sample in val.samples])
        groups = json.dumps([sample.group for sample in val.samples])
        tensor_file.write_together(
            {
                self.folder / weights: TensorFile(
                    self.full_state(), {**described, "strategy": strategy, "preprocessing": view}
                ),
                self.folder / predictions: TensorFile(
                    {"logits": self.logits.cpu(), "labels": val.labels}, {**described, "paths": paths, "groups": groups}
                ),
            }
        )
        self.saved_epoch = self.epoch
        return [
            FileSaved(run=run.name, kind="best", path=str(weights), epoch=self.epoch),
            FileSaved(run=run.name, kind="predictions", path=str(predictions), epoch=self.epoch),
        ]
