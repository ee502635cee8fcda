"""Layers of several heads, computed as one batch, and zero padding to common sizes.

On a CPU, the rounding of a matrix product depends on its shape and on the memory alignment of its operands. All
widths are padded to whole cache lines, so that a head gets the same bits in any stack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from f2vbench.heads.base import Parameters

CACHE_LINE = 16
"""Number of float32 values in a cache line of 64 bytes."""


def linear(parameters: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Apply the linear layer of each head of a stack.

    Args:
        parameters: ``<name>.weight`` (stack, inputs, outputs) and ``<name>.bias`` (stack, 1, outputs).
        name: Name of the layer.
        x: (stack, n, inputs).

    Returns:
        (stack, n, outputs).
    """
    return torch.baddbmm(parameters[f"{name}.bias"], x, parameters[f"{name}.weight"])


def initial_linear(name: str, inputs: int, outputs: int, generator: Generator) -> Parameters:
    """Draw a linear layer's parameters uniformly in ± 1/√inputs, as PyTorch does.

    Args:
        name: Name of the layer.
        inputs: Number of input features.
        outputs: Number of output features.
        generator: Source of randomness.

    Returns:
        ``<name>.weight`` (inputs, outputs) and ``<name>.bias`` (1, outputs).
    """
    bound = 1 / math.sqrt(inputs)

    def draw(rows: int) -> Tensor:
        return (torch.rand((rows, outputs), generator=generator) * 2 - 1) * bound

    return {f"{name}.weight": draw(inputs), f"{name}.bias": draw(1)}


def dropout_mask(generator: Generator, rows: int, width: int, dropout: float) -> Tensor:
    """Draw a (rows, width) dropout mask: 0 with probability ``dropout``, else 1 / (1 − dropout)."""
    return (torch.rand((rows, width), generator=generator) >= dropout) / (1 - dropout)


def stack_padded(tensors: Sequence[Tensor], rows: int) -> Tensor:
    """Stack tensors (n, …) to (stack, rows, …), with rows of zeros below each."""
    return torch.stack([torch.cat([each, each.new_zeros(rows - len(each), *each.shape[1:])]) for each in tensors])


def pad_features(features: Tensor) -> Tensor:
    """Pad (n, width) with zero columns to whole cache lines."""
    return functional.pad(features, (0, -features.shape[1] % CACHE_LINE))


def pad_mask(mask: Tensor, rows: int) -> Tensor:
    """Pad a dropout mask (n, width) with zero columns to whole cache lines, and with zero rows to ``rows``."""
    return functional.pad(mask, (0, -mask.shape[1] % CACHE_LINE, 0, rows - mask.shape[0]))


def pad_parameter(name: str, parameter: Tensor) -> Tensor:
    """Pad a weight (inputs, outputs) with zeros to whole cache lines on both axes; a bias keeps its one row."""
    below = 0 if name.endswith(".bias") else -len(parameter) % CACHE_LINE
    return functional.pad(parameter, (0, -parameter.shape[1] % CACHE_LINE, 0, below))
