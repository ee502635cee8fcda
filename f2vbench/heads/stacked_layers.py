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


def stacked_dropout_masks(
    generators: Sequence[Generator], lengths: Sequence[Sequence[int]], rows: int, widths: Sequence[int], dropout: float
) -> list[list[Tensor]]:
    """Draw the dropout masks of all heads of a stack for an epoch.

    Each head receives the numbers that `f2vbench.heads.base.Head.dropout_masks` would draw for one batch after another,
    but its stream is called once.

    Args:
        generators: Random stream of each head.
        lengths: For each batch, the number of images of each head.
        rows: Number of rows of a batch, padding included.
        widths: Widths of the hidden layers.
        dropout: Fraction that is dropped.

    Returns:
        For each batch and hidden layer (stack, rows, width) factors, with zeros in padded rows and columns; widths are
        padded to whole cache lines.
    """
    padded = [width + -width % CACHE_LINE for width in widths]
    drawn = [[torch.full((len(generators), rows, width), -1.0) for width in padded] for _ in lengths]
    for head, generator in enumerate(generators):
        sizes = [of_batch[head] * width for of_batch in lengths for width in widths]
        parts = iter(torch.split(torch.rand(sum(sizes), generator=generator), sizes))
        for of_batch, layers in zip(lengths, drawn, strict=True):
            for layer, width in zip(layers, widths, strict=True):
                layer[head, : of_batch[head], :width] = next(parts).view(-1, width)
    return [[(layer >= dropout) / (1 - dropout) for layer in layers] for layers in drawn]


def stack_padded(tensors: Sequence[Tensor], rows: int) -> Tensor:
    """Stack tensors (n, …) to (stack, rows, …), with rows of zeros below each."""
    return torch.stack([torch.cat([each, each.new_zeros(rows - len(each), *each.shape[1:])]) for each in tensors])


def pad_features(features: Tensor) -> Tensor:
    """Pad (n, width) with zero columns to whole cache lines."""
    return functional.pad(features, (0, -features.shape[1] % CACHE_LINE))


def pad_parameter(name: str, parameter: Tensor) -> Tensor:
    """Pad a weight (inputs, outputs) with zeros to whole cache lines on both axes; a bias keeps its one row."""
    below = 0 if name.endswith(".bias") else -len(parameter) % CACHE_LINE
    return functional.pad(parameter, (0, -parameter.shape[1] % CACHE_LINE, 0, below))
