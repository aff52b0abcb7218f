"""Features of a frozen backbone: computed once for what gives the same, and never for what does not."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, repeat

import pytest
import torch
from torch import Tensor, nn

from engine import cache
from engine.cached_rows import as_digests
from engine.data.dataset import Sample
from engine.data.pixels import InMemory
from engine.data.prepared import Prepared, PreparedPart
from engine.devices import device
from engine.devices.meters import Cost
from engine.logs.events import Device
from engine.models.backbones import Network, Preprocessing, build, features
from engine.models.fused import fused
from engine.progress import WorkDone
from engine.running.failures import failure
from engine.specs.presets import presets
from engine.specs.spec import Arithmetic
from engine.specs.strategy import Strategy, changed_strategy
from engine.training import batches, feature_store
from engine.training import features as module
from engine.training.batches import InputImages, feature_feed
from engine.training.feature_store import FeatureStore
from engine.training.features import NotFiniteError, extracted
from engine.training.memory import TooLargeError
from tests.engine.work import result

CPU, SIDE, CROP = torch.device("cpu"), 40, 32
VIEW = Preprocessing(SIDE, CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TRAIN, VAL = 7, 4


def images(key: str = "noise") -> InputImages:
    """Noise; row 3 is no one's, as that of a file that cannot be read."""
    pixels = torch.randint(0, 256, (12, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    rows = torch.tensor([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
    parts = []
    for part in (rows[:TRAIN], rows[TRAIN:]):
        samples = tuple(Sample(f"/{row}.png", int(row) % 2) for row in part)
        parts.append(PreparedPart(part, part % 2, samples, ()))
    contents = as_digests(f"{key} {row:02}" for row in range(len(pixels)))
    return InputImages(Prepared(InMemory(pixels, CPU), *parts, contents, "noise", key), VIEW, CPU)


@functools.cache
def network(seed: int = 0) -> Network:
    """Random weights whose batch norms have seen noise, which is what there is to fuse.

    Nobody writes into it; ``network.__wrapped__`` makes another one.
    """
    made = build("mobilenet_v3_small", 2, "head", None, seed)
    made.module.train()
    norms = [one for one in made.module.modules() if isinstance(one, nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = None
    with torch.no_grad():
        made.module(torch.randn(8, 3, CROP, CROP, generator=torch.Generator().manual_seed(1)))
    for norm in norms:
        norm.eval()
    return made


known: dict[tuple[nn.Module, int], Callable[[Tensor], Tensor]] = {}


@pytest.fixture(autouse=True)
def fused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same network is fused once for all tests; those of fusing call :func:`fused` themselves."""

    def once(net: Network, size: int) -> Callable[[Tensor], Tensor]:
        if (net.module, size) not in known:
            known[net.module, size] = fused(net, size)
        return known[net.module, size]

    monkeypatch.setattr(module, "fused", once)


def strategy(**augmentation: object) -> Strategy:
    return changed_strategy(presets()["mobilenetv3-extract"], augmentation=augmentation)


def table(
    one: Strategy,
    seen: InputImages | None = None,
    net: Network | None = None,
    store: FeatureStore | None = None,
    precision: Arithmetic = "fp32",
) -> tuple[Tensor, list[WorkDone]]:
    with ThreadPoolExecutor(1) as later:
        kept = replace(store, later=later) if store else FeatureStore(later)
        found, said = result(extracted(kept, seen or images(), one, net or network(), precision))
    return found.table, said


def test_every_image_once_as_validation_sees_it() -> None:
    net, seen = network(), images()
    found, said = table(strategy(), seen, net)
    rows = torch.cat((seen.prepared.train.rows, seen.prepared.val.rows))
    wanted = torch.cat([features(net, inputs) for inputs in seen.central(rows)])
    assert found.shape == (1, 12, 1024)
    torch.testing.assert_close(found[0, rows], wanted, rtol=1e-3, atol=2e-3)
    assert not found[0, 3].any()
    assert (said[-1].done, said[-1].total) == (11, 11)


def test_random_views_of_training_images_each_of_them_once() -> None:
    found, said = table(strategy(crop_area=0.5, flip=True, views=3))
    assert found.shape == (4, 12, 1024)
    assert (said[-1].done, said[-1].total) == (11 + 3 * TRAIN, 11 + 3 * TRAIN)
    training, validation = images().prepared.train.rows, images().prepared.val.rows
    distinct = {tuple(view[row, :8].tolist()) for view in found for row in training.tolist()}
    assert len(distinct) == 4 * TRAIN
    assert not found[1:, validation].any()
    torch.testing.assert_close(found[0], table(strategy())[0][0])


def test_flips_alone_are_the_flipped_image_or_the_image() -> None:
    net, seen = network(), images()
    found, _ = table(strategy(flip=True, views=6), seen, net)
    rows = seen.prepared.train.rows
    (inputs,) = seen.central(rows)
    straight, mirrored = features(net, inputs), features(net, inputs.flip(-1))
    for view in found[1:, rows]:
        for row in range(TRAIN):
            same = [torch.allclose(view[row], one[row], rtol=1e-2, atol=1e-3) for one in (straight, mirrored)]
            assert any(same)
    assert not torch.allclose(straight, mirrored, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("augmentation", [{}, {"flip": True, "views": 1}, {"crop_area": 1.0, "views": 9}])
def test_one_view_is_no_augmentation(augmentation: dict[str, object]) -> None:
    assert len(table(strategy(**augmentation))[0]) == 1


def test_an_epoch_draws_one_view_of_every_image_by_seed_and_epoch() -> None:
    one = strategy(crop_area=0.5, views=5)
    net = network()._replace(dropout=0.0)
    seen = images()
    marked = torch.arange(6.0)[:, None, None].expand(6, 12, 1024) + torch.arange(12.0)[None, :, None] / 100
    feed = feature_feed(seen, one, 3, net, marked)
    epochs = [torch.cat([inputs[:, 0] for inputs, _ in feed.train(epoch, 0)]) for epoch in (1, 2, 1)]
    for drawn in epochs:
        assert {round(100 * (value % 1)) for value in drawn.tolist()} == set(seen.prepared.train.rows.tolist())
        assert drawn.min() >= 1, "never the central one"
        assert drawn.max() < 6
        assert len({int(value) for value in drawn.tolist()}) > 1, "for each image, not for all of them"
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.equal(epochs[0].sort()[0], epochs[1].sort()[0])
    (val, _) = next(feed.still(seen.prepared.val, None))
    assert (val[:, 0] < 1).all(), "the central one"


def test_seeds_and_later_experiments_extract_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore(ThreadPoolExecutor(1))
    first, said = table(strategy(), store=store)
    assert said
    monkeypatch.setattr(module, "fused", None)
    head_of_another_seed = network.__wrapped__()
    nn.init.ones_(head_of_another_seed.head.weight)
    again, said = table(strategy(), net=head_of_another_seed, store=store)
    assert (said, again is first) == ([], True)
    again, said = table(strategy())
    assert said == [], "from the disk"
    assert torch.equal(again, first)


@pytest.mark.parametrize(("before", "after", "joules"), [(None, None, None), (5, 16, 11)], ids=["no meter", "metered"])
def test_what_extracting_them_took_is_known_wherever_they_are_found(
    before: float | None, after: float | None, joules: float | None
) -> None:
    readings = [Cost(1, 2, before), Cost(8, 5, after)]
    with ThreadPoolExecutor(1) as later:
        store = FeatureStore(later, chain(readings[:1], repeat(readings[1])).__next__)
        found = [result(extracted(store, images(), strategy(), network(), "fp32"))[0] for _ in range(2)]
    other = FeatureStore(ThreadPoolExecutor(1))
    found.append(result(extracted(other, images(), strategy(), network(), "fp32"))[0])
    assert [(one.cost, one.elsewhere) for one in found] == [(Cost(7, 3, joules), before) for before in (0, 7, 7)]


@pytest.mark.parametrize("where", ["extracting", "from the cache"])
def test_features_that_do_not_fit_are_told_before_they_fill_the_memory(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "from the cache":
        table(strategy(flip=True, views=2))
    monkeypatch.setattr(feature_store, "free_memory", lambda: 2**17)
    with pytest.raises(TooLargeError, match=r"features of 12 images in 3 views, 1,024 numbers each, are 0\.0 GiB"):
        table(strategy(flip=True, views=2))


@pytest.mark.parametrize(("precision", "advice"), [("fp16", "precision fp32 can hold"), ("fp32", "are they damaged")])
def test_features_that_overflow_are_told_and_not_kept(
    precision: Arithmetic, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network.__wrapped__()
    next(iter(net.module.parameters())).data.fill_(torch.inf)
    monkeypatch.setattr(module, "autocast", lambda *_: nullcontext())
    store = FeatureStore(ThreadPoolExecutor(1))
    with pytest.raises(NotFiniteError, match=f"not finite in {precision}; {advice}") as raised:
        table(strategy(), net=net, store=store, precision=precision)
    assert not store.held and not list(cache.entries())
    assert failure("a-0", raised.value).message == str(raised.value)


@pytest.mark.parametrize("where", ["extracting", "from the cache"])
def test_features_of_earlier_runs_make_room(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "from the cache":
        table(strategy())
    store = FeatureStore(ThreadPoolExecutor(1))
    first, _ = table(strategy(), images("others"), store=store)
    monkeypatch.setattr(feature_store, "free_memory", lambda: first.nbytes if not store.held else first.nbytes - 1)
    second, _ = table(strategy(), store=store)
    assert [one.table is second for one in store.held.values()] == [True]


def test_features_that_do_not_fit_on_the_device_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    there, _ = table(strategy())
    kept = feature_feed(images(), changed_strategy(strategy(), batch_size=4), 0, network(), there)
    moved: list[Tensor] = []
    monkeypatch.setattr("engine.training.batches.on_device", lambda batch, _: moved.append(batch) or batch)
    assert sum(len(inputs) for inputs, _ in kept.train(1, 0)) == sum(map(len, moved)) == TRAIN
    monkeypatch.setattr(feature_store, "fits_on", lambda *_: False)
    assert feature_store.place(FeatureStore(ThreadPoolExecutor(1)), (1, 12, 1024), torch.device("meta")).type == "cpu"


def test_views_of_other_training_images_are_extracted_anew() -> None:
    """Another split has the same images, of which others train."""
    one, seen = strategy(flip=True, views=2), images()
    table(one, seen)
    other = replace(seen, prepared=replace(seen.prepared, train=seen.prepared.val, val=seen.prepared.train))
    found, said = table(one, other)
    assert said
    assert found[1:, other.prepared.train.rows].any(-1).all()


def test_an_image_that_could_not_be_read_before_gets_its_features() -> None:
    whole = images()
    train = whole.prepared.train
    without = replace(train, rows=train.rows[1:], labels=train.labels[1:], samples=train.samples[1:])
    missing = int(train.rows[0])
    assert not table(strategy(), replace(whole, prepared=replace(whole.prepared, train=without)))[0][0, missing].any()
    found, said = table(strategy(), whole)
    assert said
    assert found[0, missing].any()


def part_of(seen: InputImages, rows: slice) -> InputImages:
    """The same images without some that train."""
    train = seen.prepared.train
    left = replace(train, rows=train.rows[rows], labels=train.labels[rows], samples=train.samples[rows])
    return replace(seen, prepared=replace(seen.prepared, train=left))


def test_one_image_more_costs_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = images()
    before = FeatureStore(ThreadPoolExecutor(1), chain([Cost()], repeat(Cost(10, 20, 30))).__next__)
    table(strategy(), part_of(whole, slice(2, None)), store=before)
    with ThreadPoolExecutor(1) as later:
        store = FeatureStore(later, chain([Cost()], repeat(Cost(1, 2, 3))).__next__)
        found, said = result(extracted(store, whole, strategy(), network(), "fp32"))
    assert (said[0].total, said[-1].done) == (2, 2)
    assert (found.cost, found.elsewhere) == (Cost(11, 22, 33), 10)
    again, said = table(strategy(), whole)
    assert not said, "an entry of its own"
    assert torch.equal(again, found.table)
    cache.clear()
    assert torch.equal(table(strategy(), whole)[0], found.table), "bit for bit what extracting all of them gives"


def test_what_was_extracted_when_it_is_interrupted_is_found_by_whoever_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = iter(range(100))
    monkeypatch.setattr(module, "every", lambda *_: lambda: next(turns) == 1)
    monkeypatch.setitem(batches.EVALUATION_BATCH, "cpu", 2)
    net = network()
    with ThreadPoolExecutor(1) as later:
        store = FeatureStore(later, chain([Cost()], repeat(Cost(10, 20, 30))).__next__)
        work = extracted(store, images(), strategy(), net, "fp32")
        while next(work).done < 4:
            pass
        work.close()
    assert [entry.description for entry in cache.entries()] == ["mobilenet_v3_small at 32 pixels: 4 images"]
    with ThreadPoolExecutor(1) as later:
        store = FeatureStore(later, chain([Cost()], repeat(Cost(1, 2, 3))).__next__)
        found, said = result(extracted(store, images(), strategy(), net, "fp32"))
    assert (said[0].total, found.cost, found.elsewhere) == (7, Cost(11, 22, 33), 10)
    cache.clear()
    assert torch.equal(table(strategy(), net=net)[0], found.table)


@pytest.mark.parametrize("augmentation", [{}, {"flip": True, "views": 2}], ids=["before the first", "random views"])
def test_nothing_and_half_of_the_random_views_are_not_kept(
    augmentation: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "every", lambda *_: lambda: True)
    with ThreadPoolExecutor(1) as later:
        work = extracted(FeatureStore(later), images(), strategy(**augmentation), network(), "fp32")
        next(work)
        if augmentation:
            next(work)
        work.close()
    assert not cache.entries()


def test_one_image_less_costs_nothing() -> None:
    whole = images()
    wanted, _ = table(strategy(), whole)
    fewer = part_of(whole, slice(1, None))
    found, said = table(strategy(), fewer)
    rows = module._readable(fewer.prepared)
    assert not said
    assert torch.equal(found[:, rows], wanted[:, rows])
    assert not found[0, whole.prepared.train.rows[0]].any()
    assert len(cache.entries()) == 1


def test_random_views_are_taken_over_only_as_a_whole() -> None:
    one, whole = strategy(flip=True, views=2), images()
    val = whole.prepared.val
    fewer = replace(val, rows=val.rows[1:], labels=val.labels[1:], samples=val.samples[1:])
    table(one, replace(whole, prepared=replace(whole.prepared, val=fewer)))
    found, said = table(one, whole)
    assert said[0].total == TRAIN + VAL + 2 * TRAIN
    cache.clear()
    assert torch.equal(table(one, whole)[0], found)


def test_extraction_is_forward_only_and_by_the_folded_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def noted(net: Network, size: int) -> Callable[[Tensor], Tensor]:
        run = fused(net, size)
        assert isinstance(run, torch.fx.GraphModule)
        return lambda inputs: asked.append(torch.is_inference_mode_enabled()) or run(inputs)

    monkeypatch.setattr(module, "fused", noted)
    table(strategy())
    assert asked == [True]


def test_what_is_told_of_features_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    waited: list[int] = []
    turns = iter(range(100))
    monkeypatch.setattr(module, "every", lambda *_: lambda: next(turns) % 2 == 1)
    monkeypatch.setattr(module, "wait_for", lambda _: waited.append(len(told)))
    monkeypatch.setitem(batches.EVALUATION_BATCH, "cpu", 2)
    work = extracted(FeatureStore(ThreadPoolExecutor(1)), images(), strategy(), network(), "fp32")
    for now in work:
        told.append(now.done)
    assert told == [0, 4, 8, 11, 11]
    assert waited == [1, 2, 3, 4], "before each of them but the beginning"


def test_features_are_validated_in_pieces_where_all_are_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, found = images(), torch.arange(12 * 3.0).view(1, 12, 3)
    monkeypatch.setattr(batches, "STILL_BYTES", 3 * 12)
    monkeypatch.setitem(batches.EVALUATION_BATCH, "cpu", 1)
    feed = feature_feed(seen, strategy(), 0, network(), found)
    pieces = list(feed.still(seen.prepared.val, None))
    assert [len(piece) for piece, _ in pieces] == [3, 1]
    assert torch.equal(torch.cat([piece for piece, _ in pieces]), found[0, seen.prepared.val.rows])


@pytest.mark.parametrize("changed", ["torch", "extractor"])
def test_what_another_version_extracted_is_not_found(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table(strategy())
    if changed == "torch":
        monkeypatch.setattr(torch, "__version__", "0.0")
    else:
        monkeypatch.setattr(module, "EXTRACTOR", "0")
    assert table(strategy())[1]


@pytest.mark.parametrize("other", ["model", "threads"])
def test_what_other_hardware_extracted_is_not_found(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seconds are no part of what a run takes here."""
    with monkeypatch.context() as elsewhere:
        if other == "model":
            elsewhere.setattr(device, "cpu_name", lambda: "another CPU")
        else:
            elsewhere.setattr(torch, "get_num_threads", lambda: 64)
        table(strategy())
        assert not table(strategy())[1]
    assert table(strategy())[1]


def test_the_threads_of_the_cpu_are_nothing_to_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[tuple[object, ...]] = []
    monkeypatch.setattr(module.cache, "key", lambda *asked: str(parts.append(asked)))
    monkeypatch.setattr(module, "describe", lambda where: Device(str(where), "hardware", 1))
    for kind in ("cpu", "cuda"):
        seen = replace(images(), device=torch.device(kind))
        module._recipe(seen, strategy(), network(), "fp32", 1)
    on_cpu, on_card = parts
    assert on_card[2:5] == ("cuda", "hardware", "fp32")
    assert on_cpu[2:5] == ("cpu", "hardware", torch.get_num_threads())


def test_another_precision_is_extracted_anew() -> None:
    table(strategy())
    assert table(strategy(), precision="bf16")[1]


CHANGES = {
    "other images": (lambda: (strategy(), images("others"), network())),
    "other weights": (lambda: (strategy(), images(), network(1))),
    "another view": (lambda: (strategy(), replace(images(), preprocessing=replace_crop()), network())),
    "random views": (lambda: (strategy(flip=True), images(), network())),
}


def replace_crop() -> Preprocessing:
    return Preprocessing(SIDE, CROP, (0.5, 0.5, 0.5), VIEW.std)


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_them_they_are_extracted_anew(change: str) -> None:
    table(strategy())
    one, seen, net = CHANGES[change]()
    assert table(one, seen, net)[1]
    assert len([entry for entry in cache.entries() if entry.kind == "features"]) == 2


@pytest.mark.parametrize("name", [feature_store.FEATURES, feature_store.COST])
@pytest.mark.parametrize("content", [b"", b"no array"])
def test_a_broken_entry_is_extracted_anew(name: str, content: bytes) -> None:
    first, _ = table(strategy())
    (entry,) = cache.entries()
    (entry.path / name).write_bytes(content)
    again, said = table(strategy())
    assert said
    assert torch.equal(again, first)
