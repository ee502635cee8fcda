"""Fusion head on the embeddings of several encoders.

Each embedding is projected to one width; the projections are joined by soft attention, by their mean or by
concatenation, and an MLP follows.

The Fundus2Video foundation-model paper joins the features of two encoders "using soft attention" before an MLP, without
further detail. Here the score of an encoder for an image is v·tanh(U h) of its projected embedding h, with U and v
shared by the encoders (additive attention; Bahdanau, Cho and Bengio, ICLR 2015). A softmax over the encoders gives the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from f2vbench.heads.base import Head, Parameters
from f2vbench.heads.mlp import Mlp
from f2vbench.heads.stacked_layers import initial_linear, linear


class Fusion(Head):
    """Head on the embeddings of several encoders.

    Args:
        inputs: Width of each encoder's embedding.
        method: ``attention``, ``mean`` or ``concat``.
        width: Width of the projections.
        widths: Widths of the hidden layers of the MLP.
        outputs: Number of classes.
        dropout: Fraction of each hidden layer of the MLP that a training step drops.
    """

    def __init__(
        self, inputs: Sequence[int], method: str, width: int, widths: Sequence[int], outputs: int, dropout: float
    ):
        self.inputs, self.method, self.width = list(inputs), method, width
        self.mlp = Mlp(width * len(inputs) if method == "concat" else width, widths, outputs, dropout)
        self.hidden_widths, self.dropout = self.mlp.hidden_widths, dropout

    def initial_parameters(self, generator: Generator) -> Parameters:
        """Draw the projections, the attention layers and the MLP uniformly in ± 1/√inputs."""
        parameters: Parameters = {}
        for number, inputs in enumerate(self.inputs):
            parameters |= initial_linear(f"project{number}", inputs, self.width, generator)
        if self.method == "attention":
            parameters |= initial_linear("attend.hidden", self.width, self.width, generator)
            parameters |= initial_linear("attend.score", self.width, 1, generator)
        return parameters | self.mlp.initial_parameters(generator)

    def logits(
        self, parameters: Mapping[str, Tensor], features: Sequence[Tensor], masks: Sequence[Tensor] = ()
    ) -> Tensor:
        """Compute (stack, n, classes) logits from the features of all encoders."""
        projected = self._project(parameters, features)
        if self.method == "concat":
            joined = projected.flatten(2)
        elif self.method == "mean":
            joined = projected.mean(2)
        else:
            joined = (projected * self._weights(parameters, projected)).sum(2)
        return self.mlp.logits(parameters, [joined], masks)

    def attention(self, parameters: Mapping[str, Tensor], features: Sequence[Tensor]) -> Tensor:
        """Compute the attention weights.

        Args:
            parameters: Tensors with the stack as their first axis, by name.
            features: (stack, n, width) for each encoder.

        Returns:
            (stack, n, encoders); the weights of an image sum to 1.
        """
        return self._weights(parameters, self._project(parameters, features))[..., 0]

    def _project(self, parameters: Mapping[str, Tensor], features: Sequence[Tensor]) -> Tensor:
        """Return the projected embeddings, (stack, n, encoders, width)."""
        return torch.stack([linear(parameters, f"project{number}", x) for number, x in enumerate(features)], 2)

    def _weights(self, parameters: Mapping[str, Tensor], projected: Tensor) -> Tensor:
        """Return the attention weights, (stack, n, encoders, 1), computed one head after another.

        In a batch, the last bit of a product with one column, or of a tanh, would depend on the other heads. The
        tensors are so small that a batch would save little.
        """
        names = ("hidden.weight", "hidden.bias", "score.weight", "score.bias")
        attend = [parameters[f"attend.{name}"] for name in names]
        weights = []
        for head, hidden_weight, hidden_bias, score_weight, score_bias in zip(projected, *attend, strict=True):
            hidden = torch.tanh(torch.addmm(hidden_bias, head.flatten(0, 1), hidden_weight))
            scores = torch.addmm(score_bias, hidden, score_weight)[:, :1]
            weights.append(scores.reshape(*head.shape[:2], 1).softmax(1))
        return torch.stack(weights)
