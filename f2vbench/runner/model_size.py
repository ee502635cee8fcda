"""How large a network is: its parameters, and the multiply-adds of encoding one photograph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from f2vbench.encoders.base import Encoder
from f2vbench.runner.extraction import encode
from f2vbench.store.extraction_log import NetworkSize


def operations(encoder: Encoder, what: str, square: np.ndarray, device: torch.device, precision: str) -> NetworkSize:
    """Parameters and multiply-adds of encoding one photograph as a run does.

    ``parameters`` are those of the encoder, and of the decoder where frames are generated. ``macs`` are the products of
    convolutions, linear layers and attention, half of what PyTorch's counter of floating-point operations gives;
    element-wise steps, norms and resizing are not counted.

    Args:
        square: (side, side, 3) uint8.
    """
    used = {id(held): held.numel() for held in encoder.parameters()}

    def note(module: nn.Module, _: Any, __: Any) -> None:
        used.update({id(held): held.numel() for held in module.parameters(recurse=False)})

    hook = register_module_forward_hook(note)
    try:
        # Attention in one kernel is not in the counter's table on every device; its plain form is.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            encode(encoder, what, [square], device, precision)
    finally:
        hook.remove()
    return {"parameters": sum(used.values()), "macs": counter.get_total_flops() // 2}
