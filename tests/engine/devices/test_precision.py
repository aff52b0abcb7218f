from pathlib import Path

import pytest
import torch

from engine.devices import precision as module
from engine.devices.precision import (
    Bf16,
    any_kernels,
    autocast,
    bf16_of,
    choose_precision,
    full_precision,
    gradient_scaler,
    use_precision,
)
from engine.errors import UserError

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize(("has", "auto"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_is_the_hardwares(monkeypatch, has, auto):
    monkeypatch.setattr(module, "bf16_of", lambda _: Bf16(has, "why"))
    assert choose_precision(CPU, "auto") == auto
    assert choose_precision(CPU, "fp32") == "fp32"
    assert choose_precision(CPU, "bf16") == "bf16"


@pytest.fixture
def settings():
    """What a precision on CUDA sets for the whole process is put back."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[:2]
    torch.set_float32_matmul_precision(before[2])


def test_precision_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    assert choose_precision(CUDA, "auto") == "bf16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert choose_precision(CUDA, "auto") == "fp16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    assert choose_precision(CUDA, "auto") == "fp32"
    with pytest.raises(UserError, match=r"precision: compute capability 6\.1 lacks bf16"):
        choose_precision(CUDA, "bf16")


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux lists the CPU's features in a file")
def test_bf16_of_this_cpu_agrees_with_the_kernel():
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    assert bf16_of(CPU).in_hardware == ("avx512_bf16" in flags)


def test_what_only_gpus_have_is_refused_elsewhere():
    for precision in ("fp16", "tf32"):
        with pytest.raises(UserError, match=f"precision: {precision} is for CUDA devices, not cpu"):
            choose_precision(CPU, precision)


def test_tf32_where_the_card_has_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    assert choose_precision(CUDA, "tf32") == "tf32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(UserError, match="tf32 needs a card"):
        choose_precision(CUDA, "tf32")


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_nothing_else_shortens_fp32_and_the_fastest_algorithms_are_looked_for(precision):
    torch.backends.cudnn.benchmark = False
    use_precision(CUDA, "tf32")
    assert torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "high"
    use_precision(CUDA, precision)
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_autocast(precision, dtype):
    layer = torch.nn.Linear(4, 2)
    with autocast(CPU, precision):
        assert layer(torch.ones(1, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32


@pytest.mark.usefixtures("settings")
def test_no_search_for_the_fastest_algorithm_meanwhile():
    use_precision(CUDA, "fp32")
    with any_kernels():
        assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark


@pytest.mark.usefixtures("settings")
def test_exact_fp32_in_a_way_that_torch_can_read():
    use_precision(CUDA, "fp32")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        pass
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.usefixtures("settings")
def test_products_are_full_meanwhile_where_the_process_shortens_them():
    use_precision(CUDA, "tf32")
    with full_precision(CUDA):
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("highest", False)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("high", True)


def test_only_fp16_scales_gradients():
    assert [gradient_scaler(CPU, one).is_enabled() for one in ("fp32", "bf16", "fp16")] == [False, False, True]
