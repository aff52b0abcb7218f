"""Running out of memory, on a card that refuses what is too much for it and knows what was not given back."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from engine.logs import events as ev
from engine.models.backbones import Network
from engine.running.failures import failure
from engine.specs.strategy import Strategy
from engine.training.batches import MicroBatches
from engine.training.feature_store import FeatureStore
from engine.training.features import extracted
from engine.training.fit import fit
from engine.training.memory import DoesNotFitError, shortage
from engine.training.run import Run, Training, at_the_start
from engine.training.step import gradients
from engine.training.warm_up import warm_up
from tests.engine.training.card import Card
from tests.engine.training.runs import extraction, fine_tuning, make_run, never_best
from tests.engine.work import result

STRATEGY = fine_tuning(epochs=1)
Outcome = tuple[list[ev.Metrics], dict[str, Tensor]]


def network(*, norm: bool = False, dropout: float = 0.0) -> Network:
    """A network whose memory is almost all what it computes, not its weights."""
    torch.manual_seed(0)
    head = nn.Linear(16, 2)
    layers = [nn.Conv2d(3, 16, 3), *([nn.BatchNorm2d(16)] if norm else []), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()]
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), head)
    return Network(
        module, head, str(len(module) - 1), dropout, frozenset(name for name, _ in module.named_modules()), {}
    )


def run_of(network: Network, strategy: Strategy = STRATEGY, train: int = 13, val: int = 6) -> Run:
    """By default 13 images, in batches of 8 and 5."""
    run = make_run(extraction(), train=train, val=val)  # for its images
    return replace(run, strategy=strategy, network=network, model=network.module, features=None)


def frozen_run(network: Network) -> Run:
    """A run of the head alone, on features of 33 images."""
    run = run_of(network, extraction(epochs=2), train=23, val=10)
    for parameter in network.module.parameters():
        parameter.requires_grad_(False)
    for parameter in network.head.parameters():
        parameter.requires_grad_(True)
    store = FeatureStore(ThreadPoolExecutor(1))
    return replace(run, features=partial(extracted, store, run.images, run.strategy, network, "fp32"))


def outcome(run: Run, epochs: list[ev.EpochFinished]) -> Outcome:
    state = {name: value.detach().clone() for name, value in run.network.module.state_dict().items()}
    return [metrics for epoch in epochs for metrics in (epoch.train, epoch.val)], state


def trained(run: Run, training: Training) -> tuple[Outcome, list[str]]:
    """The run to its end; its outcome and its warnings."""
    events = list(fit(run, training, never_best))
    epochs = [event for event in events if isinstance(event, ev.EpochFinished)]
    return outcome(run, epochs), [event.message for event in events if isinstance(event, ev.Warned)]


class Ran(NamedTuple):
    """What came of a run on a card."""

    outcome: Outcome
    warnings: list[str]
    peak: int
    training: Training


def on_card(run: Run, capacity: float = float("inf"), most: int | None = None) -> Ran:
    """The run on a card of this capacity, in micro-batches of so many images from the first."""
    training = at_the_start(run)
    training.micro_batches = replace(training.micro_batches, most=most)
    with Card(capacity) as card:
        found, warnings = trained(run, training)
    return Ran(found, warnings, card.peak, training)


def same(one: Outcome, other: Outcome) -> bool:
    """Bit for bit."""
    return one[0] == other[0] and all(torch.equal(value, other[1][name]) for name, value in one[1].items())


@pytest.mark.parametrize("least", [1, 2])
def test_a_batch_is_cut_evenly_and_halving_ends(least: int) -> None:
    for batch in range(1, 40):
        for most in (None, *range(least, 42)):
            sizes = MicroBatches(most, least).sizes(batch)
            assert sum(sizes) == batch
            assert min(sizes) >= min(least, batch), "batch norm never trains on a single image"
            assert max(sizes) - min(sizes) <= 1
            assert most is None or max(sizes) <= most + (least > 1 and most == 2)
        tried, cut = [], MicroBatches(None, least)
        while cut is not None:
            tried.append(max(cut.sizes(batch)))
            cut = cut.halved(batch)
        assert tried[0] == batch
        assert tried == sorted(set(tried), reverse=True)
        assert tried[-1] <= (1 if least == 1 else 3)


@pytest.mark.parametrize("scaler", [None, 2.0**10], ids=["plain", "scaled"])
@pytest.mark.parametrize("sizes", [[4, 4], [3, 3, 2], [1] * 8], ids=str)
def test_the_gradients_of_parts_add_up_to_those_of_the_batch(sizes: list[int], scaler: float | None) -> None:
    inputs = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, 1, 1, 0, 0, 1, 0, 0])

    def after(sizes: list[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of the batch in such parts, and the weights after a step."""
        module = network().module
        sgd = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, fused=True)
        scale = GradScaler("cpu", enabled=scaler is not None, init_scale=scaler or 1.0)
        parts = iter(list(zip(torch.split(inputs, sizes), torch.split(labels, sizes), strict=True)))
        measured = gradients(module, sgd, scale, "fp32", parts, 8)
        assert [len(logits) for logits, _, _ in measured] == sizes
        found = [parameter.grad.clone() / (scaler or 1.0) for parameter in module.parameters()]
        scale.step(sgd)
        scale.update()
        return found, [parameter.detach() for parameter in module.parameters()]

    for one, other in zip(after(sizes), after([8]), strict=True):
        for part, batch in zip(one, other, strict=True):
            torch.testing.assert_close(part, batch, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", [False, True], ids=["without batch norm", "with batch norm"])
def test_memory_that_runs_out_halves_the_micro_batch_and_the_run_goes_on(norm: bool) -> None:
    """As if it had been in such micro-batches from the first: nothing is left of what did not fit."""

    def run() -> Run:
        return run_of(network(norm=norm, dropout=0.5))

    whole, fours, twos = on_card(run()), on_card(run(), most=4), on_card(run(), most=2)
    assert whole.warnings == []
    assert twos.peak < fours.peak < whole.peak
    found = on_card(run(), (fours.peak + twos.peak) / 2)
    assert found.training.micro_batches.most == 2
    assert ["at most 4 images" in text for text in found.warnings] == [True, False]
    assert ["at most 2 images" in text for text in found.warnings] == [False, True]
    assert all("at step 1 of epoch 1" in text and "a batch of 8" in text for text in found.warnings)
    assert all(("batch norm" in text) == norm for text in found.warnings)
    assert same(found.outcome, twos.outcome)
    assert not same(found.outcome, whole.outcome)
    assert [metrics.images for metrics in found.outcome[0]] == [13, 6], "no image is counted twice"
    assert found.peak <= (fours.peak + twos.peak) / 2, "what did not fit was given back"


def test_without_batch_norm_and_dropout_the_result_is_that_of_whole_batches() -> None:
    strategy = fine_tuning(epochs=3, optimizer={"lr": 0.05})
    start = network().module.state_dict()
    whole, fours = (on_card(run_of(network(), strategy), most=most) for most in (None, 4))
    parts = on_card(run_of(network(), strategy), fours.peak)
    assert len(parts.warnings) == 1
    for one, other in zip(parts.outcome[0], whole.outcome[0], strict=True):
        assert (one.accuracy, one.images) == (other.accuracy, other.images)
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
    for name, value in whole.outcome[1].items():
        assert (value - start[name]).abs().max() > 1e-3, "it learnt"
        torch.testing.assert_close(parts.outcome[1][name], value, rtol=1e-4, atol=1e-6)


def test_memory_that_someone_else_takes_in_the_middle_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that fails is done in parts, those before it stay as they were."""
    monkeypatch.setattr("engine.training.fit.PROGRESS_SECONDS", 0)
    monkeypatch.setattr("engine.training.evaluation.PROGRESS_SECONDS", 0)

    def run() -> Run:
        return run_of(network(dropout=0.5), train=24)

    fours, twos = on_card(run(), most=4), on_card(run(), most=2)

    def after_a_step(card: Card) -> tuple[Run, Training, Generator[ev.Event, None, None]]:
        this = run()
        training = at_the_start(this)
        events = fit(this, training, never_best)
        with card:
            assert any(isinstance(event, ev.Progress) and event.step == 1 for event in events)
        return this, training, events

    this, training, events = after_a_step(Card())
    with Card((fours.peak + twos.peak) / 2):
        found = outcome(this, [event for event in events if isinstance(event, ev.EpochFinished)])
    assert training.micro_batches.most == 2
    this, training, events = after_a_step(Card())
    events.close()
    training.micro_batches = MicroBatches(2)
    assert same(found, trained(this, training)[0])


@pytest.mark.parametrize(("norm", "images"), [(False, "1 image"), (True, "2 images")])
def test_a_run_whose_smallest_part_does_not_fit_ends(norm: bool, images: str) -> None:
    with pytest.raises(DoesNotFitError, match=f"^a training step of {images} at once does not fit .* of epoch 1$"):
        on_card(run_of(network(norm=norm)), capacity=30_000)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_an_optimizer_takes_no_memory_in_its_first_step(name: str) -> None:
    """Its groups step one after the other: where memory ended at one, those before it would have moved already."""
    run = run_of(network(), fine_tuning(epochs=1, optimizer={"name": name}))
    training, card, before, taken = at_the_start(run), Card(), [0], []

    def begins(*_: object) -> None:
        before[0] = card.peak = card.used

    training.optimizer.register_step_pre_hook(begins)
    training.optimizer.register_step_post_hook(lambda *_: taken.append(card.peak - before[0]))
    with card:
        trained(run, training)
    assert taken == [0, 0]


def test_a_step_that_could_not_begin_is_done_again_without_what_the_scaler_left() -> None:
    def result(most: int | None, *, refused: bool) -> Outcome:
        run = run_of(network(), fine_tuning(epochs=1, optimizer={"name": "AdamW"}))
        training = at_the_start(run)
        training.scaler = GradScaler("cpu", enabled=True, init_scale=2.0**10)
        training.micro_batches = replace(training.micro_batches, most=most)
        left = [refused]

        def refuse(*_: object) -> None:
            if left and left.pop():
                raise torch.OutOfMemoryError("out of memory")

        training.optimizer.register_step_pre_hook(refuse)
        return trained(run, training)[0]

    assert same(result(None, refused=True), result(4, refused=False))


def test_features_and_validation_are_computed_with_fewer_images_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """33 images: 32 at once are usual. The features are the same but for rounding."""

    def run(capacity: float, at_once: int | None) -> tuple[Ran, Tensor]:
        monkeypatch.setenv("TL_TUI_CACHE", str(tmp_path / f"{capacity}-{at_once}"))
        this = frozen_run(network())
        training = at_the_start(this)
        training.at_once = at_once
        with Card(capacity) as card:
            found, warnings = trained(this, training)
        assert this.features is not None
        features, _ = result(this.features(None))  # found, not computed again
        return Ran(found, warnings, card.peak, training), features.table

    usual, features = run(float("inf"), None)
    eight, _ = run(float("inf"), 8)
    assert eight.peak < usual.peak
    few, same_features = run(eight.peak, None)
    assert few.training.at_once == 8
    assert ["at most 16 images" in text for text in few.warnings] == [True, False]
    assert ["at most 8 images" in text for text in few.warnings] == [False, True]
    assert all("extracting features" in text for text in few.warnings)
    torch.testing.assert_close(same_features, features, rtol=1e-4, atol=1e-5)
    assert features.abs().max() > 0.1
    assert same(few.outcome, eight.outcome)
    for one, other in zip(few.outcome[0], usual.outcome[0], strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)


def test_validation_that_does_not_fit_is_done_anew_with_fewer_images_at_once() -> None:
    def validated(capacity: float, at_once: int | None) -> Ran:
        run = run_of(network(norm=True), train=4, val=40)
        training = at_the_start(run)
        training.at_once = at_once
        epochs, warnings = [], []
        with Card() as card:
            for event in fit(run, training, never_best):
                if isinstance(event, ev.StageChanged) and event.stage == "validating":
                    card.peak, card.capacity = 0, capacity
                epochs += [event] if isinstance(event, ev.EpochFinished) else []
                warnings += [event.message] if isinstance(event, ev.Warned) else []
        return Ran(outcome(run, epochs), warnings, card.peak, training)

    usual, eight = validated(float("inf"), None), validated(float("inf"), 8)
    assert eight.peak < usual.peak
    few = validated(eight.peak, None)
    assert few.training.at_once == 8
    assert ["at most 16 images" in text for text in few.warnings] == [True, False]
    assert all("while validating" in text for text in few.warnings)
    assert same(few.outcome, eight.outcome)
    assert few.outcome[0][1].images == 40
    assert few.outcome[0][1].loss == pytest.approx(usual.outcome[0][1].loss, rel=1e-4)
    with pytest.raises(DoesNotFitError, match="a single image does not fit into memory while validating"):
        validated(100_000, None)


def test_warming_up_leaves_to_the_run_what_does_not_fit() -> None:
    run = run_of(network(norm=True))
    before = {name: value.clone() for name, value in run.network.module.state_dict().items()}
    capacity = sum(value.nbytes for value in before.values()) + 60_000
    with Card(capacity) as card:
        warm_up(run)
    assert card.peak > capacity - 60_000
    with Card() as card:
        warm_up(run)
    assert card.peak > capacity, "it did not fit before"
    assert all(torch.equal(value, before[name]) for name, value in run.network.module.state_dict().items())
    assert all(parameter.grad is None for parameter in run.network.module.parameters())


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "memory"),
        (MemoryError(), "memory"),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
            ),
            "memory",
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), "memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1.00 GB"), "memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "memory"),
        (RuntimeError("FIND was unable to find an engine to execute this computation"), "memory"),
        (RuntimeError("could not create a primitive"), "kernels"),
        (OSError(12, "Cannot allocate memory"), "memory"),
        (OSError(28, "No space left on device"), None),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (8x512 and 1024x2)"), None),
        (ValueError("out of memory"), None),
    ],
    ids=lambda one: str(one)[:30],
)
def test_what_is_told_from_other_errors(error: Exception, short: str | None) -> None:
    assert shortage(error) == short


def test_a_batch_of_one_that_batch_norm_cannot_do_with_is_told() -> None:
    with pytest.raises(ValueError) as raised:
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    assert "larger batch size" in failure("a-0", raised.value).advice
