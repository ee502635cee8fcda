"""Inner feature maps of the global generator, which the attention and PatchNCE losses use."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from f2vbench.encoders.global_generator import GlobalGenerator, ResidualBlock, SkipState, at_position
from f2vbench.encoders.model_family import GeneratorShape

_PUBLISHED_LAST = GeneratorShape(6, 3).last_convolution


def nce_layers(shape: GeneratorShape) -> tuple[int, ...]:
    """Layers of the generator whose maps PatchNCE compares: 0, 4, 8, 12 and 16 in the published shape.

    These are the released code's. Other shapes have the layers of the same kinds: the padded input, every fourth layer
    of the downsampling, and the first residual block.
    """
    return (*range(0, 4 * shape.downsamplings, 4), shape.blocks_start)


def attention_layer(shape: GeneratorShape, published: int) -> int:
    """The layer of a shape that corresponds to layer 36 or 38 of the published shape."""
    return shape.last_convolution - (_PUBLISHED_LAST - published)


def forward_layers(
    generator: nn.Sequential, x: Tensor, layers: Collection[int] = (), *, checkpointing: bool = False
) -> tuple[Tensor, dict[int, Tensor]]:
    """Run a generator, or its first layers, and return some of its feature maps.

    The map of a normalisation (layer 8) is rectified, because the ReLU after it works in place. The maps of the second
    half contain what skips add to them, the last one also the position in the video.

    Args:
        generator: A ``global_generator`` or a slice of it that starts at 0.
        x: (n, inputs, h, w) in [−1, 1].
        layers: Indices of the layers whose output is returned.
        checkpointing: Recompute the residual blocks in the backward pass, which saves the memory of their maps.

    Returns:
        The output, and the maps by index.
    """
    maps: dict[int, Tensor] = {}
    whole = generator if isinstance(generator, GlobalGenerator) else None
    skips, inputs = SkipState(whole.shape) if whole is not None else None, x
    for index, layer in enumerate(generator):
        if isinstance(layer, nn.ConvTranspose2d):
            x = x.contiguous()  # the memory layout of its weights
        if checkpointing and torch.is_grad_enabled() and isinstance(layer, ResidualBlock):
            x = cast(Tensor, checkpoint(layer, x, use_reentrant=False))
        else:
            x = layer(x)
        if whole is not None and skips is not None:
            x = skips.after(index, x)
            if index == whole.shape.last_feature_map:
                x = at_position(x, whole.time, inputs)
        if index in layers:
            maps[index] = x
    return x, maps
