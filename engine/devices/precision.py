"""Choosing the precision in which a device computes, and setting it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import torch

from engine.errors import UserError
from engine.specs.spec import Arithmetic, Precision


class Bf16(NamedTuple):
    """Whether a device computes in bf16 in hardware, and why that is said."""

    in_hardware: bool
    why: str


def bf16_of(device: torch.device) -> Bf16:
    """Whether bf16 is in the device's hardware: CUDA from compute capability 8.0 on, CPUs with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        has = major >= 8
        return Bf16(has, f"compute capability {major}.{minor} {'has' if has else 'lacks'} bf16 (8.0 and later have it)")
    if device.type == "cpu":
        # every CPU with AMX-BF16 has AVX512-BF16 as well
        has = torch.cpu._is_avx512_bf16_supported()
        return Bf16(has, "the CPU has AVX512-BF16" if has else "the CPU has neither AMX-BF16 nor AVX512-BF16")
    return Bf16(False, f"bf16 is not used on {device.type}")


def choose_precision(device: torch.device, asked: Precision) -> Arithmetic:
    """The precision to train in, see :func:`use_precision`.

    ``auto`` is bf16 where the hardware has it, else fp16 on CUDA cards with tensor cores for it (compute capability
    7.0 and 7.5), else fp32. On CUDA ``fp32`` is IEEE fp32 and ``tf32`` shortens the factors of products to 10 bits, so
    that what is reported is what is computed in. ``bf16`` may be asked of any CPU, where it is emulated, slowly, if
    it is not in the hardware. :class:`engine.errors.UserError` where the device has no such precision.
    """
    chosen = _automatic(device) if asked == "auto" else asked
    has_bf16, why = bf16_of(device)
    if chosen == "bf16" and not has_bf16 and device.type != "cpu":
        raise UserError(f"precision: {why}; use auto or fp32")
    if chosen in ("fp16", "tf32") and device.type != "cuda":
        raise UserError(f"precision: {chosen} is for CUDA devices, not {device.type}; use auto or fp32")
    if chosen == "tf32" and not has_bf16:  # the same cards have both
        raise UserError("precision: tf32 needs a card of compute capability 8.0 or later; use auto or fp32")
    return chosen


def use_precision(device: torch.device, precision: Arithmetic) -> None:
    """Sets up the whole process to compute in it, as fast as the device can."""
    if device.type == "cuda":
        _shorten_products(precision == "tf32")
        torch.backends.cudnn.benchmark = True  # every batch has the same shape: the fastest algorithm is worth a search


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Products in IEEE fp32 meanwhile, also where the process computes in TF32."""
    if device.type != "cuda":
        yield
        return
    shortened = torch.backends.cudnn.allow_tf32
    _shorten_products(False)
    try:
        yield
    finally:
        _shorten_products(shortened)


@contextlib.contextmanager
def any_kernels() -> Iterator[None]:
    """Convolutions on CUDA take a kernel by rule of thumb meanwhile: a search for the fastest one, as
    :func:`use_precision` asks for, takes longer than it gains where a shape comes but once.
    """
    searches = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = searches


def _shorten_products(shorten: bool) -> None:
    """Whether products of fp32 on CUDA are computed in TF32."""
    torch.set_float32_matmul_precision("high" if shorten else "highest")
    # not cudnn.conv.fp32_precision: once set, torch's own cudnn.flags() and torch.compile raise (2.10 to 2.15)
    torch.backends.cudnn.allow_tf32 = shorten


def autocast(device: torch.device, precision: Arithmetic) -> torch.autocast:
    """The context in which a forward pass runs in this precision; parameters stay in fp32."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision in ("bf16", "fp16"))


def gradient_scaler(device: torch.device, precision: Arithmetic) -> torch.amp.GradScaler:
    """Keeps small gradients from vanishing in fp16; does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def _automatic(device: torch.device) -> Arithmetic:
    if bf16_of(device).in_hardware:
        return "bf16"
    return "fp16" if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0) else "fp32"
