"""Training, validation and extraction on a CUDA card that is not there: nothing is computed, but every tensor has its
device, so that two of different devices in one operation raise, and so does, here, whatever lets the host wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.amp import GradScaler
from torch.utils._python_dispatch import TorchDispatchMode

from engine.cached_rows import as_digests
from engine.data import pixels
from engine.data.dataset import Sample
from engine.data.pixels import InMemory, fits_on, in_memory
from engine.data.prepared import Prepared, PreparedPart
from engine.devices.memory_probe import MemoryProbe
from engine.devices.meters import Cost
from engine.models import backbones
from engine.models.backbones import Network, Preprocessing, build
from engine.progress import WorkDone
from engine.specs.spec import Arithmetic
from engine.specs.strategy import Strategy
from engine.training import batches, evaluation, feature_store, features, fit
from engine.training.batches import InputImages, MicroBatches, feature_feed, image_feed
from engine.training.evaluation import evaluated
from engine.training.feature_store import Features, FeatureStore, Filling
from engine.training.metrics import Tally
from engine.training.optim import make_optimizer
from engine.training.run import Run, Training
from tests.engine.training.runs import CROP, SIDE, extraction, fine_tuning
from tests.engine.work import result

CARD = torch.device("cuda", 0)
TRAIN, VAL = 21, 10
CONTENTS = as_digests(f"{row:02}" for row in range(TRAIN + VAL))
VIEW = Preprocessing(SIDE, CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="this build of PyTorch knows no CUDA tensors")


class WaitedError(AssertionError):
    """The host waited for the card."""


class NothingComesBack(TorchDispatchMode):
    """Raises where a tensor of the card is copied to the host; a number that is read raises by itself."""

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[object, ...] = (), kwargs: dict[str, object] | None = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        copies = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
        source = args[-1] if func is torch.ops.aten.copy_.default else args[0] if args else None
        devices = [one.device.type for one in (source, out) if isinstance(one, Tensor)]
        if copies and devices == ["cuda", "cpu"]:
            raise WaitedError(str(func))
        return out


@contextmanager
def card() -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True), NothingComesBack():
        yield


def waits(*_: object) -> None:
    raise WaitedError("synchronize")


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What was pinned; progress is never due, and there is no backward pass but its gradients."""
    monkeypatch.setattr(torch.cuda, "synchronize", waits)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    for module in (evaluation, features):
        monkeypatch.setattr(module, "wait_for", waits)
    for module in (fit, evaluation, features):
        monkeypatch.setattr(module, "every", lambda *_: lambda: False)
    monkeypatch.setattr(batches, "seed_device", lambda *_: None)
    # fakes are not for several threads
    monkeypatch.setattr(pixels, "in_order", lambda tasks, **_: (task() for task in tasks))
    found: list[Tensor] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda self, *_: found.append(self) or self)
    return found


