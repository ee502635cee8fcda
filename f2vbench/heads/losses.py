"""What heads are trained to make small, row by row, and their probabilities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def smoothed(targets: Tensor, smoothing: float, several: bool) -> Tensor:
    """Targets with label smoothing: a part ``smoothing`` is spread over all classes (or over yes and no)."""
    return targets.float() * (1 - smoothing) + smoothing / (2 if several else targets.shape[-1])


def loss_by_row(logits: Tensor, targets: Tensor, several: bool) -> Tensor:
    """Cross-entropy of each row: (…, n) of (…, n, classes) logits and targets in [0, 1]."""
    if several:
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)
    return -(targets * functional.log_softmax(logits, -1)).sum(-1)


def class_probabilities(logits: Tensor, several: bool) -> Tensor:
    """(…, classes) in [0, 1]: sigmoid where an image may have several classes, else softmax."""
    return torch.sigmoid(logits) if several else torch.softmax(logits, -1)
