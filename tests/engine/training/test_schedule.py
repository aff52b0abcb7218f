import msgspec
import pytest
import torch
from torch.optim import lr_scheduler

from engine.models.backbones import Network, build
from engine.specs.presets import on_rung, presets
from engine.specs.strategy import (
    Constant,
    CosineAnnealingLR,
    ExponentialLR,
    Schedule,
    StepLR,
    Strategy,
    changed_strategy,
)
from engine.training.optim import initial_rates, make_optimizer, set_rates
from engine.training.schedule import rates_of, stands_still_from

EPOCHS = 100


def torchs(schedule: Schedule, optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
    match schedule:
        case StepLR(step_size=size, gamma=gamma):
            return lr_scheduler.StepLR(optimizer, step_size=size, gamma=gamma)
        case ExponentialLR(gamma=gamma):
            return lr_scheduler.ExponentialLR(optimizer, gamma=gamma)
        case CosineAnnealingLR(eta_min=low):
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS, eta_min=low)
        case Constant():
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)


@pytest.mark.parametrize(
    "schedule",
    [
        StepLR(step_size=1, gamma=0.5),
        StepLR(step_size=3, gamma=0.1),
        ExponentialLR(gamma=0.9),
        CosineAnnealingLR(),
        CosineAnnealingLR(eta_min=1e-4),
        CosineAnnealingLR(eta_min=1e-2),
        Constant(),
    ],
    ids=repr,
)
def test_the_rates_are_those_of_torchs_schedulers(schedule: Schedule) -> None:
    strategy = changed_strategy(presets()["resnet18-finetune"], epochs=EPOCHS, schedule=msgspec.to_builtins(schedule))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler, rates = torchs(schedule, optimizer), []
    for _ in range(EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert strategy.learning_rate == 1e-3 and strategy.schedule == schedule
    assert rates_of(strategy) == pytest.approx(rates, rel=1e-9, abs=0)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_step_is_one_kernel_for_all_parameters_of_a_rate(name: str) -> None:
    strategy = changed_strategy(presets()["resnet18-finetune"], optimizer={"name": name, "lr": 1e-3})
    optimizer = make_optimizer(strategy, build("resnet18", 2, "all", None, 0))
    assert [group["fused"] for group in optimizer.param_groups] == [True]


@pytest.mark.parametrize(
    ("schedule", "epochs", "expected"),
    [
        (StepLR(step_size=3), 5, None),
        (StepLR(step_size=3), 25, 10),
        (StepLR(step_size=7), 30, None),
        (ExponentialLR(gamma=0.5), 14, None),
        (ExponentialLR(gamma=0.5), 20, 11),
        (CosineAnnealingLR(), 300, None),
        (Constant(), 300, None),
    ],
    ids=repr,
)
def test_it_is_known_from_when_on_a_schedule_leaves_nothing_to_learn(
    schedule: Schedule, epochs: int, expected: int | None
) -> None:
    strategy = changed_strategy(presets()["resnet18-finetune"], epochs=epochs, schedule=schedule)
    assert stands_still_from(strategy) == expected
    assert stands_still_from(on_rung("resnet18", "probe")) is None


def layered(**values: object) -> tuple[Strategy, Network]:
    strategy = changed_strategy(on_rung("resnet18", "layerwise"), **values)
    return strategy, build("resnet18", 2, strategy.trains, None, 0)


def test_each_stage_from_the_head_down_trains_at_a_smaller_rate() -> None:
    strategy, network = layered(layer_decay=0.1, optimizer={"lr": 1.0})
    optimizer = make_optimizer(strategy, network)
    rates = {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    found = {name: rates[id(one)] for name, one in network.module.named_parameters()}
    assert len(rates) == len(found), "every parameter trains, once"
    wanted = {"fc.bias": 1.0, "layer4.1.conv2.weight": 0.1, "layer4.0.downsample.0.weight": 0.1,
              "layer3.0.conv1.weight": 0.01, "layer1.0.bn1.bias": 1e-4, "conv1.weight": 1e-5}  # fmt: skip
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    assert initial_rates(optimizer) == pytest.approx([10.0**-depth for depth in range(6)])


def test_one_rate_for_all_is_one_group() -> None:
    strategy, network = layered(layer_decay=1.0)
    optimizer = make_optimizer(strategy, network)
    assert len(optimizer.param_groups) == 1
    assert initial_rates(optimizer) == ()


@pytest.mark.parametrize(
    "schedule",
    [
        StepLR(2, 0.1),
        ExponentialLR(0.5),
        CosineAnnealingLR(0.0),
        CosineAnnealingLR(1e-4),
        CosineAnnealingLR(1e30),
        Constant(),
    ],
    ids=str,
)
def test_layer_wise_rates_keep_their_proportion_and_the_highest_is_the_planned(schedule: Schedule) -> None:
    strategy, network = layered(schedule=msgspec.to_builtins(schedule), epochs=4)
    optimizer = make_optimizer(strategy, network)
    for epoch, rate in enumerate(rates_of(strategy), 1):
        set_rates(strategy, optimizer, epoch)
        now = [group["lr"] for group in optimizer.param_groups]
        assert now[0] == rate
        assert now == pytest.approx([rate * 0.5**depth for depth in range(len(now))])
