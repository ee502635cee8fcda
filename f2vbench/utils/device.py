"""Device, arithmetic and number of threads of computations with torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from f2vbench.errors import SettingsError


def torch_device(name: str) -> torch.device:
    """Return the device for a value of ``device=``.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:<n>``, or ``auto`` for the first GPU, or the CPU if there is none.

    Raises:
        SettingsError: This machine has no such GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"device={name}: this machine has {torch.cuda.device_count()} usable GPUs; use device=cpu")
    return device


def arithmetic(precision: str, device: torch.device) -> str:
    """Return the arithmetic of encoding and training, ``bf16`` or ``float32``; weights stay in float32.

    Args:
        precision: One of these, or ``auto``: bf16 on a GPU or a processor that multiplies it.
        device: Device to compute on.
    """
    if precision != "auto":
        return precision
    multiplies_bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else has_bf16()
    return "bf16" if multiplies_bf16 else "float32"


def has_bf16() -> bool:
    """Whether the CPU has bfloat16 instructions (AVX-512 BF16, AMX); False where PyTorch does not know, before 2.9."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Compute with a number of threads in the block, and restore the previous number afterwards.

    Args:
        count: Number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bf16_autocast(device: torch.device, enabled: bool) -> AbstractContextManager[object]:
    """Autocast to bfloat16 on a device, or a context without effect."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
