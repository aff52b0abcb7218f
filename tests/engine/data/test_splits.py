"""Dividing: folds, grouped splits and parts set apart, on groups of any sizes."""

from __future__ import annotations

import tracemalloc
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.dataset import DataSet, Sample
from engine.data.discover import discover
from engine.data.group_split import hold_out
from engine.data.splits import folds
from engine.errors import DataError
from engine.specs.spec import DataSource

# groups that each show one class, and of how many images each is
PURE = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=2, max_size=60)
MIXED = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11)), min_size=2, max_size=120)


def images(groups: list[tuple[int, int]]) -> tuple[list[int], list[str]]:
    labels = [label for label, size in groups for _ in range(size)]
    return labels, [f"g{number}" for number, (_, size) in enumerate(groups) for _ in range(size)]


@settings(max_examples=25, deadline=None)
@given(PURE, st.floats(0.05, 0.6), st.integers(0, 2**31 - 1))
def test_what_is_set_apart_is_whole_groups_of_every_class(
    sizes: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    labels, groups = images(sizes)
    apart = hold_out(labels, groups, fraction, seed)
    held, kept = {groups[index] for index in apart}, {groups[i] for i in range(len(groups)) if i not in apart}
    assert not held & kept
    for label in set(labels):
        of_class = {group for one, group in zip(labels, groups, strict=True) if one == label}
        assert of_class & kept
        assert bool(of_class & held) == (len(of_class) > 1)
    assert apart == hold_out(labels, groups, fraction, seed)


@settings(max_examples=20, deadline=None)
@given(MIXED, st.floats(0.05, 0.6), st.integers(0, 99))
def test_groups_of_several_classes_stay_whole_and_no_class_is_lost(
    pairs: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    labels, groups = [label for label, _ in pairs], [f"g{group}" for _, group in pairs]
    apart = hold_out(labels, groups, fraction, seed)
    kept = [index for index in range(len(pairs)) if index not in apart]
    assert not {groups[index] for index in apart} & {groups[index] for index in kept}
    assert {labels[index] for index in kept} == set(labels)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=40, max_size=80), st.floats(0.1, 0.5), st.integers(0, 99))
def test_the_fraction_is_kept_in_every_class(sizes: list[int], fraction: float, seed: int) -> None:
    labels, groups = images([(number % 2, size) for number, size in enumerate(sizes)])
    apart = hold_out(labels, groups, fraction, seed)
    for label, total in Counter(labels).items():
        share = sum(labels[index] == label for index in apart) / total
        assert abs(share - fraction) < 0.06, (share, fraction)


def test_many_groups_are_divided_as_evenly() -> None:
    labels, groups = images([(number % 5, 1 + number % 3) for number in range(4000)])
    apart = hold_out(labels, groups, 0.2, 0)
    shares = [sum(labels[index] == label for index in apart) / total for label, total in Counter(labels).items()]
    assert all(abs(share - 0.2) < 0.01 for share in shares)


def test_memory_does_not_grow_with_images_times_classes() -> None:
    images, classes = 20_000, 1_000
    labels = [number % classes for number in range(images)]
    hold_out([0, 1] * 5, [""] * 10, 0.2, 0)  # imports scikit-learn
    tracemalloc.start()
    try:
        apart = hold_out(labels, [""] * images, 0.2, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(apart) == images / 5
    assert peak < images * classes  # a byte for each; a table of int64 takes eight


def test_a_group_as_large_as_half_of_the_images() -> None:
    labels, groups = images([(0, 50), (1, 50), *((number % 2, 1) for number in range(100))])
    assert 35 <= len(hold_out(labels, groups, 0.2, 0)) <= 45


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=24, max_size=50), st.integers(2, 6), st.integers(0, 2**31 - 1))
def test_folds_are_whole_groups_and_hold_every_image_once(sizes: list[int], count: int, seed: int) -> None:
    labels, groups = images([(number % 2, size) for number, size in enumerate(sizes)])
    samples = [Sample(f"/{number}.png", *pair) for number, pair in enumerate(zip(labels, groups, strict=True))]
    found = folds(samples, count, seed)
    assert len(found) == count
    assert sorted(index for _, val in found for index in val) == list(range(len(samples)))
    for train, val in found:
        assert sorted(train + val) == list(range(len(samples)))
        assert not {groups[index] for index in train} & {groups[index] for index in val}
        assert {labels[index] for index in train} == {0, 1}
    assert found == folds(samples, count, seed)


def test_folds_without_groups_are_stratified() -> None:
    samples = [Sample(f"/{number}.png", int(number < 40)) for number in range(100)]
    for _, val in folds(samples, 5, 3):
        assert Counter(samples[index].label for index in val) == {1: 8, 0: 12}
    assert folds(samples, 5, 3) != folds(samples, 5, 4)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (
            [("a", ""), ("b", ""), ("b", "")],
            "class ant has one image, 0.png, so a fold .*; leave the class out, add images of it, or take no folds",
        ),
        (
            [("a", "p"), ("a", "p"), *(("b", f"q{number}") for number in range(9))],
            "every image of class ant is in the group p, .*; leave the class out, take other groups, or take no folds",
        ),
        ([("a", ""), ("b", "")] * 3, "too few to be divided into 5 parts"),
    ],
)
def test_folds_that_cannot_be(samples: list[tuple[str, str]], message: str) -> None:
    given_samples = [
        Sample(f"/{number}.png", "ab".index(label), group) for number, (label, group) in enumerate(samples)
    ]
    with pytest.raises(DataError, match=message):
        folds(given_samples, 5, 0, ("ant", "bee"))


