"""``tl-tui rank``: the table, the JSON, and what is not to be had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tui.cli import status


def test_the_best_comes_first_and_json_holds_all(
    image_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(image_folder())
    options = ["--backbones", "mobilenet_v3_small", "--weights", "none", "--device", "cpu"]
    assert status(["rank", data, *options, "--json"]) == 0
    printed = capsys.readouterr()
    (one,) = json.loads(printed.out)["backbones"]
    assert one["backbone"] == "mobilenet_v3_small"
    assert isinstance(one["logme"], float)
    assert status(["rank", data, *options]) == 0
    said = capsys.readouterr().out
    assert "mobilenet_v3_small" in said
    assert "All weights are random (--weights none)" in " ".join(said.split())


def test_nothing_ranked_is_an_exit_status_of_one(
    image_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--backbones", "resnet18", "--weights", str(tmp_path), "--device", "cpu"]
    assert status(["rank", str(image_folder()), *options]) == 1
    assert "skipped resnet18" in capsys.readouterr().out


def test_wrong_usage_is_one_line(image_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["rank", str(image_folder()), "--backbones", ","]) == 2
    assert status(["rank", str(image_folder()), "--backbones", "resnet17"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert "did you mean" in lines[1]
