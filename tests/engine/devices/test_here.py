"""The devices that are known without torch are those that torch describes."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from engine.devices import cpu, here
from engine.devices.device import choose_device, describe
from engine.logs.events import Device


def test_the_processor_is_described_alike() -> None:
    assert describe(torch.device("cpu")) in here.devices_here()


@pytest.mark.parametrize(("told", "cores"), [("4", 4), ("64", 16), ("", 16), ("0", 16), ("many", 16)])
@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_the_environment_says_on_how_many_cores_torch_computes(
    name: str, told: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "usable_cores", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv(name, told)
    assert here.devices_here()[0].cores == describe(torch.device("cpu")).cores == cores


def test_the_device_that_is_chosen_is_among_them() -> None:
    chosen = describe(choose_device("auto"))
    assert (chosen.torch_name, chosen.hardware) in [(one.torch_name, one.hardware) for one in here.devices_here()]


def test_cards_are_asked_for_from_nvidias_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoneError(Exception):
        pass

    library = SimpleNamespace(
        NVMLError=NoneError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: f"card {handle}",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=10 + handle),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert here.devices_here()[-2:] == [Device("cuda:0", "card 0", 10), Device("cuda:1", "card 1", 11)]

    def gone() -> None:
        raise NoneError

    for missing in (SimpleNamespace(**{**vars(library), "nvmlInit": gone}), None):
        monkeypatch.setitem(sys.modules, "pynvml", missing)
        assert not [one for one in here.devices_here() if one.torch_name.startswith("cuda")]


def test_it_does_not_load_torch() -> None:
    code = "import sys; from engine.devices.here import devices_here; devices_here(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
