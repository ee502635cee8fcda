"""Interface of classification heads, their loss and their probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

Parameters = dict[str, Tensor]


class Head(ABC):
    """A head that does not store its parameters, so that many heads of one shape can be computed as one batch.

    Parameters, dropout masks and features may be padded with zeros (`f2vbench.heads.stacked_layers`).

    Attributes:
        hidden_widths: Widths of the hidden layers, which have dropout.
        dropout: Fraction of each hidden layer that a training step drops.
    """

    hidden_widths: Sequence[int]
    dropout: float

    @abstractmethod
    def initial_parameters(self, generator: Generator) -> Parameters:
        """Draw the parameters of one head before training."""

    def dropout_masks(self, generator: Generator, rows: int) -> list[Tensor]:
        """Draw the factors of one head's hidden layers for one batch.

        Args:
            generator: Random stream of the head.
            rows: Number of images in the batch.

        Returns:
            (rows, width) for each hidden layer.
        """
        return [dropout_mask(generator, rows, width, self.dropout) for width in self.hidden_widths]

    @abstractmethod
    def logits(
        self, parameters: Mapping[str, Tensor], features: Sequence[Tensor], masks: Sequence[Tensor] = ()
    ) -> Tensor:
        """Compute the logits of a stack of heads.

        Args:
            parameters: Tensors with the stack as their first axis, by name.
            features: (stack, n, width) for each encoder.
            masks: (stack, n, width) for each hidden layer; without masks there is no dropout.

        Returns:
            (stack, n, classes).
        """


def dropout_mask(generator: Generator, rows: int, width: int, dropout: float) -> Tensor:
    """Draw a (rows, width) dropout mask: 0 with probability ``dropout``, else 1 / (1 − dropout)."""
    return (torch.rand((rows, width), generator=generator) >= dropout) / (1 - dropout)


def smooth_targets(targets: Tensor, smoothing: float, multi_label: bool) -> Tensor:
    """Apply label smoothing.

    Args:
        targets: (…, classes) bool.
        smoothing: Fraction that is distributed over all classes, or over present and absent when ``multi_label``.
        multi_label: Whether an image can have several classes.

    Returns:
        (…, classes) float32 in [0, 1].
    """
    return targets.float() * (1 - smoothing) + smoothing / (2 if multi_label else targets.shape[-1])


def cross_entropy_by_row(logits: Tensor, targets: Tensor, multi_label: bool) -> Tensor:
    """Compute the cross-entropy of each row.

    Args:
        logits: (…, n, classes).
        targets: (…, n, classes) in [0, 1].
        multi_label: Whether to take the mean of the binary cross-entropies of the classes.

    Returns:
        (…, n).
    """
    if multi_label:
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)
    return -(targets * functional.log_softmax(logits, -1)).sum(-1)


def class_probabilities(logits: Tensor, multi_label: bool) -> Tensor:
    """Convert (…, classes) logits to probabilities: sigmoid for multi-label, else softmax."""
    return torch.sigmoid(logits) if multi_label else torch.softmax(logits, -1)
