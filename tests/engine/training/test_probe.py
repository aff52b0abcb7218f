"""The probe against scikit-learn, and what decides its regularisation."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from engine.data.dataset import Sample
from engine.data.prepared import PreparedPart
from engine.logs.events import Event, ProbeSolved, Warned
from engine.models.backbones import ConvHead
from engine.specs.presets import on_rung
from engine.specs.strategy import LBFGS, SGD, changed_strategy
from engine.training import fit, head_start
from engine.training import probe as module
from engine.training.batches import Batch, Feed, feature_feed
from engine.training.memory import TooLargeError
from engine.training.probe import Probe, divided, probe
from engine.training.run import Run, at_the_start
from tests.engine.training.runs import epochs_of, fitted, make_run, never_best, whole
from tests.engine.work import result

CLASSES = 3


def problem(images: int, size: int) -> tuple[Tensor, Tensor]:
    """Features that are neither centred nor scaled, of classes that overlap."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(images) % CLASSES
    centres = torch.randn(CLASSES, size, generator=random)
    noise = torch.randn(images, size, generator=random) * torch.linspace(0.5, 4, size)
    return 7 + 3 * (centres[labels] + noise), labels


def solved(features: Tensor, labels: Tensor, parts: Tensor | None, settings: LBFGS) -> Probe:
    return result(probe(features, labels, CLASSES, parts, settings))[0]


def test_what_memory_has_no_room_for_is_told_before_the_system_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, labels = problem(90, 20)
    parts = torch.arange(90) % 5
    monkeypatch.setattr(module, "free_memory", lambda: 6 * 5 * 90 * CLASSES * 8 + 90 * 20 * 8)
    solved(features, labels, parts, LBFGS())
    monkeypatch.setattr(module, "free_memory", lambda: 6 * 5 * 90 * CLASSES * 8)
    with pytest.raises(TooLargeError, match=r"90 images and 3 classes needs 0\.0 GiB .* train it in steps"):
        solved(features, labels, parts, LBFGS())
    solved(features, labels, parts, LBFGS(l2=(1.0,)))  # which is not cross-validated


@pytest.mark.parametrize("l2", [1.0, 0.03, 0.001])
@pytest.mark.parametrize(("images", "size"), [(90, 20), (30, 50)], ids=["more images", "more features"])
def test_it_is_the_logistic_regression_of_scikit_learn(images: int, size: int, l2: float) -> None:
    features, labels = problem(images, size)
    found = solved(features, labels, None, LBFGS(l2=(l2,)))
    centred = features.double() - features.double().mean(0)
    scale = centred.square().mean().sqrt()
    other = LogisticRegression(C=1 / (images * l2), tol=1e-10, max_iter=100_000)
    other.fit((centred / scale).numpy(), labels.numpy())
    wanted = torch.from_numpy(other.decision_function((centred / scale).numpy()))
    logits = features.double() @ found.head.weight.T + found.head.bias
    centred_logits = logits - logits.mean(1, keepdim=True)  # the same for all classes says nothing
    torch.testing.assert_close(centred_logits, wanted - wanted.mean(1, keepdim=True), rtol=1e-3, atol=1e-3)


def test_the_regularisation_of_least_cross_validated_loss_is_taken() -> None:
    features, labels = problem(90, 30)
    parts = torch.arange(90) // 3 % 5
    strengths = (10.0, 1.0, 0.1, 0.01, 0.001)
    found = solved(features, labels, parts, LBFGS(l2=strengths))
    centred = (features.double() - features.double().mean(0)).numpy()
    scale = np.sqrt(np.square(centred).mean())
    losses = {}
    for l2 in strengths:
        total = 0.0
        for part in range(5):
            seen, held_out = (parts != part).numpy(), (parts == part).numpy()
            other = LogisticRegression(C=1 / (seen.sum() * l2), tol=1e-8, max_iter=100_000)
            other.fit(centred[seen] / scale, labels.numpy()[seen])
            probabilities = other.predict_proba(centred[held_out] / scale)
            total -= np.log(probabilities[np.arange(held_out.sum()), labels.numpy()[held_out]]).sum()
        losses[l2] = total / 90
    assert found.l2 == min(losses, key=lambda l2: losses[l2])
    assert found.l2 not in (strengths[0], strengths[-1]), "else nothing was weighed"
    assert found.loss == pytest.approx(losses[found.l2], rel=5e-3)


