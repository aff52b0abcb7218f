"""The script of docs/ says of images what the run that trained the network said of them."""

import json
import runpy
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from engine.data.discover import discover
from engine.experiment import run
from engine.log import EventLog
from engine.presets import presets
from engine.spec import DataSource, Experiment
from engine.strategy import changed_strategy

SCRIPT = Path(__file__).parents[2] / "docs" / "predict.py"


@pytest.mark.parametrize("name", ["resnet18-finetune", "mobilenetv3-extract"])
def test_the_script_says_what_the_run_said(name: str, image_folder: Callable[..., Path], tmp_path: Path) -> None:
    strategy = changed_strategy(presets()[name], epochs=1, batch_size=4)
    asked = Experiment((strategy,), DataSource(path=str(image_folder())), weights="none", precision="fp32")
    with EventLog(tmp_path) as log:
        run(asked, discover(asked.data), log, deque())
    with safe_open(tmp_path / "predictions" / f"{name}-0.safetensors", "pt") as said:
        paths, logits = json.loads(said.metadata()["paths"]), said.get_tensor("logits")
    predict = runpy.run_path(str(SCRIPT))["predict"]
    classes, probabilities = predict(str(tmp_path / "checkpoints" / f"{name}-0" / "best.safetensors"), paths)
    assert classes == ["cold", "warm"]
    torch.testing.assert_close(probabilities, logits.softmax(1), atol=1e-3, rtol=1e-3)
