"""Compiled networks stay compiled, whatever number of shapes and of networks there are."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from engine.models import compiled as module
from engine.models.compiled import compiled


def test_every_shape_is_compiled_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, runs = [], []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        shapes.append(next(tuple(one.shape) for one in inputs if one.shape[1:] == (3, 4, 4)))

        def run(*arguments: object) -> object:
            runs.append(len(shapes))
            return graph(*arguments)

        return run

    real = torch.compile
    monkeypatch.setattr(module.torch, "compile", lambda network, **how: real(network, backend=backend, **how))
    sizes = range(2, 22)
    network = compiled(nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()))
    for _ in range(2):
        for size in sizes:
            network(torch.zeros(size, 3, 4, 4))
    assert shapes == [(size, 3, 4, 4) for size in sizes], "none for sizes that vary, none of them given up"
    assert len(runs) == 2 * len(sizes)
