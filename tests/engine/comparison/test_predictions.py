"""Reading what a run said of every image: old files, damaged files, files that make no sense."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from engine.comparison import predictions
from engine.comparison.paired import holm
from engine.comparison.pairs import SavedRun, differences
from engine.comparison.predictions import read, saved
from engine.comparison.scores import scores_of
from tests.engine.comparison.files import write_predictions

QUICK = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_both_parts_are_read_in_file_order(tmp_path: Path) -> None:
    write_predictions(tmp_path, "a-0", [0, 1, 1], [0, 1, 0], epoch=3, sure=np.log(3), groups=["p", "p", "q"], test=True)
    for part in ("val", "test"):
        found = read(tmp_path, "a-0", part)
        assert found is not None
        assert (found.run, found.part, found.epoch, found.classes) == ("a-0", part, 3, ("ants", "bees"))
        assert found.paths == ("/0.jpg", "/1.jpg", "/2.jpg")
        assert found.groups == ("p", "p", "q")
        assert found.labels.tolist() == [0, 1, 1]
        assert found.probabilities == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75], [0.75, 0.25]]))


def test_a_file_without_groups_and_test_part_is_read(tmp_path: Path) -> None:
    write_predictions(tmp_path, "a-0", [0, 1], [0, 1])
    found = read(tmp_path, "a-0")
    assert found is not None
    assert found.groups == ("", "")
    assert read(tmp_path, "a-0", "test") is None


def test_there_are_none_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path, "a-0")
    assert saved(tmp_path, "a-0") is None
    (tmp_path / "predictions").mkdir()
    os.mkfifo(tmp_path / "predictions" / "pipe.safetensors")
    assert read(tmp_path, "pipe") is None, "and nothing waits for it"
    (tmp_path / "predictions" / "folder.safetensors").mkdir()
    assert read(tmp_path, "folder") is None


@QUICK
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), length=st.integers(0, 400))
def test_a_damaged_file_gives_predictions_that_make_sense_or_none(
    tmp_path: Path, place: float, byte: int, length: int
) -> None:
    path = write_predictions(tmp_path, "a-0", [0, 1, 1], [0, 1, 0], groups=["p", "p", "q"])
    whole = bytearray(path.read_bytes())
    whole[int(place * len(whole))] = byte
    path.write_bytes(whole[:length] if length < 200 else whole)
    found = read(tmp_path, "a-0")
    if found is not None:
        assert len(found.paths) == len(found.groups) == len(found.labels) == len(found.probabilities)
        assert np.isfinite(found.probabilities).all()
        assert found.probabilities.sum(axis=1) == pytest.approx(1)
        assert ((found.labels >= 0) & (found.labels < len(found.classes))).all()


@pytest.mark.parametrize(
    ("changed", "described"),
    [
        ({"labels": np.array([0, 2])}, {}),
        ({"labels": np.array([0, -1])}, {}),
        ({"labels": np.array([0])}, {}),
        ({"logits": np.array([[0.0, np.nan], [0.0, 1.0]], np.float32)}, {}),
        ({"logits": np.zeros((2, 3), np.float32)}, {}),
        ({"logits": np.zeros(2, np.float32)}, {}),
        ({"logits": np.zeros((0, 2), np.float32), "labels": np.zeros(0, np.int64)}, {"paths": "[]"}),
        ({}, {"paths": '["a"]'}),
        ({}, {"paths": "[1, 2]"}),
        ({}, {"paths": '{"a": "b"}'}),
        ({}, {"groups": '["p"]'}),
        ({}, {"classes": "[" * 100_000}),
        ({}, {"classes": '["ants"]'}),
        ({}, {"epoch": "one"}),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_not_taken(
    tmp_path: Path, changed: dict[str, np.ndarray], described: dict[str, str]
) -> None:
    tensors = {"logits": np.zeros((2, 2), np.float32), "labels": np.array([0, 1])}
    metadata = {"classes": json.dumps(["ants", "bees"]), "epoch": "1", "paths": json.dumps(["a", "b"])}
    path = tmp_path / "predictions" / "a-0.safetensors"
    path.parent.mkdir()
    save_file(tensors, path, metadata)
    assert read(tmp_path, "a-0") is not None
    save_file(tensors | changed, path, metadata | described)
    assert read(tmp_path, "a-0") is None


@pytest.mark.parametrize("missing", ["classes", "epoch", "paths"])
def test_a_file_that_does_not_say_what_it_is_is_not_taken(tmp_path: Path, missing: str) -> None:
    metadata = {"classes": json.dumps(["ants", "bees"]), "epoch": "1", "paths": json.dumps(["a", "b"])}
    del metadata[missing]
    path = tmp_path / "predictions" / "a-0.safetensors"
    path.parent.mkdir()
    save_file({"logits": np.zeros((2, 2), np.float32), "labels": np.array([0, 1])}, path, metadata)
    assert read(tmp_path, "a-0") is None


def test_a_runs_file_is_read_once_however_many_strategies_it_is_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    for strategy in "abc":
        write_predictions(tmp_path, f"{strategy}-0", [0, 1, 1, 0], [0, 1, 0, "abc".index(strategy) % 2])
        file = saved(tmp_path, f"{strategy}-0")
        assert file is not None
        runs.append(SavedRun(strategy, 0, None, 1, file))
    opened: list[str] = []
    once = predictions.read
    monkeypatch.setattr(predictions, "read", lambda *of: (opened.append(of[1]), once(*of))[1])
    assert len(differences(runs, "val", 4, {"a", "b", "c"})) == 3
    assert sorted(opened) == ["a-0", "b-0", "c-0"]


def test_pairs_that_are_not_judged_make_the_others_no_less_sure(tmp_path: Path) -> None:
    runs, labels = [], [0, 1] * 50
    for strategy, wrong in (("a", 2), ("b", 16), ("c", 5)):
        guesses = [1 - label for label in labels[:wrong]] + labels[wrong:]
        write_predictions(tmp_path, f"{strategy}-0", labels, guesses)
        file = saved(tmp_path, f"{strategy}-0")
        assert file is not None
        runs.append(SavedRun(strategy, 0, None, 1, file))
    of_all = differences(runs, "val", 100, {"a", "b", "c"})
    assert of_all == holm(of_all) and of_all[0].strategies == ("a", "b") and of_all[0].p_adjusted > of_all[0].p > 0
    of_two = differences(runs, "val", 100, {"a", "b"})
    assert of_two[0].p_adjusted == of_all[0].p and of_two[1:] == of_all[1:]


def test_that_a_file_could_not_be_read_once_is_not_remembered(tmp_path: Path) -> None:
    runs = []
    for strategy in "ab":
        path = write_predictions(tmp_path, f"{strategy}-0", [0, 1, 1, 0], [0, 1, 0, 0])
        file = saved(tmp_path, f"{strategy}-0")
        assert file is not None
        runs.append(SavedRun(strategy, 0, None, 1, file))
    aside = path.rename(tmp_path / "aside")
    assert differences(runs, "val", 4, {"a", "b", "c"}) == ()
    with pytest.raises(OSError, match="No such file"):
        scores_of(runs[1].saved, 1, "val", "bees")
    aside.rename(path)
    assert len(differences(runs, "val", 4, {"a", "b", "c"})) == 1
    assert scores_of(runs[1].saved, 1, "val", "bees") is not None
