"""Checkpoints: files from which a run goes on exactly as if it had never ended.

``checkpoints/RUN/last.safetensors`` holds everything that changes while the run trains: the weights that train, the
optimizer, the scaler, the place in the epoch, its sums so far, and the best epoch. The order of images,
augmentation and dropout need no state: they derive from (seed, epoch, step).
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import torch
from msgspec import Struct
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from engine.devices.meters import Cost
from engine.logs.events import EpochFinished, Metrics
from engine.logs.folder import checkpoint_file
from engine.models.trainable import fill, moving_state
from engine.specs.strategy import Strategy
from engine.training import tensor_file
from engine.training.course import Course
from engine.training.run import Run, Training, gives_finite_logits

VERSION = 1
HEADER = "standing"


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the text is one line that says which and why."""


class OtherVersionError(ValueError):
    """A checkpoint was written by another version of tl-tui; the text is one line that says which."""


class PoisonedError(ValueError):
    """A run is in a state from which going on is not worth it; the text says why in a few words."""


class CheckpointHeader(Struct, frozen=True, kw_only=True):
    """All of a checkpoint but its tensors.

    ``data``: the images' fingerprint. ``frozen``: a digest of the layers that do not train. The position is ``step``
    steps into ``epoch`` (from 1), with ``images`` seen in it. ``cost`` is the run's so far.
    ``micro_batch`` and ``at_once``: the most images that a part of a batch, and a forward pass alone, may have where
    memory ran out before. ``solved``: see :class:`engine.training.run.Training`, whose
    ``reused_feature_seconds`` and ``features_counted`` are ``found`` and ``paid``.
    """

    version: int = VERSION
    run: str
    strategy: Strategy
    seed: int
    data: str
    frozen: str
    epoch: int
    step: int
    images: int
    epoch_seconds: float
    cost: Cost
    peak_rss: int
    epochs: tuple[EpochFinished, ...]
    groups: list[dict[str, Any]]
    scaler: dict[str, Any]
    best_epoch: int
    best_val: Metrics | None
    micro_batch: int | None = None
    at_once: int | None = None
    peak_allocated: int | None = None
    solved: bool = False
    found: float = 0.0
    paid: bool = False


class _Version(Struct, frozen=True):
    version: int


class Checkpoint(Struct, frozen=True):
    """A checkpoint as it was read."""

    header: CheckpointHeader
    tensors: dict[str, Tensor]


