"""What this machine's processor can do."""

from __future__ import annotations

import torch


def has_bf16() -> bool:
    """Whether it multiplies bfloat16 by itself (AVX-512 BF16, AMX); False where PyTorch, before 2.9, does not tell."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
