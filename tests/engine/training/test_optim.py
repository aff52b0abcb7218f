"""Optimizers as they are made from a strategy."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from engine.training.optim import make_optimizer
from tests.engine.training.runs import fine_tuning, make_run


def test_a_first_step_whose_gradients_overflow_leaves_no_momentum(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in fp16, whose scale begins high: torch skips the step, and would leave whatever was in memory as momentum."""
    monkeypatch.setattr(torch, "empty_like", lambda other, **_: torch.full_like(other, torch.nan))
    network = make_run(fine_tuning()).network
    optimizer, scaler = make_optimizer(fine_tuning(), network), GradScaler("cpu", init_scale=2.0)
    parameters = [*network.module.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    step(parameters, scaler, optimizer, torch.inf)
    assert [*map(torch.equal, parameters, before)] == [True] * len(before)
    step(parameters, scaler, optimizer, 1.0)
    for now, then in zip(parameters, before, strict=True):
        torch.testing.assert_close(now, then - 1e-3)


def step(parameters: list[nn.Parameter], scaler: GradScaler, optimizer: torch.optim.Optimizer, value: float) -> None:
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, value * scaler.get_scale())
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    scaler.update()


@pytest.mark.parametrize("values", [{}, {"name": "AdamW"}], ids=["SGD", "AdamW"])
def test_the_first_steps_are_those_of_torch(values: dict[str, str]) -> None:
    strategy = fine_tuning(optimizer=values)
    run, torchs = make_run(strategy), make_run(strategy)
    optimizer = make_optimizer(strategy, run.network)
    names = ("lr", "momentum", "weight_decay")
    given = {name: value for name, value in optimizer.param_groups[0].items() if name in names}
    plain = type(optimizer)(torchs.network.module.parameters(), **given, fused=True)
    for network, one in ((run.network, optimizer), (torchs.network, plain)):
        for _ in range(3):
            for parameter in network.module.parameters():
                parameter.grad = parameter.detach().sin()
            one.step()
    assert [*map(torch.equal, run.network.module.parameters(), torchs.network.module.parameters())].count(False) == 0
