import pytest
import torch

from engine.spec import Constant, CosineAnnealingLR, ExponentialLR, Schedule, StepLR, changed_strategy, presets
from engine.training.optim import make_scheduler
from engine.training.schedule import planned_rates


@pytest.mark.parametrize(
    "schedule",
    [
        StepLR(step_size=1, gamma=0.5),
        StepLR(step_size=3, gamma=0.1),
        ExponentialLR(gamma=0.9),
        CosineAnnealingLR(),
        CosineAnnealingLR(eta_min=1e-4),
        Constant(),
    ],
    ids=repr,
)
def test_planned_rates_are_those_of_torch(schedule: Schedule) -> None:
    strategy = changed_strategy(presets()["resnet18-finetune"], epochs=12, schedule=schedule)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=strategy.optimizer.lr)
    scheduler = make_scheduler(strategy, optimizer)
    rates = []
    for _ in range(strategy.epochs):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert planned_rates(strategy.optimizer.lr, schedule, strategy.epochs) == pytest.approx(rates)


def test_the_presets_follow_torchs_own_schedulers() -> None:
    """Against schedulers made here by hand, not by the function under test."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    by_hand = {
        "resnet18-finetune": (1e-3, lambda sgd: torch.optim.lr_scheduler.StepLR(sgd, step_size=3, gamma=0.1)),
        "mobilenetv3-extract": (1e-2, lambda sgd: torch.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.9)),
    }
    for name, (lr, scheduler_of) in by_hand.items():
        strategy = presets()[name]
        sgd = torch.optim.SGD([parameter], lr=lr, momentum=0.9)
        scheduler = scheduler_of(sgd)
        rates = []
        for _ in range(strategy.epochs):
            rates.append(sgd.param_groups[0]["lr"])
            sgd.step()
            scheduler.step()
        assert planned_rates(strategy.optimizer.lr, strategy.schedule, strategy.epochs) == pytest.approx(rates)
