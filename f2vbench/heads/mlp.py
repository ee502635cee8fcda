"""MLP head on the embeddings of one encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from f2vbench.heads.base import Head, Parameters
from f2vbench.heads.stacked_layers import initial_linear, linear


class Mlp(Head):
    """Linear layers with ReLU and dropout between them.

    Args:
        inputs: Width of the features.
        widths: Widths of the hidden layers; an empty sequence gives a linear head.
        outputs: Number of classes.
        dropout: Fraction of each hidden layer that a training step drops.
    """

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int, dropout: float):
        self.sizes = [inputs, *widths, outputs]
        self.hidden_widths, self.dropout = list(widths), dropout

    def initial_parameters(self, generator: Generator) -> Parameters:
        """Draw weights and biases uniformly in ± 1/√inputs, as `torch.nn.Linear` does."""
        parameters: Parameters = {}
        for depth, (inputs, outputs) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            parameters |= initial_linear(f"layer{depth}", inputs, outputs, generator)
        return parameters

    def logits(
        self, parameters: Mapping[str, Tensor], features: Sequence[Tensor], masks: Sequence[Tensor] = ()
    ) -> Tensor:
        """Compute (stack, n, classes) logits from the features of one encoder."""
        (hidden,) = features
        last = len(self.sizes) - 2
        for depth in range(last):
            hidden = torch.relu(linear(parameters, f"layer{depth}", hidden))
            if masks:
                hidden = hidden * masks[depth]
        return linear(parameters, f"layer{last}", hidden)[..., : self.sizes[-1]]
