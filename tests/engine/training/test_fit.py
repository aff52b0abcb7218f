"""The two presets proven faithful, on tiny images and random weights."""

import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch._ops import OpOverload
from torch.amp import GradScaler
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from engine.clock import Stopwatch
from engine.devices.meters import Meters
from engine.logs import events as ev
from engine.models.backbones import build
from engine.models.fused import fused_whole
from engine.models.trainable import state_hash
from engine.specs.batch_sizes import batch_sizes
from engine.specs.presets import presets
from engine.specs.strategy import Augmentation, Strategy
from engine.training import evaluation
from engine.training.batches import VIEWS, derived_seed, image_feed
from engine.training.best import BestEpoch
from engine.training.run import DivergedError
from engine.training.warm_up import warm_up
from tests.engine.training.runs import (
    CLASSES,
    epochs_of,
    extraction,
    fine_tuning,
    fitted,
    make_run,
    never_best,
    parameters,
    warmed_up,
    whole,
    without_dropout_of,
)

SOME = ev.Metrics(loss=0.5, accuracy=0.5, images=10)


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(16, 8, [8, 8]), (21, 8, [8, 8, 5]), (17, 8, [8, 9]), (1, 8, [1]), (3, 1, [1, 1, 1])],
)
def test_a_single_image_that_is_left_joins_the_last_batch(count: int, size: int, sizes: list[int]) -> None:
    assert batch_sizes(count, size) == sizes


def test_fine_tuning_moves_every_layer() -> None:
    run = make_run(fine_tuning(optimizer={"lr": 0.05}))
    before = parameters(run)
    list(fitted(run, never_best))
    still = [name for name, now in parameters(run).items() if torch.equal(now, before[name])]
    assert still == []


def test_extraction_moves_the_last_layer_and_nothing_else() -> None:
    run = make_run(extraction())
    before, backbone = parameters(run), state_hash(run.network.module, run.network.head_name)
    list(fitted(run, never_best))
    moved = {name for name, now in parameters(run).items() if not torch.equal(now, before[name])}
    assert moved == {f"{run.network.head_name}.weight", f"{run.network.head_name}.bias"}
    assert state_hash(run.network.module, run.network.head_name) == backbone, "buffers moved"


def test_extraction_with_augmentation_leaves_the_backbone_alone_too() -> None:
    run = make_run(extraction(augmentation={"flip": True, "crop_area": 0.5}))
    backbone = state_hash(run.network.module, run.network.head_name)
    head = run.network.head.weight.detach().clone()
    list(fitted(run, never_best))
    assert state_hash(run.network.module, run.network.head_name) == backbone
    assert not torch.equal(run.network.head.weight, head)


@pytest.mark.parametrize("strategy", [fine_tuning(epochs=4), extraction(epochs=4)], ids=lambda s: s.name)
def test_every_epoch_trains_at_the_rate_of_torchs_scheduler(strategy: Strategy) -> None:
    run = make_run(strategy, train=8, val=4)
    rates = [epoch.learning_rate for epoch in epochs_of(fitted(run, never_best))]
    parameter = nn.Parameter(torch.zeros(1))
    if strategy.name == "resnet18-finetune":
        sgd = torch.optim.SGD([parameter], lr=1e-3)
        scheduler: torch.optim.lr_scheduler.LRScheduler = torch.optim.lr_scheduler.StepLR(sgd, 3, 0.1)
    else:
        sgd = torch.optim.SGD([parameter], lr=1e-2)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(sgd, 0.9)
    expected = []
    for _ in range(4):
        expected.append(sgd.param_groups[0]["lr"])
        sgd.step()
        scheduler.step()
    assert rates == pytest.approx(expected)


