"""What bounds training here: ``python -m benchmarks.bounds`` times products, a step of resnet18 and its convolutions,
and passes forward of so many images at once.

Products of large matrices are the most that the machine computes. Steps and passes are the engine's own, with random
weights and images; convolutions are timed by torch's profiler and counted by torch. With ``--data`` also decoding, on
one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from engine.hosts.tuning import tune_process

tune_process()  # as the host does, before torch is loaded

import torch  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks.report import header, spread, table  # noqa: E402
from engine.data.discover import discover  # noqa: E402
from engine.data.squares import decode_into  # noqa: E402
from engine.devices.precision import autocast, gradient_scaler  # noqa: E402
from engine.models.backbones import build  # noqa: E402
from engine.models.fused import fused_whole  # noqa: E402
from engine.specs.presets import presets  # noqa: E402
from engine.specs.spec import Arithmetic, DataSource  # noqa: E402
from engine.training.optim import make_optimizer  # noqa: E402
from engine.training.step import gradients  # noqa: E402

PRECISIONS: tuple[Arithmetic, ...] = ("fp32", "bf16")
MATRIX, PIXELS, STORED = 4096, 224, 256
"""Rows of a matrix; the side of an image as networks see it, and as the engine keeps it."""
STRATEGY = "resnet18-finetune"
FORWARD_ONLY = ("resnet18", "mobilenet_v3_small")
AT_ONCE = (16, 32, 64, 128)
"""Images in a pass forward; every one of them divides the last."""
FORWARD, BACKWARD = torch.ops.aten.convolution, torch.ops.aten.convolution_backward
GIGA = 1e9
"""A multiply-add counts as two operations, as is usual."""


class Step(NamedTuple):
    """A step of training: milliseconds an image, the share of it in convolutions, and what those reach, in GFLOP/s."""

    milliseconds: float
    share: float
    forward: float
    backward: float


def main() -> None:
    """Measures and prints."""
    options = _options()
    products: dict[Arithmetic, list[float]] = {precision: [] for precision in PRECISIONS}
    steps: dict[Arithmetic, list[Step]] = {precision: [] for precision in PRECISIONS}
    passes: dict[Arithmetic, list[dict[tuple[str, int], float]]] = {precision: [] for precision in PRECISIONS}
    for _ in range(options.repeats):
        for precision in PRECISIONS:
            products[precision].append(matrix_product(precision))
            steps[precision].append(step(precision))
            passes[precision].append(forward_only(precision))
    rows = [[f"product of two {MATRIX} × {MATRIX} matrices, GFLOP/s", *(spread(products[one]) for one in PRECISIONS)]]
    for name, field in (
        ("a step of resnet18, ms an image", "milliseconds"),
        ("of it convolutions, %", "share"),
        ("convolutions forward, GFLOP/s", "forward"),
        ("convolutions backward, GFLOP/s", "backward"),
    ):
        rows.append([name, *(spread([getattr(one, field) for one in steps[precision]]) for precision in PRECISIONS)])
    for one in product(FORWARD_ONLY, AT_ONCE):
        name = f"{one[0]} forward only, {one[1]} images at once, ms an image"
        rows.append([name, *(spread([found[one] for found in passes[precision]]) for precision in PRECISIONS)])
    print(f"{header()}\n\n{table(('what', *PRECISIONS), rows)}\n\nMedians of {options.repeats}.")
    if options.data:
        print(f"One core decodes {spread([decoding(options.data) for _ in range(options.repeats)])} images a second.")


def matrix_product(precision: Arithmetic) -> float:
    """GFLOP/s of a product of two large matrices."""
    type_ = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(MATRIX, MATRIX).to(type_) for _ in range(2))
    return 2 * MATRIX**3 / GIGA / _seconds(lambda: one @ other)


def step(precision: Arithmetic) -> Step:
    """The engine's training step on a batch of the preset, profiled once it is warm."""
    strategy = presets()[STRATEGY]
    network = build(strategy.backbone, 2, strategy.trains, None, seed=0)
    network.module.to(memory_format=torch.channels_last)
    optimizer, scaler = make_optimizer(strategy, network), gradient_scaler(torch.device("cpu"), precision)
    images = torch.randn(strategy.batch_size, 3, PIXELS, PIXELS).to(memory_format=torch.channels_last)
    labels = torch.zeros(strategy.batch_size, dtype=torch.int64)

    def once() -> None:
        gradients(network.module, optimizer, scaler, precision, iter([(images, labels)]), len(images))
        optimizer.step()

    seconds = _seconds(once)
    with FlopCounterMode(display=False) as counter:
        once()
    counted: dict[Any, int] = counter.get_flop_counts()["Global"]
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        once()
    took = {event.key: event.cpu_time_total / 1e6 for event in profiled.key_averages()}
    forward, backward = (took[f"aten::{one.__name__}"] for one in (FORWARD, BACKWARD))
    whole = sum(event.self_cpu_time_total for event in profiled.key_averages()) / 1e6
    return Step(
        1000 * seconds / len(images),
        100 * (forward + backward) / whole,
        counted[FORWARD] / GIGA / forward,
        counted[BACKWARD] / GIGA / backward,
    )


def forward_only(precision: Arithmetic) -> dict[tuple[str, int], float]:
    """Milliseconds an image of what validation does, by the backbone and the images at once."""
    images = torch.randn(AT_ONCE[-1], 3, PIXELS, PIXELS).to(memory_format=torch.channels_last)
    networks = {name: build(name, 2, "all", None, seed=0).module for name in FORWARD_ONLY}
    models = {name: fused_whole(one.eval().to(memory_format=torch.channels_last)) for name, one in networks.items()}

    def once(backbone: str, at_once: int) -> None:
        with torch.inference_mode(), autocast(torch.device("cpu"), precision):
            for some in images.split(at_once):
                models[backbone](some)

    return {one: 1000 * _seconds(partial(once, *one)) / len(images) for one in product(FORWARD_ONLY, AT_ONCE)}


def decoding(data: Path) -> float:
    """Images a second that one thread decodes to what the engine keeps of them."""
    dataset = discover(DataSource(path=str(data)))
    paths = [sample.path for sample in dataset.train]
    square = np.empty((STORED, STORED, 3), np.uint8)
    began = time.perf_counter()
    for path in paths:
        decode_into(square, path)
    return len(paths) / (time.perf_counter() - began)


def _seconds(work: Callable[[], object], times: int = 3) -> float:
    """The median seconds of ``work``, after a first time that does not count."""
    work()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return median(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of images, to be decoded")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
