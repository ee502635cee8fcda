"""Selection of the epoch that is kept, by the scores on validation images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2vbench.heads.base import Head, Parameters, class_probabilities, cross_entropy_by_row
from f2vbench.heads.stacked_layers import CACHE_LINE, pad_features, stack_padded
from f2vbench.metrics.classification import stacked_auroc


class ValidationScore(NamedTuple):
    """Scores on the validation images after an epoch.

    Attributes:
        auroc: Macro AUROC over the classes that have positive and negative images; None if there is no such class.
        loss: Mean cross-entropy; NaN without validation images.
    """

    auroc: float | None = None
    loss: float = math.nan


class ValidationStack:
    """Validation images of several heads, padded to the same number of rows.

    Args:
        head: Shape of the heads.
        features: For each head, the (n, width) features of each encoder.
        targets: For each head, (n, classes) bool. All n must have the same number of whole cache lines.
        positions: Positions of the heads in the stack of all heads.
        multi_label: Whether an image can have several classes.
        device: Device for computation.
    """

    def __init__(
        self,
        head: Head,
        features: Sequence[Sequence[Tensor]],
        targets: Sequence[Tensor],
        positions: Sequence[int],
        multi_label: bool,
        device: torch.device,
    ):
        self._head, self._positions, self._multi_label = head, positions, multi_label
        sizes = torch.tensor([len(each) for each in targets])
        rows = int(sizes[0]) + -int(sizes[0]) % CACHE_LINE
        self._features = [
            stack_padded([pad_features(of_head[encoder]) for of_head in features], rows).to(device)
            for encoder in range(len(features[0]))
        ]
        stacked = stack_padded([each.float() for each in targets], rows)
        valid = torch.arange(rows) < sizes[:, None]
        self._targets, self._weights = stacked.to(device), (valid / sizes[:, None]).double().to(device)
        self._positives, self._valid = stacked.numpy() > 0, valid.numpy()

    def evaluate(self, parameters: Mapping[str, Tensor]) -> dict[int, ValidationScore]:
        """Score these heads, given the parameters of all heads.

        Args:
            parameters: Tensors with the stack of all heads as their first axis, by name.

        Returns:
            Position in the stack of all heads → score.
        """
        with torch.inference_mode():
            if len(self._positions) < len(next(iter(parameters.values()))):
                parameters = {name: tensor[list(self._positions)] for name, tensor in parameters.items()}
            logits = self._head.logits(parameters, self._features)
            losses = cross_entropy_by_row(logits, self._targets, self._multi_label).double() * self._weights
            probabilities = class_probabilities(logits, self._multi_label).cpu().numpy()
            aurocs = _macro_means(stacked_auroc(probabilities, self._positives, self._valid))
        scores = map(ValidationScore, aurocs, losses.sum(1).tolist())
        return dict(zip(self._positions, scores, strict=True))


def validation_score(logits: Tensor, targets: Tensor, multi_label: bool) -> ValidationScore:
    """Score a single head.

    Args:
        logits: (n, classes), of the validation images.
        targets: (n, classes) bool.
        multi_label: Whether an image can have several classes.
    """
    loss = cross_entropy_by_row(logits, targets.float(), multi_label).double().mean()
    aurocs = stacked_auroc(class_probabilities(logits, multi_label).numpy()[None], targets.numpy()[None])
    return ValidationScore(_macro_means(aurocs)[0], float(loss))


def _macro_means(aurocs: NDArray[np.float64]) -> list[float | None]:
    """Return the mean of each row without its NaN, or None for a row of NaN."""
    defined = [row[~np.isnan(row)] for row in aurocs]
    return [float(row.mean()) if len(row) else None for row in defined]


@dataclass
class EpochSelection:
    """The epoch of one head that is kept so far.

    Attributes:
        validation: Validation AUROC after each epoch; None where it is undefined.
        epoch: The selected epoch, from 1.
        parameters: Parameters after that epoch; set by the caller.
    """

    validation: list[float | None] = field(default_factory=list)
    epoch: int = 0
    parameters: Parameters = field(default_factory=dict)
    _best: tuple[float, float] = (-math.inf, -math.inf)

    def select(self, score: ValidationScore, last: bool) -> bool:
        """Record the score of an epoch, and return whether this epoch is the best so far.

        The best epoch has the highest AUROC, among equal ones the smallest loss, then the earliest. Without any
        defined AUROC, the last epoch is selected.

        Args:
            score: Validation score after the epoch.
            last: Whether it is the last epoch.
        """
        self.validation.append(score.auroc)
        rank = None if score.auroc is None else (score.auroc, -score.loss)
        better = rank is not None and rank > self._best
        if not better and not (last and not self.parameters):
            return False
        self._best = self._best if rank is None else rank
        self.epoch = len(self.validation)
        return True
