"""The MLP head on frozen features, and the form that every stacked head has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

Parameters = dict[str, Tensor]


class Head(Protocol):
    """A head whose parameters are held apart from it, so that those of several units can be computed as one batch.

    In `logits` every tensor begins with the axis of the stack; `initial` and `masks` are of one unit. Parameters, masks
    and features may come wider than asked for, filled up with zeros.
    """

    def initial(self, random: Generator) -> Parameters:
        """A unit's parameters before training."""
        ...

    def masks(self, random: Generator, rows: int) -> list[Tensor]:
        """What a step of a unit multiplies its hidden layers with, (rows, width) each: dropout."""
        ...

    def logits(
        self, parameters: Mapping[str, Tensor], features: Sequence[Tensor], masks: Sequence[Tensor] = ()
    ) -> Tensor:
        """(stack, n, classes) from (stack, n, width) features of each encoder; without masks nothing is dropped."""
        ...


class Mlp:
    """Linear layers with ReLU and dropout between them.

    Args:
        inputs: width of the features.
        widths: of the hidden layers; none makes it a linear head.
        outputs: number of classes.
        dropout: part of each hidden layer that a training step drops.
    """

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int, dropout: float):
        self.sizes = [inputs, *widths, outputs]
        self.dropout = dropout

    def initial(self, random: Generator) -> Parameters:
        """Weights and biases uniform in ± 1/√inputs, PyTorch's own start of a linear layer."""
        parameters: Parameters = {}
        for depth, (wide, narrow) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            parameters |= linear_start(f"layer{depth}", wide, narrow, random)
        return parameters

    def masks(self, random: Generator, rows: int) -> list[Tensor]:
        return [dropout_mask(random, rows, width, self.dropout) for width in self.sizes[1:-1]]

    def logits(
        self, parameters: Mapping[str, Tensor], features: Sequence[Tensor], masks: Sequence[Tensor] = ()
    ) -> Tensor:
        (hidden,) = features
        last = len(self.sizes) - 2
        for depth in range(last):
            hidden = torch.relu(linear(parameters, f"layer{depth}", hidden))
            if masks:
                hidden = hidden * masks[depth]
        return linear(parameters, f"layer{last}", hidden)[..., : self.sizes[-1]]


def linear(parameters: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """(stack, n, outputs) of a linear layer whose parameters stand under ``<name>.weight`` and ``<name>.bias``."""
    return torch.baddbmm(parameters[f"{name}.bias"], x, parameters[f"{name}.weight"])


def linear_start(name: str, inputs: int, outputs: int, random: Generator) -> Parameters:
    """``<name>.weight`` (inputs, outputs) and ``<name>.bias`` (1, outputs), uniform in ± 1/√inputs."""
    bound = 1 / math.sqrt(inputs)

    def drawn(rows: int) -> Tensor:
        return (torch.rand((rows, outputs), generator=random) * 2 - 1) * bound

    return {f"{name}.weight": drawn(inputs), f"{name}.bias": drawn(1)}


def dropout_mask(random: Generator, rows: int, width: int, dropout: float) -> Tensor:
    """(rows, width): 0 where a value is dropped, else 1 / (1 − dropout)."""
    return (torch.rand((rows, width), generator=random) >= dropout) / (1 - dropout)
