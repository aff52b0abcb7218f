"""An ONNX file answers as the network that it was made of, or is refused."""

from __future__ import annotations

import ast
import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from engine import onnx_file
from engine.data.squares import square
from engine.errors import UserError
from engine.models.backbones import ConvHead
from engine.onnx_file import write
from engine.predict import TrainedNetwork, load_network, predictions_of
from tests.engine.test_predict import COLD_OR_WARM, network, photographs

WHOSE = {"experiment": "ants-20261123-120000", "run": "tuned-0"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    return load_network(network(tmp_path_factory.mktemp("weights"), "squeezenet1_1")[0], "cpu")


@pytest.fixture(scope="module")
def written(small: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    assert write(small, path, WHOSE) < 1e-5
    assert [*path.parent.iterdir()] == [path], "the weights are in it"
    return path


def answers(path: Path, images: np.ndarray[Any, np.dtype[np.float32]]) -> Tensor:
    (said,) = onnxruntime.InferenceSession(path).run(["probabilities"], {"images": images})
    return torch.from_numpy(said)


def without(network: TrainedNetwork, alike: str) -> TrainedNetwork:
    """The network without layers of these names, which are like others of it: each takes the exporter a while."""
    names = [name for name, _ in network.module.named_modules() if re.fullmatch(alike, name)]
    assert names
    for name in names:
        network.module.set_submodule(name, nn.Identity())
    return network


def with_head(small: TrainedNetwork, factor: float) -> TrainedNetwork:
    """The network, with its last layer's weights that many times as large."""
    module = copy.deepcopy(small.module)
    (head,) = (layer for layer in module.modules() if isinstance(layer, ConvHead))
    with torch.no_grad():
        head.weight.mul_(factor)
    return small._replace(module=module)


def test_it_says_what_the_network_says_of_images_in_0_to_1(
    small: TrainedNetwork, written: Path, tmp_path: Path
) -> None:
    paths = [str(path) for path in photographs(tmp_path).values()]
    side, crop = small.preprocessing.resize, small.preprocessing.crop
    start = (side - crop) // 2
    squares = np.stack([square(path, side) for path in paths])[:, start : start + crop, start : start + crop]
    images = squares.transpose(0, 3, 1, 2).astype(np.float32) / 255
    wanted = torch.tensor([said.probabilities for said in predictions_of(small, paths)])
    assert wanted.std(0).min() > 0.01, "it tells these images apart"
    torch.testing.assert_close(answers(written, images), wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(answers(written, images[:1]), wanted[:1], atol=1e-5, rtol=1e-4)


def test_the_documents_example_says_what_the_network_says(
    small: TrainedNetwork,
    written: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photographs(tmp_path)["turned.jpg"].rename(tmp_path / "IMAGE")
    shutil.copy(written, tmp_path / "best.onnx")
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
    exec(text.split("```python\n")[1].split("```")[0], {})
    (said,) = predictions_of(small, ["IMAGE"])
    wanted = dict(zip(COLD_OR_WARM, said.probabilities, strict=True))
    assert ast.literal_eval(capsys.readouterr().out) == pytest.approx(wanted, abs=1e-3)


def test_it_says_of_itself_what_it_was_made_from_and_nothing_of_the_machine(
    small: TrainedNetwork, written: Path
) -> None:
    session = onnxruntime.InferenceSession(written)
    (images,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["batch", 3, 224, 224])
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["batch", 2])
    told = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert told["classes"] == list(COLD_OR_WARM) and told["preprocessing"]["crop"] == 224
    assert told["strategy"]["backbone"] == "squeezenet1_1"
    assert {name: told[name] for name in WHOSE} == WHOSE
    for module in (onnx_file, torch):
        assert str(Path(str(module.__file__)).parent).encode() not in written.read_bytes()


def test_other_answers_are_refused(small: TrainedNetwork, written: Path) -> None:
    graph = onnx_file.Graph(small)
    assert onnx_file.difference(graph, written, 224) < 1e-5
    graph.mean.zero_()  # as where a graph had no normalisation
    with pytest.raises(UserError, match=r"does not match the network: probabilities differ by up to 0\.\d"):
        onnx_file.difference(graph, written, 224)
    with pytest.raises(UserError, match="differ by up to nan"):
        onnx_file.difference(onnx_file.Graph(with_head(small, float("nan"))), written, 224)
    cut = written.with_name("cut.onnx")
    cut.write_bytes(written.read_bytes()[:-1000])
    with pytest.raises(UserError, match="onnxruntime cannot run the exported file: "):
        onnx_file.difference(graph, cut, 224)


def test_a_network_that_is_sure_is_written_and_small_probabilities_tell_what_is_wrong(
    small: TrainedNetwork, tmp_path: Path
) -> None:
    sure = with_head(small, 20)
    path = tmp_path / "sure.onnx"
    write(sure, path, WHOSE)
    graph = onnx_file.Graph(sure)
    graph.mean.zero_()
    with pytest.raises(UserError, match=r"differ by up to \de-0[78],"):
        onnx_file.difference(graph, path, 224)


def test_what_cannot_be_exported_is_told_in_a_line(small: TrainedNetwork, tmp_path: Path) -> None:
    class Choosy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))

    with pytest.raises(UserError, match="PyTorch cannot export this network: ") as raised:
        write(small._replace(module=Choosy()), tmp_path / "a.onnx", WHOSE)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.slow
def test_a_backbone_that_sees_its_input_otherwise(tmp_path: Path) -> None:
    whole = load_network(network(tmp_path, "googlenet")[0], "cpu")
    whole.module.set_submodule("inception4a", nn.Conv2d(480, 1024, 1))  # in the place of seven such layers
    assert write(without(whole, r"inception(4[b-e]|5.)"), tmp_path / "a.onnx", WHOSE) < 1e-5


@pytest.mark.slow
def test_a_backbone_that_has_versions_of_its_state(tmp_path: Path) -> None:
    whole = load_network(network(tmp_path, "mnasnet0_5")[0], "cpu")
    assert write(without(whole, r"layers\.\d+\.[1-9]"), tmp_path / "a.onnx", WHOSE) < 1e-5
