"""Inner feature maps of the global generator, which the attention and PatchNCE losses use."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from f2vbench.encoders.global_generator import ResidualBlock

NCE_LAYERS = (0, 4, 8, 12, 16)
"""Layers of the generator whose maps PatchNCE compares, as in the released code."""


def forward_layers(
    generator: nn.Sequential, x: Tensor, layers: Collection[int] = (), *, checkpointing: bool = False
) -> tuple[Tensor, dict[int, Tensor]]:
    """Run a generator, or its first layers, and return some of its feature maps.

    The map of a normalisation (layer 8) is rectified, because the ReLU after it works in place.

    Args:
        generator: A ``global_generator`` or a slice of it that starts at 0.
        x: (n, inputs, h, w) in [−1, 1].
        layers: Indices of the layers whose output is returned.
        checkpointing: Recompute the residual blocks in the backward pass, which saves the memory of their maps.

    Returns:
        The output, and the maps by index.
    """
    maps: dict[int, Tensor] = {}
    for index, layer in enumerate(generator):
        if isinstance(layer, nn.ConvTranspose2d):
            x = x.contiguous()  # the memory layout of its weights
        if checkpointing and torch.is_grad_enabled() and isinstance(layer, ResidualBlock):
            x = cast(Tensor, checkpoint(layer, x, use_reentrant=False))
        else:
            x = layer(x)
        if index in layers:
            maps[index] = x
    return x, maps