def test_it_is_the_same_every_time_and_tells_nothing_of_the_process() -> None:
    features, labels = problem(60, 40)
    parts = torch.arange(60) // 3 % 4
    first = solved(features, labels, parts, LBFGS())
    torch.rand(5)
    again = solved(features, labels, parts, LBFGS())
    assert torch.equal(first.head.weight, again.head.weight)
    assert first.l2 == again.l2


def test_squeezenets_head_is_the_probe_of_the_mean_features_whatever_its_relu_cuts() -> None:
    random = torch.Generator().manual_seed(1)
    features, labels = problem(90, 20)
    maps = features[:, :, None, None] + 9 * torch.randn(90, 20, 3, 3, generator=random)
    settings, parts = LBFGS(l2=(1.0, 0.1)), torch.arange(90) // 3 % 5
    found = solved(maps, labels, parts, settings)
    wanted = solved(maps.double().mean((2, 3)), labels, parts, settings)
    head = ConvHead(20, CLASSES, 1).double()
    with torch.no_grad():
        head.weight.copy_(found.head.weight[..., None, None])
        head.bias.copy_(found.head.bias)
        said = head(maps.double()).softmax(1)
    logits = maps.double().mean((2, 3)) @ wanted.head.weight.T + wanted.head.bias
    torch.testing.assert_close(said, logits.softmax(1))
    assert found[1:] == pytest.approx(wanted[1:])
    assert found.head.bias.gt(wanted.head.bias).all(), "else nothing was below nought"


def test_of_a_convolution_memory_is_asked_for_its_mean_features_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = problem(90, 20)
    monkeypatch.setattr(module, "free_memory", lambda: 6 * 90 * CLASSES * 8 + 90 * 20 * 8)
    solved(features[:, :, None, None].expand(-1, -1, 13, 13), labels, None, LBFGS(l2=(1.0,)))


def test_groups_stay_whole_and_small_classes_mean_fewer_parts() -> None:
    samples = [Sample(f"/{number}.png", number % 2, f"p{number // 4}") for number in range(40)]
    parts = divided(samples, 5, 0)
    assert parts is not None
    assert set(parts.tolist()) == set(range(5))
    for group in range(10):
        assert len(set(parts[4 * group : 4 * group + 4].tolist())) == 1
    few = [Sample("/a", 0), Sample("/b", 0), Sample("/c", 1), Sample("/d", 1)]
    parts = divided(few, 5, 0)
    assert parts is not None
    assert int(parts.max()) == 1
    assert divided([Sample("/a", 0), Sample("/b", 0), Sample("/c", 1)], 5, 0) is None


def test_a_run_ends_with_the_probe_as_its_head_after_one_epoch() -> None:
    run = make_run(on_rung("mobilenet_v3_small", "probe"))
    (epoch,) = epochs_of(fitted(run, never_best))
    run.network.module.eval()
    for part, metrics in ((run.images.prepared.train, epoch.train), (run.images.prepared.val, epoch.val)):
        inputs, labels = whole(run.images, part)
        with torch.no_grad():
            logits = run.network.module(inputs)
        assert metrics.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-3)
        assert metrics.images == len(labels)


