"""Classes that count alike however many images they have: what is minimised, and what is told."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional

from engine.devices.precision import gradient_scaler
from engine.specs.presets import on_rung
from engine.specs.strategy import LBFGS, Strategy, changed_strategy
from engine.training.class_weights import class_weights
from engine.training.probe import probe
from engine.training.run import Run, at_the_start
from engine.training.step import gradients
from tests.engine.training.runs import (
    CLASSES,
    CPU,
    epochs_of,
    extraction,
    fine_tuning,
    fitted,
    make_run,
    never_best,
    parameters,
    whole,
)
from tests.engine.work import result

BALANCED = changed_strategy(on_rung("resnet18", "finetune"), class_weights="balanced")


def uneven(strategy: Strategy) -> Run:
    """Three of the images of class 0 are called class 1, so that it has more than the other."""
    run = make_run(strategy)
    train = run.images.prepared.train
    labels = train.labels.clone()
    labels[labels.eq(0).nonzero().flatten()[:8]] = 1
    prepared = replace(run.images.prepared, train=replace(train, labels=labels))
    return replace(run, images=replace(run.images, prepared=prepared))


def test_they_are_those_of_scikit_learn_and_a_class_without_an_image_weighs_nothing() -> None:
    labels = torch.tensor([0] * 9 + [1] + [3] * 4)
    found = class_weights(BALANCED, labels, 5)
    assert found is not None
    wanted = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels.numpy())
    np.testing.assert_allclose(found[[0, 1, 3]], wanted)
    assert found[[2, 4]].tolist() == [0, 0]
    assert class_weights(on_rung("resnet18", "finetune"), labels, 5) is None


def test_a_batch_in_parts_has_the_gradient_of_the_whole() -> None:
    """Whatever classes come together in a part, and that is the gradient of the weighted mean."""
    inputs, labels = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0] * 7 + [1])
    weights = torch.tensor([0.5, 4.5])

    def gradient_of(*sizes: int) -> Tensor:
        model = nn.Linear(4, 2, bias=False)
        nn.init.ones_(model.weight)
        optimizer = torch.optim.SGD(model.parameters())
        parts = zip(inputs.split(list(sizes)), labels.split(list(sizes)), strict=True)
        measured = gradients(model, optimizer, gradient_scaler(CPU, "fp32"), "fp32", iter(parts), 8, weights)
        for logits, targets, loss in measured:
            torch.testing.assert_close(loss, functional.cross_entropy(logits, targets))
        assert model.weight.grad is not None
        return model.weight.grad

    one = gradient_of(8)
    torch.testing.assert_close(gradient_of(5, 3), one)
    weight = torch.ones(2, 4, requires_grad=True)
    losses = functional.cross_entropy(inputs @ weight.T, labels, reduction="none")
    torch.autograd.backward((losses * weights[labels]).mean())
    torch.testing.assert_close(one, weight.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strategy", [fine_tuning(epochs=1), extraction(), on_rung("mobilenet_v3_small", "probe")])
def test_they_change_what_is_learnt_and_not_how_losses_are_told(strategy: Strategy) -> None:
    plain, weighted = uneven(strategy), uneven(changed_strategy(strategy, class_weights="balanced"))
    list(fitted(plain, never_best))
    epoch = epochs_of(fitted(weighted, never_best))[-1]
    assert any(not torch.equal(one, parameters(plain)[name]) for name, one in parameters(weighted).items())
    weighted.network.module.eval()
    prepared = weighted.images.prepared
    for part, metrics in ((prepared.val, epoch.val), (prepared.train, epoch.train)):
        if part is prepared.val or strategy.is_probe:
            inputs, labels = whole(weighted.images, part)
            with torch.no_grad():
                loss = functional.cross_entropy(weighted.network.module(inputs), labels)
            assert metrics.loss == pytest.approx(loss.item(), rel=1e-3)


def test_rare_images_push_as_much_as_common_ones() -> None:
    training = at_the_start(uneven(changed_strategy(fine_tuning(), class_weights="balanced")))
    assert training.class_weights is not None
    labels = uneven(fine_tuning()).images.prepared.train.labels
    pushed = torch.bincount(labels, minlength=len(CLASSES)) * training.class_weights
    torch.testing.assert_close(pushed, torch.full((2,), len(labels) / 2))
    assert at_the_start(make_run(fine_tuning())).class_weights is None


def test_a_probe_is_the_balanced_logistic_regression_of_scikit_learn() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 80 + [1] * 10)
    features = torch.randn(90, 5, generator=random) + labels[:, None]
    weights = class_weights(BALANCED, labels, 2)
    assert weights is not None
    found = result(probe(features, labels, 2, None, LBFGS(l2=(0.1,)), weights[labels]))[0]
    rows = features.double() - features.double().mean(0)
    rows /= rows.square().mean().sqrt()
    other = LogisticRegression(C=1 / (90 * 0.1 / 2), class_weight="balanced", tol=1e-10, max_iter=100_000)
    other.fit(rows.numpy(), labels.numpy())
    logits = features.double() @ found.head.weight.T + found.head.bias
    wanted = torch.from_numpy(other.decision_function(rows.numpy()))
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], wanted, rtol=1e-3, atol=1e-3)


def test_its_regularisation_is_chosen_by_the_weighted_loss() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 80 + [1] * 10)
    features, parts = torch.randn(90, 5, generator=random) + labels[:, None], torch.arange(90) % 5
    settings = LBFGS(l2=(0.1, 0.1))
    plain, doubled, balanced = (
        result(probe(features, labels, 2, parts, settings, weights))[0].loss
        for weights in (None, torch.full((90,), 2.0).double(), class_weights(BALANCED, labels, 2)[labels])
    )
    assert plain == pytest.approx(doubled), "only how they differ counts"
    assert plain is not None and balanced is not None and balanced > 1.5 * plain


def test_what_was_saved_before_there_were_any_is_without_them() -> None:
    before = msgspec.to_builtins(on_rung("resnet18", "finetune"))
    del before["class_weights"]
    assert msgspec.convert(before, Strategy) == on_rung("resnet18", "finetune")