def test_extraction_equals_a_plain_loop_over_the_whole_network() -> None:
    """Features computed once, then the head, is the textbook loop with a frozen backbone (dropout aside)."""
    strategy = extraction(epochs=3)
    run = make_run(strategy)
    epochs = epochs_of(fitted(without_dropout_of(run), never_best))

    network = build(strategy.backbone, 2, "head", warmed_up(strategy.backbone), 0)
    network.module.eval()
    sgd = torch.optim.SGD(network.head.parameters(), lr=strategy.optimizer.lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(sgd, 0.9)
    losses = []
    for epoch in range(1, 4):
        order = torch.randperm(21, generator=torch.Generator().manual_seed(derived_seed(0, epoch)))
        for index in torch.split(order, batch_sizes(21, 8)):
            inputs, labels = (one[index] for one in whole(run.images, run.images.prepared.train))
            loss = functional.cross_entropy(network.module(inputs), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        scheduler.step()
        with torch.no_grad():
            inputs, labels = whole(run.images, run.images.prepared.val)
            losses.append(functional.cross_entropy(network.module(inputs), labels).item())
    assert [epoch.val.loss for epoch in epochs] == pytest.approx(losses, rel=1e-4)


def test_validation_is_in_eval_mode_and_a_part_of_the_epochs_time() -> None:
    now, modes = 0.0, []

    def passed(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal now
        now += 1.0
        modes.append((stage, module.training, torch.is_inference_mode_enabled(), len(inputs[0])))

    run = replace(make_run(fine_tuning(epochs=1), train=16, val=8), meters=Meters(clock=Stopwatch(lambda: now)))
    run.network.head.register_forward_pre_hook(passed)
    stage = ""
    for event in fitted(run, never_best):
        stage = event.stage if isinstance(event, ev.StageChanged) else stage
        if isinstance(event, ev.EpochFinished):
            assert (event.train_seconds, event.seconds, event.run_seconds) == (2.0, 3.0, 3.0)
    assert modes == [*2 * [("training", True, False, 8)], ("validating", False, True, 8)]


@pytest.mark.parametrize("strategy", [fine_tuning(), extraction()], ids=lambda s: s.name)
def test_every_step_draws_its_own_dropout(strategy: Strategy, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr("engine.training.batches.seed_device", lambda _, seed: seeds.append(seed))
    list(fitted(make_run(strategy), never_best))
    assert len(seeds) == 3 * strategy.epochs == len(set(seeds))
    views = {derived_seed(0, epoch, VIEWS) for epoch in range(1, strategy.epochs + 1)}
    assert views.isdisjoint(seeds), "and not with the randomness of the views"


def test_every_seed_epoch_and_step_has_its_own_randomness() -> None:
    places = list(product(range(4), repeat=3))
    assert len({derived_seed(*place) for place in places}) == len(places)
    assert all(0 <= derived_seed(*place) < 2**63 for place in places)


def test_dropout_before_the_head_acts_in_training_alone() -> None:
    assert make_run(extraction()).network.dropout == 0.2
    with_dropout, without = make_run(extraction()), without_dropout_of(make_run(extraction()))
    first = epochs_of(fitted(with_dropout, never_best))[0]
    second = epochs_of(fitted(without, never_best))[0]
    assert first.train.loss != second.train.loss


def test_losses_are_means_per_image_not_per_batch() -> None:
    """21 images in batches of 8: batches of 8, 8 and 5; a learning rate of almost nothing leaves the head as it was."""
    run = without_dropout_of(make_run(extraction(epochs=1, optimizer={"lr": 1e-12, "momentum": 0.0})))
    epoch = epochs_of(fitted(run, never_best))[0]
    run.network.module.eval()
    with torch.no_grad():
        for part, metrics in ((run.images.prepared.train, epoch.train), (run.images.prepared.val, epoch.val)):
            inputs, labels = whole(run.images, part)
            logits = run.network.module(inputs)
            assert metrics.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-4)
            assert metrics.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
            assert metrics.images == len(labels)


@pytest.mark.slow
def test_it_learns() -> None:
    run = make_run(fine_tuning(backbone="resnet18", epochs=3, optimizer={"lr": 0.003}), train=48, val=24)
    epochs = epochs_of(fitted(run, never_best))
    assert epochs[-1].train.loss < epochs[0].train.loss
    assert epochs[-1].val.accuracy >= 0.9


@pytest.mark.parametrize("strategy", [fine_tuning(), extraction()], ids=lambda s: s.name)
def test_the_same_seed_gives_the_same_run_bit_for_bit(strategy: Strategy) -> None:
    def outcome(seed: int) -> tuple[list[tuple[float, float]], str]:
        run = make_run(strategy, seed)
        torch.manual_seed(torch.seed() % 1000)  # whatever the process did before
        epochs = epochs_of(fitted(run, never_best))
        return [(epoch.train.loss, epoch.val.loss) for epoch in epochs], state_hash(run.network.module)

    one = outcome(3)
    assert outcome(3) == one
    assert outcome(4) != one


def test_batches_depend_on_seed_epoch_and_step_alone() -> None:
    run = make_run(fine_tuning())
    feed = image_feed(run.images, run.strategy, 5, run.model)
    second_epoch = [inputs for inputs, _ in feed.train(2, 0)]
    torch.rand(7)
    again = [inputs for inputs, _ in feed.train(2, 0)]
    assert all(torch.equal(one, other) for one, other in zip(second_epoch, again, strict=True))
    assert not torch.equal(second_epoch[0], next(feed.train(1, 0))[0])


def test_no_image_is_repeated_or_left_out_in_an_epoch() -> None:
    run = make_run(fine_tuning(augmentation={"crop_area": 1.0, "flip": False}), train=17)
    feed = image_feed(run.images, run.strategy, 0, run.model)
    batches = [inputs for inputs, _ in feed.train(1, 0)]
    assert [len(batch) for batch in batches] == [8, 9], "one left-over image joins the batch before"
    assert feed.train_steps == 2
    seen = {tuple(image.flatten()[:50].tolist()) for batch in batches for image in batch}
    every, _ = whole(run.images, run.images.prepared.train)
    assert seen == {tuple(image.flatten()[:50].tolist()) for image in every}


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    run = make_run(fine_tuning(optimizer={"lr": 1e12}, augmentation={"flip": False, "crop_area": 1.0}))
    with pytest.raises(DivergedError, match="epoch"):
        list(fitted(run, never_best))


def test_many_images_are_validated_by_a_fused_network_as_it_is_after_each_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def losses() -> list[float]:
        return [epoch.val.loss for epoch in epochs_of(fitted(make_run(fine_tuning(epochs=2), val=12), never_best))]

    plain, made = losses(), []
    monkeypatch.setattr(evaluation, "WORTH_FUSING", 12)
    monkeypatch.setattr(evaluation, "fused_whole", lambda module: made.append(fused_whole(module)) or made[-1])
    assert losses() == pytest.approx(plain, rel=1e-4)
    assert [type(one).__name__ for one in made] == ["GraphModule", "GraphModule"]


class Waits(TorchDispatchMode):
    """Counts what makes the CPU wait for a device: reading a value, or copying one there that was made here."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[object, ...] = (), kwargs: dict[str, object] | None = None
    ) -> object:
        waits = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::lift_fresh")
        self.count += func.name() in waits
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("scales", [False, True], ids=["fp32", "gradients scaled as for fp16"])
@pytest.mark.parametrize(
    "strategy",
    [fine_tuning(epochs=1), fine_tuning(epochs=1, optimizer={"name": "AdamW"}), extraction(epochs=1)],
    ids=lambda s: f"{s.name}, {type(s.optimizer).__name__}",
)
def test_no_step_waits_for_the_device(strategy: Strategy, scales: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr("engine.training.run.gradient_scaler", lambda *_: GradScaler("cpu", enabled=scales))
    for module in ("fit", "evaluation", "features"):  # progress may wait, and is throttled
        monkeypatch.setattr(f"engine.training.{module}.every", lambda *_: lambda: False)
    monkeypatch.setattr("engine.training.evaluation.wait_for", asked.append)
    counts = []
    for images in (16, 48):
        run = make_run(strategy, train=images, val=8)
        asked.clear()
        with Waits() as waits:
            list(fitted(run, never_best))
        counts.append(waits.count + len(asked))
    assert counts[0] == counts[1], "more steps, no more waiting"
    assert counts[0] > 0, "the metrics of an epoch are read"


class Single(TorchDispatchMode):
    """Refuses double precision, as Apple's GPUs do."""

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[object, ...] = (), kwargs: dict[str, object] | None = None
    ) -> object:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.dtype == torch.float64:
            raise TypeError(f"{func.name()}: no float64 here")
        return made


@pytest.mark.parametrize("strategy", [fine_tuning(epochs=1), extraction(epochs=1)], ids=lambda s: s.name)
def test_a_device_without_double_precision_trains(strategy: Strategy, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = []
    monkeypatch.setattr("engine.training.metrics.has_float64", lambda _: False)
    # the last metrics are those of logits that were copied to the CPU, which the mode here cannot tell from the device
    monkeypatch.setattr("engine.training.evaluation.evaluate", lambda logits, labels: evaluated.append(logits) or SOME)
    with Single():
        (epoch,) = epochs_of(fitted(make_run(strategy), never_best))
    assert epoch.train.loss > 0
    assert evaluated


@pytest.mark.slow
def test_a_compiled_network_learns_the_same_and_is_saved_under_its_own_names(tmp_path: Path) -> None:
    plain, compiled = (make_run(fine_tuning(epochs=1, backbone="squeezenet1_1")) for _ in range(2))
    compiled = replace(compiled, model=torch.compile(compiled.network.module, backend="eager"))
    warm_up(compiled)
    best = BestEpoch(compiled, tmp_path, CLASSES)
    losses = [epochs_of(fitted(run, offer))[0].val.loss for run, offer in ((plain, never_best), (compiled, best.offer))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    saved = load_file(tmp_path / best.save()[0].path)
    assert set(saved) == set(plain.network.module.state_dict())


@pytest.mark.parametrize("strategy", [fine_tuning(), extraction()], ids=lambda s: s.name)
def test_warming_up_leaves_everything_as_it_was(strategy: Strategy) -> None:
    run = make_run(strategy)
    before = state_hash(run.network.module)
    warm_up(run)
    assert state_hash(run.network.module) == before
    assert all(parameter.grad is None for parameter in run.network.module.parameters())


def test_closing_the_generator_stops_between_two_steps() -> None:
    run = make_run(fine_tuning(epochs=50))
    events = fitted(run, never_best)
    for event in events:
        if isinstance(event, ev.EpochFinished):
            break
    events.close()
    assert list(events) == []


def test_pauses_are_left_out() -> None:
    paused, epochs = 0.0, []
    clock = Stopwatch(lambda: time.perf_counter() + paused)
    run = replace(make_run(fine_tuning()), meters=Meters(clock=clock))
    for event in fitted(run, never_best):
        run.meters.pause()
        paused += 1e6
        run.meters.resume()
        epochs += [event] if isinstance(event, ev.EpochFinished) else []
    assert 0 < sum(epoch.seconds for epoch in epochs) < 1e6


class TestBest:
    def best(self, tmp_path: Path, strategy: Strategy) -> BestEpoch:
        return BestEpoch(make_run(strategy), tmp_path, CLASSES)

    def test_best_is_by_accuracy_then_lower_loss_then_earlier(self, tmp_path: Path) -> None:
        best = self.best(tmp_path, extraction())
        logits = torch.zeros(10, 2)
        offered = [(0.5, 0.7), (0.6, 0.9), (0.6, 0.8), (0.6, 0.8), (0.55, 0.1)]
        taken = [best.offer(number, ev.Metrics(loss, acc, 10), logits) for number, (acc, loss) in enumerate(offered, 1)]
        assert taken == [True, True, True, False, False]
        assert best.epoch == 3

    @pytest.mark.parametrize("strategy", [fine_tuning(), extraction()], ids=lambda s: s.name)
    def test_it_is_a_copy_of_live_tensors(self, tmp_path: Path, strategy: Strategy) -> None:
        best = self.best(tmp_path, strategy)
        logits = torch.zeros(10, 2)
        best.offer(1, ev.Metrics(1.0, 0.5, 10), logits)
        kept = {name: tensor.clone() for name, tensor in best.full_state().items()}
        logits += 1
        with torch.no_grad():
            for parameter in best.run.network.module.parameters():
                if parameter.requires_grad:
                    parameter.add_(1)
        assert all(torch.equal(tensor, kept[name]) for name, tensor in best.full_state().items())
        assert best.logits is not None
        assert not best.logits.any()

    def test_the_saved_network_gives_the_saved_logits(self, tmp_path: Path) -> None:
        best = self.best(tmp_path, extraction())
        epochs = epochs_of(fitted(best.run, best.offer))
        saved = best.save()
        assert [file.kind for file in saved] == ["best", "predictions"]
        assert best.save() == [], "saved once"

        network = build("mobilenet_v3_small", 2, "head", None, 99)
        network.module.load_state_dict(load_file(tmp_path / saved[0].path))
        network.module.eval()
        inputs, labels = whole(best.run.images, best.run.images.prepared.val)
        predictions = load_file(tmp_path / saved[1].path)
        with torch.no_grad():
            torch.testing.assert_close(network.module(inputs), predictions["logits"])
        assert torch.equal(predictions["labels"], labels)
        accuracy = (predictions["logits"].argmax(1) == labels).float().mean().item()
        assert accuracy == pytest.approx(max(epoch.val.accuracy for epoch in epochs))
        with safe_open(tmp_path / saved[0].path, "pt") as file:
            described = file.metadata()
        assert msgspec.json.decode(described["strategy"], type=Strategy) == best.run.strategy
        assert msgspec.json.decode(described["classes"]) == list(CLASSES)
        with safe_open(tmp_path / saved[1].path, "pt") as file:
            paths, groups = (msgspec.json.decode(file.metadata()[name]) for name in ("paths", "groups"))
        samples = best.run.images.prepared.val.samples
        assert (paths, groups) == ([sample.path for sample in samples], [sample.group for sample in samples])


def test_augmentation_of_the_presets() -> None:
    assert presets()["mobilenetv3-extract"].augmentation.is_none, "features are computed once"
    assert not presets()["resnet18-finetune"].augmentation.is_none
    assert Augmentation().is_none
