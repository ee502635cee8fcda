"""Tensors of several heads filled up with zeros to one shape, so that they can be computed as one batch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, stack
from torch.nn import functional

LINE = 16
"""Numbers of 4 bytes in a cache line."""


def table(parts: Sequence[Tensor], rows: int) -> Tensor:
    """(stack, rows, …) of tensors (n, …) with zeros below."""
    return stack([cat([part, part.new_zeros(rows - len(part), *part.shape[1:])]) for part in parts])


def filled_mask(mask: Tensor, rows: int) -> Tensor:
    """A mask (n, width) with zeros to its right and below."""
    return functional.pad(mask, (0, -mask.shape[1] % LINE, 0, rows - mask.shape[0]))


def filled(tensor: Tensor) -> Tensor:
    """(n, width) rows with zeros to their right, to a multiple of a line."""
    return functional.pad(tensor, (0, -tensor.shape[1] % LINE))


def filled_parameter(name: str, tensor: Tensor) -> Tensor:
    """A weight (inputs, outputs) with zeros to the right and below; a bias (1, outputs) stays one row."""
    below = 0 if name.endswith(".bias") else -len(tensor) % LINE
    return functional.pad(tensor, (0, -tensor.shape[1] % LINE, 0, below))