def on_card(network: Network) -> Network:
    """The network with fake tensors on the card; to be called within :func:`card`."""

    def moved(tensor: Tensor) -> Tensor:
        there = torch.empty(tensor.shape, dtype=tensor.dtype, device=CARD)
        return there.to(memory_format=torch.channels_last) if tensor.dim() == 4 else there

    for module in network.module.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(moved(parameter), requires_grad=parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = moved(buffer)
    return network


def images(kept: str) -> InputImages:
    rows, labels = torch.arange(TRAIN + VAL), torch.zeros(TRAIN + VAL, dtype=torch.int64)
    samples = tuple(Sample(f"/{row}.png", 0) for row in range(TRAIN + VAL))
    parts = (PreparedPart(rows[part], labels[part], samples[part], ()) for part in (slice(TRAIN), slice(TRAIN, None)))
    shown = torch.zeros(TRAIN + VAL, SIDE, SIDE, 3, dtype=torch.uint8, device=CARD if kept == "card" else "cpu")
    return InputImages(Prepared(InMemory(shown, CARD), *parts, CONTENTS, "k", "k"), VIEW, CARD)


class Ready(NamedTuple):
    run: Run
    training: Training
    steps: list[Tensor]
    precisions: set[torch.dtype]


def built(strategy: Strategy) -> Network:
    """To be called outside of :func:`card`, within which that takes several times as long."""
    return build(strategy.backbone, 2, strategy.trains, None, 0)


def ready(network: Network, strategy: Strategy, kept: str, monkeypatch: pytest.MonkeyPatch) -> Ready:
    """A run before its first step; ``steps``: the losses whose gradients were asked for; ``precisions``: in which
    convolutions compute.
    """
    network, seen = on_card(network), images(kept)
    optimizer = make_optimizer(strategy, network)
    steps: list[Tensor] = []
    precisions: set[torch.dtype] = set()
    for module in network.module.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, out: precisions.add(out.dtype))

    def backward(loss: Tensor) -> None:
        steps.append(loss)
        for parameter in network.module.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.empty_like(parameter)

    monkeypatch.setattr(torch.autograd, "backward", backward)
    monkeypatch.setattr(optimizer, "step", lambda *_: None)
    scaler, tally = GradScaler("cuda", enabled=False), Tally(CARD)
    training = Training(optimizer, scaler, tally, Cost(), micro_batches=MicroBatches(least=2))
    if strategy.on_features:
        table = torch.zeros(strategy.extracted_views, TRAIN + VAL, 1024, device=CARD if kept == "card" else "cpu")
        training.feed = feature_feed(seen, strategy, 0, network, table)
    else:
        training.feed = image_feed(seen, strategy, 0, network.module)
    memory = MemoryProbe(torch.device("cpu"))
    run = Run(
        "it",
        strategy,
        0,
        network,
        network.module,
        seen,
        "fp32" if strategy.on_features else "bf16",
        memory,
        None,
    )
    return Ready(run, training, steps, precisions)


AUGMENTED = {"augmentation": {"crop_area": 0.5, "flip": True, "views": 3}}
STRATEGIES = {  # of which the head alone trains in fp32
    "all layers": fine_tuning(backbone="squeezenet1_1"),
    "all layers, augmented": fine_tuning(backbone="resnet18", **AUGMENTED),
    "features": extraction(),
    "features, views": extraction(**AUGMENTED),
}


