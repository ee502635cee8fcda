"""Device, arithmetic and threads of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from f2vbench.errors import SettingsError


def torch_device(name: str) -> torch.device:
    """The device that ``device=`` asks for; auto is the first GPU, or else the CPU.

    Raises:
        SettingsError: a GPU is asked for that isn't there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"device={name}: this machine has {torch.cuda.device_count()} usable GPUs; use device=cpu")
    return device


def arithmetic(precision: str, device: torch.device) -> str:
    """``bf16`` or ``float32``; auto takes bf16 where a GPU gains from it."""
    if precision != "auto":
        return precision
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def training_arithmetic(precision: str, device: torch.device) -> str:
    """As `arithmetic`; auto takes bf16 also where a CPU has instructions for it, which features do not get.

    Gradients bear the rounding (the weights stay in float32); stored features are to be the same on every machine.
    """
    if precision == "auto" and device.type == "cpu":
        return "bf16" if has_bf16() else "float32"
    return arithmetic(precision, device)


def has_bf16() -> bool:
    """Whether it multiplies bfloat16 by itself (AVX-512 BF16, AMX); False where PyTorch, before 2.9, does not tell."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Compute with so many threads, and leave the caller's own number as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
