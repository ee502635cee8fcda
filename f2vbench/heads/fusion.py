"""Fusion of several encoders: projections to one width, joined by soft attention, by their mean, or end to end; an MLP.

The Fundus2Video foundation-model paper joins the features of two encoders "using soft attention" before an MLP and says
no more. Here the score of an encoder for an image is v·tanh(U h) of its projected embedding h, with U and v shared by
the encoders (additive attention; Bahdanau, Cho and Bengio, ICLR 2015), and a softmax over encoders gives the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from f2vbench.heads.mlp import Mlp, Parameters, linear, linear_start


class Fusion:
    """A `f2vbench.heads.mlp.Head` on the embeddings of several encoders.

    Args:
        inputs: width of each encoder's embedding.
        how: ``attention``, ``mean`` or ``concat``.
        width: to which each is projected.
        widths, outputs, dropout: as of `f2vbench.heads.mlp.Mlp`, which follows.
    """

    def __init__(
        self, inputs: Sequence[int], how: str, width: int, widths: Sequence[int], outputs: int, dropout: float
    ):
        self.inputs, self.how, self.width = list(inputs), how, width
        self.mlp = Mlp(width * len(inputs) if how == "concat" else width, widths, outputs, dropout)

    def initial(self, random: Generator) -> Parameters:
        parameters: Parameters = {}
        for number, inputs in enumerate(self.inputs):
            parameters |= linear_start(f"project{number}", inputs, self.width, random)
        if self.how == "attention":
            parameters |= linear_start("attend.hidden", self.width, self.width, random)
            parameters |= linear_start("attend.score", self.width, 1, random)
        return parameters | self.mlp.initial(random)

    def masks(self, random: Generator, rows: int) -> list[Tensor]:
        return self.mlp.masks(random, rows)

    def logits(
        self, parameters: Mapping[str, Tensor], features: Sequence[Tensor], masks: Sequence[Tensor] = ()
    ) -> Tensor:
        projected = self._projected(parameters, features)
        if self.how == "concat":
            joined = projected.flatten(2)
        elif self.how == "mean":
            joined = projected.mean(2)
        else:
            joined = (projected * self._weights(parameters, projected)).sum(2)
        return self.mlp.logits(parameters, [joined], masks)

    def attention(self, parameters: Mapping[str, Tensor], features: Sequence[Tensor]) -> Tensor:
        """(stack, n, encoders) weights of the encoders, which add up to 1 for each image."""
        return self._weights(parameters, self._projected(parameters, features))[..., 0]

    def _projected(self, parameters: Mapping[str, Tensor], features: Sequence[Tensor]) -> Tensor:
        """(stack, n, encoders, width)"""
        return torch.stack([linear(parameters, f"project{number}", x) for number, x in enumerate(features)], 2)

    def _weights(self, parameters: Mapping[str, Tensor], projected: Tensor) -> Tensor:
        """(stack, n, encoders, 1), one head after another.

        These few numbers are not worth a batch, in which the last bit of a product with one column, or of a tanh, would
        depend on the heads beside it.
        """
        attend = [
            parameters[f"attend.{name}"] for name in ("hidden.weight", "hidden.bias", "score.weight", "score.bias")
        ]
        weights = []
        for own, hidden, offset, score, start in zip(projected, *attend, strict=True):
            mixed = torch.tanh(torch.addmm(offset, own.flatten(0, 1), hidden))
            weights.append(torch.addmm(start, mixed, score)[:, :1].unflatten(0, own.shape[:2]).softmax(1))
        return torch.stack(weights)