def test_no_head_of_a_run_has_less_regularised_loss() -> None:
    """Gradient descent from the probe, on what it minimised, has nowhere to go."""
    run = make_run(changed_strategy(on_rung("mobilenet_v3_small", "probe"), optimizer={"l2": [0.1]}))
    list(fitted(run, never_best))
    features = result(run.features(None))[0].table[0, run.images.prepared.train.rows].double()
    labels = run.images.prepared.train.labels
    scale = (features - features.mean(0)).square().mean().sqrt()
    weight, bias = (run.network.head.get_parameter(name).detach().double() for name in ("weight", "bias"))
    weight.requires_grad_(True)
    bias.requires_grad_(True)
    loss = functional.cross_entropy(features @ weight.T + bias, labels) + 0.05 * (weight * scale).square().sum()
    torch.autograd.backward(loss)
    assert weight.grad is not None
    assert bias.grad is not None
    assert float(weight.grad.abs().max() / scale) < 1e-4
    assert float(bias.grad.abs().max()) < 1e-4


def test_augmented_views_of_a_probe_count_as_images() -> None:
    run = make_run(changed_strategy(on_rung("mobilenet_v3_small", "probe"), augmentation={"flip": True, "views": 3}))
    assert len(epochs_of(fitted(run, never_best))) == 1


def test_fine_tuning_from_a_probe_begins_with_its_head() -> None:
    probed = make_run(on_rung("mobilenet_v3_small", "probe"))
    list(fitted(probed, never_best))
    tuned = make_run(changed_strategy(on_rung("mobilenet_v3_small", "lpft"), epochs=1, batch_size=8))
    assert isinstance(tuned.strategy.optimizer, SGD)
    events = iter(fitted(tuned, never_best))
    next(event for event in events if getattr(event, "stage", "") == "training")
    for name in ("weight", "bias"):
        assert torch.equal(tuned.network.head.get_parameter(name), probed.network.head.get_parameter(name))
    next(event for event in events if getattr(event, "stage", "") == "validating")
    assert tuned.network.module.training, "after features, which are extracted in eval mode"
    assert at_the_start(tuned).micro_batches.least == 2


def test_what_a_card_has_no_room_for_is_solved_for_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(on_rung("mobilenet_v3_small", "probe"))
    here = result(run.features(None))[0].table
    there = SimpleNamespace(device=torch.device("cuda"), cpu=lambda: here)
    put = head_start._put_probe

    def short(run: Run, features: Tensor) -> Generator[Event, None, ProbeSolved]:
        if features is there:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (yield from put(run, features))

    monkeypatch.setattr(head_start, "_put_probe", short)
    solved, told = result(head_start.put_probe(run, there))
    assert [event.message for event in told if isinstance(event, Warned)] == [
        "out of memory: fitting the last layer on the CPU instead"
    ]
    assert isinstance(solved, ProbeSolved)
    monkeypatch.setattr(head_start, "shortage", lambda _: None)
    with pytest.raises(torch.OutOfMemoryError):
        list(head_start.put_probe(run, there))


def test_the_training_images_of_a_probe_are_measured_in_parts_where_all_do_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (whole_at_once,) = epochs_of(fitted(make_run(on_rung("mobilenet_v3_small", "probe")), never_best))
    run, asked = make_run(on_rung("mobilenet_v3_small", "probe")), []

    def small(*given: Any) -> Feed:
        feed = feature_feed(*given)

        def still(part: PreparedPart, at_once: int | None) -> Iterator[Batch]:
            asked.append(at_once)
            if part is run.images.prepared.train and (at_once is None or at_once > 4):
                yield next(feed.still(part, 1))
                raise torch.OutOfMemoryError("CUDA out of memory")
            yield from feed.still(part, at_once)

        return replace(feed, still=still)

    monkeypatch.setattr(fit, "feature_feed", small)
    (in_parts,) = epochs_of(fitted(run, never_best))
    assert asked[0] is None and 0 < (asked[-1] or 0) <= 4
    assert in_parts.train.images == whole_at_once.train.images
    assert in_parts.train.loss == pytest.approx(whole_at_once.train.loss, rel=1e-5)
