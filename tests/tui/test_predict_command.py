"""``tl-tui predict``: it says of images what the run said of them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from engine.data.discover import discover
from engine.experiment import run
from engine.logs.log import EventLog
from engine.specs.presets import presets
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
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
    assert "no network of its runs is kept" in capsys.readouterr().err
