"""Classifying images with a trained network, prepared as its run prepared its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import nn

from engine.comparison.predictions import Predictions, read
from engine.data.augment import central, normalise
from engine.data.dataset import summary
from engine.data.discover import discover
from engine.data.seen_before import SeenBefore, seen_before
from engine.data.squares import Undecoded, decode_into
from engine.data.threads import cores, in_order
from engine.devices.device import choose_device
from engine.devices.precision import use_precision
from engine.errors import DataError, UserError
from engine.history.experiment_state import read_state
from engine.models.backbones import Preprocessing, build
from engine.progress import WorkDone
from engine.specs.strategy import Strategy
from engine.states.state import RunState
from engine.training.batches import evaluation_sizes

if TYPE_CHECKING:
    from engine.comparison.scores import Scores

LARGEST_SIDE = 4096
"""Pixels of the largest image that a network of ours may see."""


class TrainedNetwork(NamedTuple):
    """The network of a run's best epoch, in eval mode on ``device``, and its file's ``metadata``."""

    module: nn.Module
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    device: torch.device
    metadata: Mapping[str, str]


class Prediction(NamedTuple):
    """The probabilities (0..1) of the classes for an image, in their order; none where it cannot be read, and why."""

    path: str
    probabilities: tuple[float, ...]
    problem: str = ""


def load_network(weights: Path, device: str = "auto") -> TrainedNetwork:
    """The network in a run's ``best.safetensors``; ``UserError`` where the file cannot be read or is no such file."""
    place = choose_device(device)
    use_precision(place, "fp32")
    try:
        with safe_open(weights, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        classes = msgspec.json.decode(metadata["classes"], type=tuple[str, ...])
        view = msgspec.json.decode(metadata["preprocessing"], type=Preprocessing)
        strategy = msgspec.json.decode(metadata["strategy"], type=Strategy)
        arguments = msgspec.json.decode(metadata.get("arguments", "{}"), type=dict[str, object])
        # what torchvision pretrained may see its input otherwise; whose values it has first, the next line replaces
        pretrained = state if arguments.get("transform_input") else None
        module = build(strategy.backbone, len(classes), strategy.trains, pretrained, 0).module
        own = module.state_dict()
        own.update({name: state[name] for name in own})  # keeps the versions of its parts, without which MNASNet fails
        module.load_state_dict(own)
    except OSError as error:
        raise UserError(f"{weights}: {error.strerror or error}") from None
    except UserError:
        raise
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{weights}: not a network that tl-tui saved, or damaged ({error})") from None
    if not 0 < view.crop <= view.resize <= LARGEST_SIDE:
        raise UserError(f"{weights}: damaged: it sees {view.crop} of {view.resize} pixels")
    return TrainedNetwork(module.to(place).eval(), classes, view, place, metadata)


def predictions_of(network: TrainedNetwork, paths: Sequence[str]) -> Iterator[Prediction]:
    """What the network says of each file, in their order; one that cannot be read stops none of the others."""
    view, device = network.preprocessing, network.device
    mean, std = (torch.tensor(values, device=device) for values in (view.mean, view.std))
    with closing(in_order((partial(_decoded, path, view.resize) for path in paths), cores())) as decoded:
        pairs = zip(paths, decoded, strict=True)
        for size in evaluation_sizes(len(paths), device):
            some = list(islice(pairs, size))
            squares = [square for _, square in some if not isinstance(square, Undecoded)]
            probabilities: Iterator[list[float]] = iter(())
            if squares:
                pixels = torch.from_numpy(np.stack(squares)).to(device).permute(0, 3, 1, 2)
                with torch.inference_mode():
                    logits = network.module(normalise(central(pixels, view.crop), mean, std))
                probabilities = iter(logits.float().cpu().softmax(1).tolist())
            for path, square in some:
                if isinstance(square, Undecoded):
                    yield Prediction(path, (), square.reason)
                else:
                    yield Prediction(path, tuple(next(probabilities)))


def scores_on(said: Sequence[Prediction], labels: Sequence[str], classes: Sequence[str]) -> Scores:
    """The measures of what was said of images, at least one and all readable, by the names of their classes."""
    from engine.comparison.scores import scores  # noqa: PLC0415 - scikit-learn takes a second, and most have no labels

    number = {name: label for label, name in enumerate(classes)}
    return scores(
        Predictions(
            run="",
            part="test",
            epoch=0,
            classes=tuple(classes),
            paths=tuple(one.path for one in said),
            groups=("",) * len(said),
            labels=np.array([number[label] for label in labels]),
            probabilities=np.array([one.probabilities for one in said]),
        )
    )


def seen_by(folder: Path, run: RunState, paths: Sequence[str]) -> Generator[WorkDone, None, SeenBefore]:
    """How many of these images the run of the experiment in ``folder`` has seen; yields how far it is.

    ``DataError`` where the experiment's data are gone or have changed, or nobody knows what its fold was.
    """
    state = read_state(folder)
    if state.spec is None or state.data is None:
        raise DataError(f"{folder}: the log does not tell which data it had")
    dataset, began = discover(state.spec.data), state.data
    now = summary(dataset)
    if (now.classes, now.train, now.val) != (began.classes, began.train, began.val):
        raise DataError(f"{dataset.path}: has other images than when it was trained on")
    trained, validated = ([sample.path for sample in part] for part in (dataset.train, dataset.val))
    if run.fold is not None:
        try:
            said = read(folder, run.run)
        except OSError:
            said = None
        if said is None:
            raise DataError(
                f"{folder}: what {run.run} said of its validation images is gone, and with it which they are"
            )
        trained, validated = list({*trained, *validated}.difference(said.paths)), list(said.paths)
    return (yield from seen_before(paths, trained, validated))


def _decoded(path: str, side: int) -> NDArray[np.uint8] | Undecoded:
    square = np.empty((side, side, 3), np.uint8)
    undecoded = decode_into(square, path)
    return square if undecoded is None else undecoded