@pytest.mark.parametrize("kept", ["card", "memory"])
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_nothing_waits_for_the_card_before_the_last_step(
    strategy: Strategy, kept: str, pinned: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = built(strategy)
    with card():
        run, training, steps, precisions = ready(network, strategy, kept, monkeypatch)
        assert training.feed is not None
        with pytest.raises(DataDependentOutputException):  # the loss, once all is done
            list(fit._train(run, training, training.feed))
    assert training.step == training.feed.train_steps == 3
    assert all(loss.device == CARD and loss.dtype == torch.float32 for loss in steps)
    assert len(steps) == 3
    assert precisions == (set() if strategy.on_features else {torch.bfloat16})
    assert len(pinned) >= 3 if kept == "memory" else not pinned


@pytest.mark.parametrize("kept", ["card", "memory"])
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_nothing_waits_for_the_card_before_all_is_validated(
    strategy: Strategy, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Tensor] = []

    def evaluate(logits: Tensor, labels: Tensor) -> SimpleNamespace:
        asked.extend((logits, labels))
        return SimpleNamespace()

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    network = built(strategy)
    with card():
        run, training, _, precisions = ready(network, strategy, kept, monkeypatch)
        assert training.feed is not None
        assert list(evaluated(run, training.feed, run.images.prepared.val, "validating", 1, None)) == []
    assert [(one.device, len(one)) for one in asked] == [(CARD, VAL)] * 2
    assert precisions == (set() if strategy.on_features else {torch.bfloat16})


@pytest.mark.parametrize("strategy", [extraction(), extraction(**AUGMENTED)], ids=["one view", "views"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_features_are_extracted_on_the_card_and_stay_there(
    strategy: Strategy, precision: Arithmetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "fits_on", lambda *_: True)
    monkeypatch.setattr(features, "fused", lambda network, _: partial(backbones.features, network))
    monkeypatch.setattr(torch, "unique", lambda rows: rows)  # which depends on what is in them
    waited: list[object] = []
    checked: list[int] = []
    monkeypatch.setattr(features, "wait_for", waited.append)
    monkeypatch.setattr(features, "_check", lambda *_: checked.append(len(waited)))
    network = built(strategy)
    with card():
        network = on_card(network)
        store = FeatureStore(ThreadPoolExecutor(1))
        filling = Filling(None, torch.arange(TRAIN + VAL), Cost())
        _, said = result(features._extract(store, images("card"), strategy, network, precision, None, filling))
    table = filling.table
    assert table is not None
    assert (table.device, table.dtype) == (CARD, torch.float32)
    assert table.shape == (strategy.extracted_views, TRAIN + VAL, 1024)
    assert len(waited) == 2, "once kernels are chosen, and once all is done"
    assert checked == [2], "what is there is looked at where it is waited for"
    assert said[-1].done == said[-1].total


def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an empty cache, which fakes cannot ask."""
    rows = torch.arange(TRAIN + VAL)
    monkeypatch.setattr(features, "_recipe", lambda *_: "recipe")
    monkeypatch.setattr(features, "_readable", lambda _: rows)
    monkeypatch.setattr(Tensor, "numpy", lambda self: np.arange(len(self)))
    monkeypatch.setattr(features, "from_cache", lambda *_: Filling(None, rows, Cost()))


def test_features_leave_the_card_to_a_run_that_needs_none_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "fits_on", lambda *_: True)
    nothing_kept(monkeypatch)
    monkeypatch.setattr(features, "entry_name", lambda *_: "key")
    strategy = extraction()
    with FakeTensorMode(allow_non_fake_inputs=True):
        store = FeatureStore(ThreadPoolExecutor(1))
        store.held["key"] = Features(torch.empty(1, TRAIN + VAL, 1024, device=CARD), Cost(), 0.0)
        store.leave_device()
        assert store.held["key"].table.device.type == "cpu"
        work = features.extracted(store, images("card"), strategy, None, "fp32")  # type: ignore[arg-type]
        found, _ = result(work)
        assert found.table.device == CARD
        monkeypatch.setattr(feature_store, "free_memory", lambda: 0)
        store.leave_device()
    assert not store.held, "where memory has no room either, they are found in the cache or extracted again"


@pytest.mark.parametrize(("free", "kept"), [(10**9, 1), (10**4, 0)])
def test_features_are_copied_to_the_cache_only_where_memory_has_room(
    free: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*arguments: Any) -> Iterator[WorkDone]:
        yield WorkDone("features")
        arguments[-1].table, arguments[-1].left = torch.empty(1, TRAIN + VAL, 1024, device=CARD), nobody

    copied: list[torch.device] = []
    nobody = torch.empty(0, dtype=torch.int64)
    nothing_kept(monkeypatch)
    monkeypatch.setattr(features, "_extract", found)
    monkeypatch.setattr(feature_store, "free_memory", lambda: free)
    monkeypatch.setattr(Tensor, "cpu", lambda self: copied.append(self.device) or SimpleNamespace(numpy=list))
    submitted = SimpleNamespace(submit=lambda *_: None)
    with FakeTensorMode(allow_non_fake_inputs=True):
        store = FeatureStore(submitted)  # type: ignore[arg-type]
        result(features.extracted(store, images("card"), extraction(), None, "fp32"))  # type: ignore[arg-type]
    assert copied == [CARD] * kept


def test_images_stay_on_the_card_up_to_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 9999))
    assert fits_on(CARD, 500)
    assert not fits_on(CARD, 501)
    assert fits_on(CARD, 400, 200), "of which 200 are there already: half of 1200 for all"
    assert not fits_on(CARD, 401, 200)
    there: list[torch.device] = []
    monkeypatch.setattr(Tensor, "to", lambda self, device: there.append(device) or self)
    array = torch.zeros(1, 8, 8, 3, dtype=torch.uint8).numpy()
    in_memory(array, CARD)
    assert there == [CARD]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (300, 9999))
    in_memory(array, CARD)
    assert there == [CARD]
