"""Exporting a trained network as an ONNX file, kept only if onnxruntime gets PyTorch's probabilities from it.

Needs the extra ``onnx``. Not one of :mod:`engine.export`'s formats: those are made without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import UserError
from engine.predict import TrainedNetwork
from engine.text import in_one_line, shown

INPUT, OUTPUT = "images", "probabilities"
CHECKED_BATCHES = (1, 3)
LARGEST_DIFFERENCE, LARGEST_SHARE = 1e-4, 0.01
"""How far a probability may be from PyTorch's, and by what share of itself: in a network that is sure of its answer,
only the small probabilities tell."""


class Graph(nn.Module):
    """What the file computes: float32 RGB images (N, 3, crop, crop) in 0..1 to probabilities (N, classes)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.network = network.module
        for name in ("mean", "std"):
            values = getattr(network.preprocessing, name)
            self.register_buffer(name, torch.tensor(values, device=network.device)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities of images that are not normalised yet."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits.softmax(1)


def write(network: TrainedNetwork, path: Path, whose: Mapping[str, str]) -> float:
    """Writes the network, weights included, and returns by how much a probability differs from PyTorch's at most.

    Input ``images``, output ``probabilities``, as :class:`Graph` has them, any number of images at once. The metadata
    are those of ``best.safetensors``, and ``whose`` as JSON. The network is on the CPU, its weights 1.6 GB at most:
    more of them PyTorch writes beside the file. ``UserError`` where it cannot be exported, or as in :func:`difference`;
    what is at ``path`` is of no use then. ``OSError`` where it cannot be written.
    """
    graph = Graph(network).eval()
    crop = network.preprocessing.crop
    program = _exported(graph, crop)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # this machine's paths are in them
    program.model.graph.metadata_props.clear()
    described = {name: msgspec.json.encode(value).decode() for name, value in whose.items()}
    program.model.metadata_props.update({**network.metadata, **described})
    program.save(path, external_data=False)
    return difference(graph, path, crop)


def _exported(graph: Graph, crop: int) -> torch.onnx.ONNXProgram:
    batch = {INPUT: {0: torch.export.Dim("batch")}}
    try:
        program = torch.onnx.export(
            graph,
            (_images(2, crop),),  # of one alone the exporter would conclude that it is always one
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=batch,
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise UserError(
            f"PyTorch cannot export this network: {shown(in_one_line(error.__cause__ or error))}"
        ) from error
    assert program is not None  # with dynamo it never is
    return program


def difference(graph: Graph, path: Path, crop: int) -> float:
    """By how much a probability that onnxruntime gets from the file differs from PyTorch's at most, on batches of
    random images. ``UserError`` where that is too much, or where it gets none.
    """
    batches = [_images(count, crop) for count in CHECKED_BATCHES]
    with torch.inference_mode():
        wanted = torch.cat([graph(images) for images in batches])
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        answers = [session.run([OUTPUT], {INPUT: images.numpy()})[0] for images in batches]
    except Exception as error:  # onnxruntime's have no class in common
        raise UserError(f"onnxruntime cannot run the exported file: {shown(in_one_line(error))}") from error
    apart = (torch.cat([torch.from_numpy(said) for said in answers]) - wanted).abs()
    largest = apart.max().item()
    if not bool((apart <= (LARGEST_SHARE * wanted + 1e-30).clamp(max=LARGEST_DIFFERENCE)).all()):  # nor where it is nan
        raise UserError(
            f"the exported file does not match the network: probabilities differ by up to {largest:.1g}, "
            f"where {LARGEST_DIFFERENCE:g} is allowed, and no more than {LARGEST_SHARE:.0%} of each"
        )
    return largest


def _images(count: int, side: int) -> Tensor:
    """Random images (N, 3, side, side) in 0..1, with large shapes and small ones: noise alone looks all the same."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    fine = torch.rand(count, 3, side, side, generator=generator)
    return (functional.interpolate(coarse, size=(side, side), mode="bilinear") + fine) / 2
