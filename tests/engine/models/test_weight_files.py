"""Which file a backbone's weights are, and whether it is here, without torch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.models import names, weight_files
from engine.models.backbones import backbone_names, default_weights
from engine.models.weight_files import default_files, hub_cache, is_here
from engine.models.weights import MIRRORS, WeightsError, find

RESNET = "resnet18-f37072fd.pth"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    hub_cache().mkdir(parents=True)
    return hub_cache()


def test_the_files_in_torchvisions_source_are_those_it_loads():
    assert default_files() == {name: default_weights(name).url.rpartition("/")[2] for name in backbone_names()}


@pytest.mark.parametrize("home", ["/weights", "~/weights", None])
@pytest.mark.parametrize("cache", ["/cache", "~/cache", None])
def test_the_folder_is_torchs(home: str | None, cache: str | None, monkeypatch: pytest.MonkeyPatch):
    for name, value in (("TORCH_HOME", home), ("XDG_CACHE_HOME", cache)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert hub_cache() == Path(torch.hub.get_dir(), "checkpoints")


def test_the_cache_holds_torchvisions_file_or_the_one_it_was_converted_to(hub: Path):
    assert {mirror.converted for mirror in MIRRORS.values() if mirror.converted} == {*weight_files.CONVERTED.values()}
    for name in (RESNET, weight_files.CONVERTED[RESNET]):
        assert not is_here("resnet18", "default")
        (hub / name).touch()
        assert is_here("resnet18", "default") and not is_here("resnet34", "default")
        (hub / name).unlink()


def test_a_path_is_a_folder_with_the_file_or_a_file(hub: Path, tmp_path: Path):
    (hub / RESNET).touch()
    (tmp_path / "other.pth").touch()
    for weights, here in ((hub, True), (hub / RESNET, True), (tmp_path, False), (tmp_path / "other.pth", True)):
        assert is_here("resnet18", str(weights)) == here
    with pytest.raises(WeightsError):
        find("resnet18", str(tmp_path))
    assert not is_here("resnet18", str(tmp_path / "nowhere")) and not is_here("resnet18", "~nobody-of-that-name/x")


def test_nothing_is_missing_where_none_are_asked_for_or_the_file_is_not_known(
    hub: Path, monkeypatch: pytest.MonkeyPatch
):
    assert is_here("resnet18", "none") and is_here("resnet8", "default") and not is_here("resnet18", "default")
    default_files.cache_clear()
    monkeypatch.setattr(names, "find_spec", lambda _name: None)
    assert is_here("resnet18", "default")
    default_files.cache_clear()
