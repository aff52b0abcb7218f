import psutil
import pytest
import torch

from engine.devices.device import choose_device, describe, is_built_for
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
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90"])


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


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_a_gpu_for_which_this_torch_has_no_kernels(two_gpus, monkeypatch, asked):
    """It is there, and every run on it would fail; hours on the CPU instead are for a person to choose."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    with pytest.raises(UserError, match=r"is not built for Tesla V100 \(compute capability 7\.0\)"):
        choose_device(asked)


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 6), ["sm_75", "sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((9, 0), ["sm_90a"], True),
        ((12, 0), ["sm_100", "sm_120"], True),
        ((12, 0), ["sm_90", "sm_100"], False),
        ((7, 0), ["compute_90"], False),
        ((9, 0), ["gfx942"], True),  # AMD's, whose cards tell a capability too
        ((9, 0), [], True),
    ],
)
def test_which_builds_run_on_which_cards(capability, architectures, runs):
    assert is_built_for(*capability, architectures) is runs


def test_the_cpu_in_words():
    found = describe(CPU)
    assert found.torch_name == "cpu"
    assert found.hardware
    assert found.memory == psutil.virtual_memory().total
    assert found.cores == torch.get_num_threads()  # of all here, as many as the tests' environment says
