"""The script of docs/ says of images what the run that trained the network said of them."""

import json
import os
import runpy
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision import models, transforms

from engine import predict
from engine.data.discover import discover
from engine.data.squares import square
from engine.errors import UserError
from engine.logs.log import EventLog
from engine.models.backbones import build, preprocessing
from engine.predict import load_network
from engine.running.experiment import run
from engine.specs.presets import named, presets
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
from engine.training.best import needed_to_use
from engine.training.run import Run
from tests import forked

SCRIPT = Path(__file__).parents[2] / "docs" / "predict.py"
COLD_OR_WARM = ("cold", "warm")


def network(folder: Path, backbone: str) -> tuple[Path, torch.nn.Module]:
    """A network that began as torchvision's own, and the file of it that a run leaves."""
    torch.manual_seed(0)
    aux = {"init_weights": False} if backbone == "googlenet" else {}
    pretrained = models.get_model(backbone, weights=None, **aux).state_dict()
    built = build(backbone, 2, "all", pretrained, 0)
    images = SimpleNamespace(preprocessing=preprocessing(backbone, None))
    made = SimpleNamespace(strategy=named(f"{backbone}-finetune", presets()), images=images, network=built)
    path = folder / f"{backbone}.safetensors"
    save_file(built.module.state_dict(), path, {**needed_to_use(cast(Run, made)), "classes": json.dumps(COLD_OR_WARM)})
    return path, built.module.eval()


@pytest.mark.parametrize(("name", "side"), [("resnet18-finetune", 96), ("mobilenetv3-extract", None)])
def test_the_script_says_what_the_run_said(
    name: str, side: int | None, image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = changed_strategy(presets()[name], epochs=1, batch_size=4, image_size=side)
    asked = Experiment((strategy,), DataSource(path=str(image_folder())), weights="none", precision="fp32")
    with EventLog(tmp_path) as log:
        run(asked, discover(asked.data), log, deque())
    with safe_open(tmp_path / "predictions" / f"{name}-0.safetensors", "pt") as said:
        paths, logits = json.loads(said.metadata()["paths"]), said.get_tensor("logits")
    script = runpy.run_path(str(SCRIPT))["predict"]
    monkeypatch.setitem(script.__globals__, "AT_ONCE", 3)
    answers = list(script(str(tmp_path / "checkpoints" / f"{name}-0" / "best.safetensors"), paths))
    assert [path for path, _ in answers] == paths
    assert all(tuple(said) == COLD_OR_WARM for _, said in answers)
    probabilities = torch.tensor([list(said.values()) for _, said in answers])
    torch.testing.assert_close(probabilities, logits.softmax(1), atol=1e-3, rtol=1e-3)


# with classifiers beside the last one; with versions of its state; with a last layer that torchvision gives no bias
@pytest.mark.parametrize("backbone", ["googlenet", "mnasnet0_5", "maxvit_t"])
def test_the_script_and_the_command_build_the_network_that_was_trained(backbone: str, tmp_path: Path) -> None:
    path, trained = network(tmp_path, backbone)
    loaded, classes, _ = runpy.run_path(str(SCRIPT))["load"](str(path))
    assert tuple(classes) == COLD_OR_WARM
    inputs = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(inputs), trained(inputs))
        torch.testing.assert_close(predict.load_network(path, "cpu").module(inputs), trained(inputs))


def photographs(folder: Path) -> dict[str, Path]:
    """Images that do not lie in their file as they are to be seen."""
    generator = np.random.default_rng(0)
    rough = Image.fromarray(generator.integers(0, 256, (9, 12, 4), np.uint8)).resize(
        (600, 450), Image.Resampling.BICUBIC
    )
    grey = np.asarray(rough.convert("L"), np.uint16)
    turned = Image.Exif()
    turned[0x0112] = 6
    found = {name: folder / name for name in ("turned.jpg", "alpha.png", "palette.png", "deep.png", "float.tiff")}
    rough.convert("RGB").save(found["turned.jpg"], exif=turned)
    rough.save(found["alpha.png"])
    rough.convert("RGB").quantize(16).save(found["palette.png"], transparency=3)
    Image.fromarray(grey * 200).save(found["deep.png"])
    Image.fromarray(grey.astype(np.float32) / 300).save(found["float.tiff"])
    return found


def test_the_script_sees_images_as_the_engine_does(tmp_path: Path) -> None:
    opened = runpy.run_path(str(SCRIPT))["opened"]
    seen = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(64)])
    for name, path in photographs(tmp_path).items():
        apart = np.asarray(seen(opened(str(path), 64)), int) - square(str(path), 64)
        assert abs(apart).max() <= 2, name  # see `squares`


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("preprocessing", '{"resize": 32, "crop": 64, "mean": [0, 0, 0], "std": [1, 1, 1]}'),
        ("preprocessing", '{"resize": 99999999, "crop": 64, "mean": [0, 0, 0], "std": [1, 1, 1]}'),
        ("arguments", '{"transform_input": true}'),
    ],
    ids=["crop", "size", "lacks"],
)
def test_a_damaged_file_of_a_network_is_told_in_a_line(name: str, text: str, tmp_path: Path) -> None:
    path, module = network(tmp_path, "squeezenet1_1")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    state = {key: value for key, value in module.state_dict().items() if name != "arguments" or "7" not in key}
    save_file(state, path, {**metadata, name: text})
    with pytest.raises(UserError, match=r"^.*squeezenet1_1\.safetensors: .*damaged.*$"):
        load_network(path, "cpu")


def test_what_cannot_be_read_is_told_and_the_others_are_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: ")
    weights, _ = network(tmp_path, "squeezenet1_1")
    good = photographs(tmp_path)["turned.jpg"]
    cut = tmp_path / "cut\x1b.jpg"
    cut.write_bytes(good.read_bytes()[:5000])
    arguments = [str(weights), str(good), str(cut), str(tmp_path / "none.jpg"), str(good)]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    first, second = printed.out.splitlines()
    assert first == second and first.startswith(f"{good}: ")
    about_cut, about_none = printed.err.splitlines()
    assert about_cut.startswith(f"{tmp_path}/cut\\x1b.jpg: ") and "truncated" in about_cut
    assert about_none == f"{tmp_path}/none.jpg: No such file or directory"

    ours, theirs = os.pipe()
    os.close(ours)
    code = f"import runpy, sys; sys.argv = {[str(SCRIPT), *arguments]!r}; runpy.run_path(sys.argv[0], None, '__main__')"
    with Path(os.devnull).open("r+") as nothing:
        script = forked.start(["-c", code], (nothing.fileno(), theirs, nothing.fileno()), tmp_path)
        assert script.wait() == -signal.SIGPIPE, "its reader has gone, and it ends without a word"
    os.close(theirs)
