import psutil
import pytest
import torch

from engine.devices.device import choose_device, describe
from engine.errors import UserError

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_is_the_cpu_where_there_is_nothing_else(without_gpu):
    assert choose_device("auto") == CPU
    assert choose_device("cpu") == CPU


def test_auto_is_the_first_gpu(two_gpus):
    assert choose_device("auto") == CUDA
    assert str(choose_device("cuda")) == "cuda:0"
    assert str(choose_device("cuda:1")) == "cuda:1"


@pytest.mark.parametrize("asked", ["cuda", "cuda:1", "mps", "meta", "gpu", "", "cuda:x", "cpu:-3"])
def test_a_device_that_is_not_there_is_one_line(without_gpu, asked):
    with pytest.raises(UserError, match=r"^device: ") as caught:
        choose_device(asked)
    assert "\n" not in str(caught.value)


def test_a_gpu_too_many(two_gpus):
    with pytest.raises(UserError, match="there is no cuda:2, cuda:0 to cuda:1"):
        choose_device("cuda:2")


def test_the_cpu_in_words():
    found = describe(CPU)
    assert found.torch_name == "cpu"
    assert found.hardware
    assert found.memory == psutil.virtual_memory().total