def leaking(root: Path, part_names: tuple[str, ...] = ("train", "val")) -> Path:
    """20 patients of each of two classes, 4 images each, spread over the parts without heed."""
    for label in "ab":
        for patient in range(20):
            for view in range(4):
                part = part_names[(patient + view) % 3 % len(part_names)]
                path = root / part / label / f"{label}{patient:02}_{view}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    return root


def groups_of(samples: tuple[Sample, ...]) -> set[str]:
    return {sample.group for sample in samples}


def disjoint(dataset: DataSet) -> bool:
    train, val, test = map(groups_of, (dataset.train, dataset.val, dataset.test))
    return not (train & val or train & test or val & test)


PATTERN = r"([ab]\d\d)_"


def test_a_grouped_split_mends_the_given_one(tmp_path: Path) -> None:
    root = str(leaking(tmp_path))
    as_given = discover(DataSource(root, group_pattern=PATTERN))
    assert not disjoint(as_given)
    assert as_given.split == "given: folders train and val"
    assert as_given.groups == r"pattern ([ab]\d\d)_: 40 groups of 160 images"
    mended = discover(DataSource(root, group_pattern=PATTERN, split="grouped"))
    assert disjoint(mended)
    assert len(mended.val) == 32
    assert Counter(sample.label for sample in mended.val) == {0: 16, 1: 16}
    assert mended.split == "split here by group: 20 % of the images for validation, seed 0"
    assert groups_of(discover(DataSource(root, group_pattern=PATTERN, split="grouped", split_seed=1)).val) != groups_of(
        mended.val
    )


def test_a_grouped_split_leaves_a_test_part_as_it_is(tmp_path: Path) -> None:
    dataset = discover(DataSource(str(leaking(tmp_path, ("train", "val", "test"))), group_pattern=PATTERN))
    again = discover(DataSource(dataset.path, group_pattern=PATTERN, split="grouped"))
    assert again.test == dataset.test != ()
    assert not groups_of(again.train) & groups_of(again.val)


@pytest.mark.parametrize("split", ["given", "grouped"])
def test_a_test_part_is_set_apart_with_groups_whole(tmp_path: Path, split: str) -> None:
    root = str(leaking(tmp_path))
    dataset = discover(DataSource(root, group_pattern=PATTERN, split=split, test_fraction=0.25))  # type: ignore[arg-type]
    others = groups_of(dataset.train) | groups_of(dataset.val)
    assert not groups_of(dataset.test) & others
    assert Counter(sample.label for sample in dataset.test) == {0: 20, 1: 20}
    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 160
    assert "25 % of each class held out here for test, by group, seed 0" in dataset.split
    assert disjoint(dataset) == (split == "grouped")


def test_a_test_part_without_groups_takes_of_every_class_and_part(tmp_path: Path) -> None:
    dataset = discover(DataSource(str(leaking(tmp_path)), test_fraction=0.25))
    whole = discover(DataSource(dataset.path))
    before, after = ([len(one.train), len(one.val)] for one in (whole, dataset))
    assert [round(0.75 * count) for count in before] == after
    assert Counter(sample.label for sample in dataset.test) == {0: 20, 1: 20}
    assert {*dataset.train, *dataset.val, *dataset.test} == {*whole.train, *whole.val}


def test_an_image_in_both_parts_is_set_apart_from_both(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(10)]
    for name in names:
        (tmp_path / name).touch()
    listed = [f"{name},{'ab'[number % 2]},{part}" for part in ("train", "val") for number, name in enumerate(names)]
    (tmp_path / "list.csv").write_text("\n".join(("path,label,split", *listed)))
    dataset = discover(DataSource(str(tmp_path / "list.csv"), test_fraction=0.3))
    test, others = {one.path for one in dataset.test}, {one.path for one in (*dataset.train, *dataset.val)}
    assert test
    assert not test & others


def test_a_test_fraction_is_not_used_where_there_is_a_test_part(tmp_path: Path) -> None:
    root = str(leaking(tmp_path, ("train", "val", "test")))
    dataset = discover(DataSource(root, test_fraction=0.5))
    assert dataset.test == discover(DataSource(root)).test
    assert any("test_fraction is ignored" in warning for warning in dataset.warnings)


def test_what_comes_undivided_is_split_as_ever(tmp_path: Path) -> None:
    for label in "ab":
        for number in range(10):
            path = tmp_path / label / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    dataset = discover(DataSource(str(tmp_path)))
    assert dataset.split == "split here: 20 % of each class for validation, seed 0"
    # as scikit-learn's train_test_split has drawn them since the first experiment
    assert [sample.path[-7:] for sample in dataset.val] == ["a/2.jpg", "a/8.jpg", "b/2.jpg", "b/8.jpg"]
    assert dataset.test == ()


def test_a_class_of_one_group_only_trains(tmp_path: Path) -> None:
    folders: dict[str, list[str]] = defaultdict(list)
    folders["a"] = [f"p{patient}_{view}" for patient in range(10) for view in range(3)]
    folders["b"] = [f"q1_{view}" for view in range(5)]
    for label, names in folders.items():
        for name in names:
            path = tmp_path / label / f"{name}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    dataset = discover(DataSource(str(tmp_path), group_pattern="([pq][0-9])_", split="grouped"))
    assert {sample.label for sample in dataset.val} == {0}
    assert any("are in one group, so only in training: b" in warning for warning in dataset.warnings)