def save(course: Course) -> None:
    """Writes where the run stands now; ``OSError`` where that cannot be.

    :class:`PoisonedError`, and what was written before is kept, where the last step has made the weights useless: the
    loss says so only at the next one.
    """
    if course.training.step and not gives_finite_logits(course.run):  # at the end of an epoch, validation has said so
        raise PoisonedError("its weights no longer give finite logits")
    run, training, best = course.run, course.training, course.best
    optimizer, spent = training.optimizer.state_dict(), course.taken()
    header = CheckpointHeader(
        run=run.name,
        strategy=run.strategy,
        seed=run.seed,
        data=course.data,
        frozen=course.frozen,
        epoch=training.epoch,
        step=training.step,
        images=training.tally.images,
        epoch_seconds=training.seconds,
        cost=spent.cost,
        peak_rss=spent.memory.peak_rss,
        peak_allocated=spent.memory.peak_allocated,
        solved=training.solved,
        found=training.reused_feature_seconds,
        paid=training.features_counted,
        epochs=tuple(course.epochs),
        groups=optimizer["param_groups"],
        scaler=training.scaler.state_dict(),
        best_epoch=best.epoch,
        best_val=best.val,
        micro_batch=training.micro_batches.most,
        at_once=training.at_once,
    )
    tensors = {f"weights/{name}": tensor for name, tensor in _moving(run).items()}
    tensors |= {f"tally/{name}": tensor for name, tensor in training.tally.sums().items()}
    for number, values in optimizer["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in values.items() if value is not None}
    tensors |= {f"best/{name}": tensor for name, tensor in best.state.items()}
    if best.logits is not None:
        tensors["logits"] = best.logits
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if not all(_is_finite(tensor) for name, tensor in tensors.items() if name.startswith(("weights/", "optimizer/"))):
        raise PoisonedError("its weights are no longer finite")
    tensor_file.write(checkpoint_file(best.folder, run.name), tensors, {HEADER: msgspec.json.encode(header).decode()})


def remove(folder: Path, run: str) -> None:
    """Removes the checkpoint of a run that is over."""
    with suppress(OSError):
        checkpoint_file(folder, run).unlink(missing_ok=True)


def put_aside(folder: Path, run: str) -> Path:
    """Gives the run's checkpoint, which cannot be used here, a name under which nothing overwrites it: the new path."""
    path = checkpoint_file(folder, run)
    return path.replace(path.with_name(f"unused-{time.time_ns()}.safetensors"))


def read(folder: Path, run: str) -> Checkpoint | None:
    """The run's checkpoint, None where there is none.

    :class:`CheckpointError` where it is damaged, :class:`OtherVersionError`, and ``OSError`` where it cannot be read
    now (a network's disk, too many open files).
    """
    path = checkpoint_file(folder, run)
    if not path.exists():
        return None
    path.open("rb").close()  # safetensors does not tell what cannot be read from what is damaged
    try:
        with safe_open(path, framework="pt") as file:
            header = _header(file, path)
            return Checkpoint(header, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no dict
    except (SafetensorError, KeyError, msgspec.MsgspecError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged ({' '.join(str(error).split())[:200]})") from error


def best_epoch(folder: Path, run: str) -> int:
    """The number of the best epoch in the run's checkpoint; 0 where it holds none or cannot be read."""
    path = checkpoint_file(folder, run)
    try:
        with safe_open(path, framework="pt") as file:
            return _header(file, path).best_epoch
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError):
        return 0


def _header(file: Any, path: Path) -> CheckpointHeader:
    metadata = (file.metadata() or {})[HEADER]
    version = msgspec.json.decode(metadata, type=_Version).version
    if version != VERSION:
        raise OtherVersionError(f"{path}: written by another version of tl-tui (format {version})")
    return msgspec.json.decode(metadata, type=CheckpointHeader)


def differences(checkpoint: Checkpoint, course: Course) -> list[str]:
    """What differs from the run that wrote the checkpoint, in words; empty where it can go on exactly."""
    header, run = checkpoint.header, course.run
    found = []
    if header.data != course.data:
        found.append("the images, labels or split have changed since it began")
    if header.frozen != course.frozen:
        found.append("the pretrained weights have changed since it began")
    if (header.run, header.strategy, header.seed) != (run.name, run.strategy, run.seed):
        found.append("its strategy or seed has changed")
    return found


def restore(checkpoint: Checkpoint, course: Course) -> None:
    """Brings the network, the training, the best epoch and the run's seconds to where they stood.

    :class:`CheckpointError` where the checkpoint is of another network; nothing that trains has changed then.
    """
    header, run, training = checkpoint.header, course.run, course.training
    _check(checkpoint, run, training)
    is_yet_to_be_solved = run.strategy.solves_head and not header.solved and (header.epoch, header.step) == (1, 0)
    if not is_yet_to_be_solved:  # else the search would begin where it had ended
        fill(_moving(run), _below(checkpoint, "weights/"))
    fill(training.tally.sums(), _below(checkpoint, "tally/"))
    training.optimizer.load_state_dict({"state": _optimizer_state(checkpoint), "param_groups": header.groups})
    _keep_layout(training.optimizer)
    if header.scaler:  # it has none where it was trained in another precision than fp16
        training.scaler.load_state_dict(header.scaler)
    training.tally.images, training.seconds = header.images, header.epoch_seconds
    training.epoch, training.step = header.epoch, header.step
    training.micro_batches = replace(training.micro_batches, most=header.micro_batch)
    training.at_once = header.at_once
    device, best = run.images.device, course.best
    best.epoch, best.val = header.best_epoch, header.best_val
    best.state = {name: tensor.to(device) for name, tensor in _below(checkpoint, "best/").items()}
    logits = checkpoint.tensors.get("logits")
    best.logits = None if logits is None else logits.to(device)
    course.epochs = list(header.epochs)
    training.began = run.meters() - header.cost
    training.solved = header.solved
    training.reused_feature_seconds, training.features_counted = header.found, header.paid
    run.memory.reset_peak(header.peak_rss, header.peak_allocated or 0)


def _check(checkpoint: Checkpoint, run: Run, training: Training) -> None:
    """Raises where the checkpoint's tensors are not those of the run."""
    for prefix, into in (("weights/", _moving(run)), ("tally/", training.tally.sums())):
        found = _below(checkpoint, prefix)
        if {name: tensor.shape for name, tensor in into.items()} != {name: one.shape for name, one in found.items()}:
            raise CheckpointError(f"{checkpoint_file(Path(), run.name)}: belongs to a different network")
    trained = [len(group["params"]) for group in training.optimizer.state_dict()["param_groups"]]
    if [len(group.get("params", ())) for group in checkpoint.header.groups] != trained:
        raise CheckpointError(f"{checkpoint_file(Path(), run.name)}: belongs to a different optimizer")


def _moving(run: Run) -> dict[str, Tensor]:
    return moving_state(run.network.module, run.network.trained)


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = torch.aminmax(tensor)  # both are NaN where any value is
    return math.isfinite(low) and math.isfinite(high)


def _below(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in checkpoint.tensors.items() if name.startswith(prefix)}


def _optimizer_state(checkpoint: Checkpoint) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(checkpoint, "optimizer/").items():
        number, value = name.split("/", 1)
        state.setdefault(int(number), {})[value] = tensor
    return state


def _keep_layout(optimizer: Optimizer) -> None:
    """Gives what the optimizer remembers of a parameter the parameter's own layout, as it had before."""
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(parameter, nn.Parameter) and isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
