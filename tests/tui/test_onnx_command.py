"""``tl-tui onnx``: a file that answers as the network, or a line that says why there is none."""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
from collections import deque
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch

from engine import onnx_file
from engine.data.discover import discover
from engine.logs.log import EventLog
from engine.predict import load_network
from engine.running.experiment import run
from tests.conftest import draw
from tests.engine.hostile.names import unsafe
from tests.engine.running import small_experiment
from tui.cli import status

HOSTILE = "\x1b]0;owned\x07[bold]x"
RUN = "resnet18-finetune-0"
NAME = "a-20261123-120000"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment on a class whose name a terminal would obey."""
    root = tmp_path_factory.mktemp("made")
    for place, colour in (("cold", (40, 60, 200)), (HOSTILE, (210, 70, 40))):
        for number in range(6):
            draw(root / "data" / ("train" if number < 4 else "val") / place / f"{number}.png", colour, number)
    asked = small_experiment("resnet18-finetune", data=root / "data", epochs=1)
    folder = root / NAME
    folder.mkdir()
    with EventLog(folder) as log:
        run(asked, discover(asked.data), log, deque())
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, Path("runs") / NAME))


def test_it_writes_the_network_and_prints_nothing_else(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "checkpoints" / RUN / "best.onnx"
    path.write_bytes(b"an earlier one")
    assert status(["onnx", NAME]) == 0
    told = capfd.readouterr()
    assert told.err.startswith(f"{NAME}, {RUN}: validation accuracy ") and told.err.endswith(", epoch 1\n")
    assert told.err.count("\n") == told.out.count("\n") == 1 and not unsafe(told.out.rstrip("\n"))
    assert (
        told.out.startswith(f"wrote {path} (2.9") and "its probabilities differ from PyTorch's by at most " in told.out
    )

    session = onnxruntime.InferenceSession(path)
    described = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert sorted(described["classes"]) == sorted(["cold", HOSTILE])
    assert (described["experiment"], described["run"], described["epoch"]) == (NAME, RUN, 1)
    images = torch.rand(2, 3, 32, 32)
    graph = onnx_file.Graph(load_network(path.with_name("best.safetensors"), "cpu"))
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), graph(images))

    path.with_name(".best.onnx.4711").touch()  # of one that was killed
    assert status(["delete", "--yes", NAME]) == 0
    assert not folder.exists()


def test_what_libraries_print_is_not_seen_and_what_was_written_wrong_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    export = torch.onnx.export

    def loud(graph: onnx_file.Graph, *given: Any, **named: Any) -> Any:
        os.write(1, b"native")
        os.write(2, b"native too")
        other = copy.deepcopy(graph)
        other.std.mul_(0.1)
        return export(other, *given, **named)

    monkeypatch.setattr(torch.onnx, "export", loud)
    Path("mine.onnx").write_bytes(b"an earlier one")
    assert status(["onnx", f"{NAME}:{RUN}", "mine.onnx"]) == 2
    told = capfd.readouterr()
    first, last = told.err.splitlines()
    assert told.out == "" and first.startswith(f"{NAME}, ")
    assert last.startswith("tl-tui: the exported file does not match the network: probabilities differ by up to")
    assert {path.name for path in Path().iterdir()} == {"runs", "mine.onnx"}
    assert Path("mine.onnx").read_bytes() == b"an earlier one"


def test_what_cannot_be_written_is_told_before_torch_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "engine.onnx_file", None)
    Path("file").touch()
    best = folder / "checkpoints" / RUN / "best.safetensors"

    def refused(words: list[str], said: str) -> None:
        assert status(["onnx", *words]) == 2
        told = capsys.readouterr()
        assert said in told.err and told.out == "" and "validation accuracy" not in told.err

    refused(["nobody's"], "there is no experiment")
    refused([f"{NAME}:resnet"], f"has no run 'resnet'; there are {RUN}")
    refused([NAME, "x.pt"], "x.pt: the name of an ONNX file ends in .onnx")
    refused([NAME, "runs"], "is a directory")
    refused([NAME, "none/x.onnx"], "tl-tui: none/x.onnx: No such file or directory\n")
    refused([NAME, "file/x.onnx"], "tl-tui: file/x.onnx: Not a directory\n")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "onnxruntime", None)
        refused([NAME], "this needs onnxruntime: `bash setup.sh` installs it")
    os.truncate(best, 2_580_000_000)  # a sparse file
    refused([NAME], "best.safetensors has 2.58 GB; PyTorch writes no ONNX file of more than 1.6 GB")
    best.unlink()
    refused([NAME], "no network of its runs is saved")
    assert not [*folder.rglob("*.onnx*")]
