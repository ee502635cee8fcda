"""Pooling of the feature maps of a generator into one embedding.

The mean of the last map, as the Fundus2Video papers pool, averages over the whole photograph what a small lesion
changes in a few places. A generalised mean (Radenović et al., TPAMI 2019) weights large activations more, and the finer
maps know where a vessel or a microaneurysm is one or two pixels wide.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EXPONENT = 3.0
"""Exponent of the generalised mean; 1 is the mean, infinity the maximum."""

_BLOCK = 1 << 18  # values
_SMALLEST = 1e-6  # the root has no finite slope at 0


def pool_levels(maps: Sequence[Tensor]) -> Tensor:
    """Generalised means of all channels of all maps.

    All maps but the last follow a ReLU. The last one follows a residual block and has both signs, so that it has two
    means for each channel: of its positive and of its negative part.

    Args:
        maps: (n, channels[i], height[i], width[i]) each, finest first.

    Returns:
        (n, sum of channels + channels[-1]) float32.
    """
    last = maps[-1]
    return torch.cat([generalised_mean(each) for each in (*maps[:-1], last, -last)], 1)


def generalised_mean(x: Tensor, exponent: float = EXPONENT) -> Tensor:
    """Generalised mean (mean of max(x, 0)^p)^(1/p) of each channel.

    Args:
        x: (n, c, h, w).
        exponent: p, 1 or more.

    Returns:
        (n, c) float32.
    """
    if x.requires_grad or x.device.type != "cpu" or not x.is_contiguous():
        return x.float().clamp(min=_SMALLEST).pow(exponent).mean((2, 3)).pow(1 / exponent)
    # A few channels at a time, which stay in the cache of the processor; their sums are the same to the bit.
    means = [
        block.to(torch.float32, copy=True).clamp_(min=_SMALLEST).pow_(exponent).mean((2, 3))
        for block in torch.split(x, max(1, _BLOCK // x[0, 0].numel()), 1)
    ]
    return torch.cat(means, 1).pow(1 / exponent)
