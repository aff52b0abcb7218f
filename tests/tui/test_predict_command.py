"""``tl-tui predict``: it says of images what the run said of them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from statsmodels.stats.proportion import proportion_confint

from engine.data.discover import discover
from engine.logs.log import EventLog
from engine.predict import Prediction, TrainedNetwork
from engine.running.experiment import run
from engine.specs.presets import presets
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
from tests.conftest import draw
from tui.cli import status

NAME = "mobilenetv3-extract"


@pytest.fixture
def folder(tmp_path: Path, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment on images of which one is lying on its side and one has 16 bits."""
    monkeypatch.chdir(tmp_path)
    data = image_folder()
    turned = data / "val" / "cold" / "0.png"
    with Image.open(turned) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(turned.with_suffix(".jpg"), exif=exif)
    Image.new("I;16", (40, 40), 30_000).save(turned)
    strategy = changed_strategy(presets()[NAME], epochs=1, batch_size=4, image_size=64)
    asked = Experiment((strategy,), DataSource(path=str(data)), weights="none", precision="fp32")
    made = tmp_path / "runs" / "a-20261123-120000"
    made.mkdir(parents=True)
    with EventLog(made) as log:
        run(asked, discover(asked.data), log, deque())
    return made


def test_it_says_what_the_run_said_and_goes_on_after_a_broken_image(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with safe_open(folder / "predictions" / f"{NAME}-0.safetensors", "pt") as saved:
        paths, logits = json.loads(saved.metadata()["paths"]), saved.get_tensor("logits")
    shutil.copytree(tmp_path / "images" / "val", tmp_path / "other")
    (tmp_path / "other" / "cold" / "broken.png").write_bytes(b"\x89PNG")
    assert status(["predict", f"{folder.name}:{NAME}", "other", "--format", "csv"]) == 1
    told = capsys.readouterr()
    assert f"{NAME}-0: validation accuracy" in told.err and "other/cold/broken.png: cannot be read" in told.err
    rows = list(csv.DictReader(io.StringIO(told.out)))
    assert [row["path"].removeprefix("other/") for row in rows] == [path.split("/val/")[1] for path in paths]
    said = torch.tensor([[float(row["cold"]), float(row["warm"])] for row in rows])
    torch.testing.assert_close(said, logits.softmax(1), atol=1e-4, rtol=1e-4)
    for row, probabilities in zip(rows, said, strict=True):
        assert row["class"] == ("cold", "warm")[int(probabilities.argmax())]

    one = tmp_path / "other" / "warm" / "1.png"
    assert status(["predict", str(folder), str(one)]) == 0
    (row,) = (row for row in rows if row["path"] == "other/warm/1.png")
    assert capsys.readouterr().out == f"{one}: {row['class']} ({100 * float(row['probability']):.1f} %)\n"
    assert status(["predict", str(folder), str(one), "other/cold/broken.png", "--format", "json"]) == 1
    answers = json.loads(capsys.readouterr().out)["images"]
    assert answers[0]["probabilities"] == pytest.approx({"cold": float(row["cold"]), "warm": float(row["warm"])})
    assert answers[1].keys() == {"path", "problem"}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Images of the experiment and others, some in the wrong class folder, in none, or in one of no class."""
    root, data = tmp_path / "mixed", tmp_path / "images"
    for number in range(4):
        draw(root / "cold" / f"new-{number}.png", (40, 60, 200), 70 + number)
        draw(root / "hot" / f"new-{number}.png", (40, 60, 200), 80 + number)
    for number in range(3):
        draw(root / "warm" / f"new-{number}.png", (210, 70, 40), 90 + number)
    draw(root / "loose.png", (210, 70, 40), 99)
    shutil.copy(data / "train" / "cold" / "1.png", root / "warm" / "seen.png")
    shutil.copy(data / "val" / "cold" / "1.png", root / "cold" / "chosen-1.png")
    shutil.copy(data / "val" / "warm" / "2.png", root / "cold" / "chosen-2.png")
    (root / "cold" / "broken.png").write_bytes(b"\x89PNG")
    return root


def test_in_class_folders_it_says_how_good_the_network_is(
    folder: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["predict", folder.name, str(mixed), "--format", "json"]) == 1
    told, told_to_people = capsys.readouterr()
    answers = {str(Path(one["path"]).relative_to(mixed)): one for one in json.loads(told)["images"]}
    scores = json.loads(told)["scores"]
    labels = {path: one["label"] for path, one in answers.items() if "label" in one}
    assert labels == {path: path.split("/")[0] for path in answers if path.split("/")[0] in ("cold", "warm")}
    assert answers["cold/broken.png"].keys() == {"path", "label", "problem"}
    said = [(label, answers[path]["class"]) for path, label in labels.items() if path != "cold/broken.png"]
    counts = [[said.count((true, other)) for other in ("cold", "warm")] for true in ("cold", "warm")]
    right = counts[0][0] + counts[1][1]
    assert (scores["images"], scores["confusion"]) == (10, counts)
    assert scores["accuracy"] == pytest.approx(right / 10)
    assert scores["balanced_accuracy"] == pytest.approx((counts[0][0] / 6 + counts[1][1] / 4) / 2)
    interval = scores["accuracy_low"], scores["accuracy_high"]
    assert interval == pytest.approx(proportion_confint(right, 10, method="wilson"))
    assert (scores["trained_on"], scores["validated_on"]) == (1, 2)

    assert "mixed: 4 images without a label, in folders that are no class: hot\n" in told_to_people
    assert status(["predict", folder.name, str(mixed)]) == 1
    printed = capsys.readouterr().out
    rows, (head, trained, chosen, _, cold, warm) = printed.splitlines()[:-6], printed.splitlines()[-6:]
    wrong = {path for path, label in labels.items() if answers[path].get("class", label) != label}
    assert len(rows) == 15 and 0 < len(wrong) < 10
    for row in rows:
        path = str(Path(row.rpartition(": ")[0]).relative_to(mixed))
        assert row.endswith(f", labelled {labels[path]}" if path in wrong else "%)")
    low, high = (f"{100 * end:.1f} %" for end in interval)
    assert head == (
        f"10 labelled images: accuracy {10 * right}.0 % (95 % interval {low} to {high}), "
        f"balanced accuracy {100 * scores['balanced_accuracy']:.1f} %"
    )
    assert trained == "It was trained on 1 of them (the same bytes), so this is optimistic."
    assert chosen == "Its best epoch was chosen on 2 of them (validation images), so this is optimistic."
    for line, name, other, (own, taken) in ((cold, "cold", "warm", counts[0]), (warm, "warm", "cold", counts[1][::-1])):
        last = [other, f"({taken})"] if taken else ["–"]
        of = own + taken
        assert line.split() == [name, str(of), str(own), f"{100 * own / of:.1f}", "%", *last]

    assert status(["predict", folder.name, str(mixed), "--format", "csv"]) == 1
    told, told_to_people = capsys.readouterr()
    assert told.startswith("path,label,class,probability,cold,warm\n") and head in told_to_people
    table = {str(Path(row["path"]).relative_to(mixed)): row["label"] for row in csv.DictReader(io.StringIO(told))}
    assert table == {path: labels.get(path, "") for path in answers if path != "cold/broken.png"}


def test_only_the_wrong_ones_the_surest_answer_first_in_every_format(
    folder: Path, mixed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chances = {"cold/new-0.png": 0.4, "cold/new-2.png": 0.1, "warm/new-1.png": 0.7, "warm/seen.png": 0.6}

    def said(_: TrainedNetwork, paths: list[str]) -> Iterator[Prediction]:
        for path in paths:
            name = str(Path(path).relative_to(mixed))
            cold = chances.get(name, 0.99 if name.startswith("cold") else 0.01)
            yield Prediction(path, (), "broken") if "broken" in name else Prediction(path, (cold, 1 - cold))

    monkeypatch.setattr("engine.predict.predictions_of", said)
    names = ("cold/new-2.png", "warm/new-1.png", "cold/new-0.png", "warm/seen.png")  # the last two are equally sure
    surest_first = [str(mixed / name) for name in names]
    command = ["predict", folder.name, str(mixed), "--wrong", "--format"]
    assert status([*command, "json"]) == 1
    told, told_to_people = capsys.readouterr()
    assert [one["path"] for one in json.loads(told)["images"]] == surest_first
    assert (json.loads(told)["scores"]["images"], json.loads(told)["scores"]["accuracy"]) == (10, 0.6)
    assert "cold/broken.png: cannot be read" in told_to_people
    assert status([*command, "csv"]) == 1
    assert [row["path"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == surest_first
    assert status([*command, "text"]) == 1
    *lines, all_of_them = capsys.readouterr().out.splitlines()[:5]
    assert lines == [
        f"{surest_first[0]}: warm (90.0 %), labelled cold",
        f"{surest_first[1]}: cold (70.0 %), labelled warm",
        f"{surest_first[2]}: warm (60.0 %), labelled cold",
        f"{surest_first[3]}: cold (60.0 %), labelled warm",
    ]
    assert all_of_them.startswith("10 labelled images: accuracy 60.0 %")


def test_which_are_wrong_is_not_asked_where_no_image_has_a_label(
    folder: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["predict", folder.name, str(mixed / "warm"), "--wrong"]) == 2
    told = capsys.readouterr()
    assert "none of these images is labelled" in told.err and "the classes: cold, warm" in told.err
    assert not told.out


def test_without_class_folders_nothing_is_said_of_labels(
    folder: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = [str(mixed / "warm"), str(mixed / "cold" / "new-1.png")]  # nobody says that these names are labels
    assert status(["predict", folder.name, *alone, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {"images"} and {*told["images"][0]} == {"path", "class", "probabilities"}
    assert status(["predict", folder.name, *alone, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("path,class,probability,cold,warm\n")
    assert status(["predict", folder.name, *alone]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 5 and "labelled" not in printed.out
    assert len(printed.err.splitlines()) == 1


def test_of_folders_that_are_no_class_it_is_said_that_nothing_is_scored_and_which_the_classes_are(
    folder: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mixed / "cold" / "broken.png").unlink()
    (mixed / "cold").rename(mixed / "ants")
    (mixed / "warm").rename(mixed / "bees")
    assert status(["predict", folder.name, str(mixed)]) == 0
    told = capsys.readouterr()
    assert told.err.splitlines()[1:] == [
        f"{mixed}: its folders (ants, bees, hot) are no class of the experiment (cold, warm), so nothing is scored"
    ]
    assert "accuracy" not in told.out and "labelled" not in told.out


def test_where_the_data_changed_nobody_knows_what_was_trained_on(
    folder: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "images" / "train" / "warm" / "later.png", (210, 70, 40), 1)
    assert status(["predict", folder.name, str(mixed), "--format", "json"]) == 1
    told = capsys.readouterr()
    scores = json.loads(told.out)["scores"]
    assert (scores["images"], scores["trained_on"], scores["validated_on"]) == (10, None, None)
    assert "images: has other images than when it was trained on" in told.err


def test_of_a_fold_the_other_folds_were_trained_on(
    image_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strategy = changed_strategy(presets()[NAME], epochs=1, batch_size=4, image_size=64)
    asked = Experiment((strategy,), DataSource(path=str(image_folder())), weights="none", folds=2)
    made = tmp_path / "folded"
    made.mkdir()
    with EventLog(made) as log:
        run(asked, discover(asked.data), log, deque())
    run_name = f"{NAME}-0-fold-2"
    predictions = made / "predictions" / f"{run_name}.safetensors"
    with safe_open(predictions, "pt") as saved:
        validated = json.loads(saved.metadata()["paths"])
    assert any("/train/" in path for path in validated) and any("/val/" in path for path in validated)
    everything = ["predict", f"{made}:{run_name}", str(tmp_path / "images"), "--format", "json"]
    assert status(everything) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert (scores["trained_on"], scores["validated_on"]) == (20 - len(validated), len(validated))
    predictions.unlink()
    assert status(everything) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["scores"]["trained_on"] is None and "is gone" in told.err


def test_what_cannot_be_asked_is_told_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    best = folder / "checkpoints" / f"{NAME}-0" / "best.safetensors"
    for words, said in (
        (["nobody's", "x.png"], "there is no experiment"),
        ([f"{folder.name}:resnet", "x.png"], "has no run 'resnet'; there are mobilenetv3-extract-0"),
        ([folder.name, str(folder / "empty")], "no image in this folder"),
    ):
        assert status(["predict", *words]) == 2
        assert said in capsys.readouterr().err
    best.write_bytes(b"nonsense")
    assert status(["predict", folder.name, "x.png"]) == 2
    assert "best.safetensors: not a network that tl-tui saved, or damaged" in capsys.readouterr().err
    best.unlink()
    assert status(["predict", folder.name, "x.png"]) == 2
    assert "no network of its runs is saved" in capsys.readouterr().err
