"""Which epoch of a head is kept: what it says of its validation images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2vbench.heads.losses import class_probabilities, loss_by_row
from f2vbench.heads.mlp import Head, Parameters
from f2vbench.heads.padding import LINE, filled, table
from f2vbench.metrics.classification import stacked_auroc


class Look:
    """The validation images of heads that have as many of them, counted in whole lines.

    Args:
        features: of each head, of each encoder (n, width).
        targets: of each head (n, classes).
        positions: of the heads in the stack.
        several: whether an image may have several classes.
    """

    def __init__(
        self,
        head: Head,
        features: Sequence[Sequence[Tensor]],
        targets: Sequence[Tensor],
        positions: Sequence[int],
        several: bool,
        device: torch.device,
    ):
        self._head, self._positions, self._several = head, positions, several
        sizes = torch.tensor([len(each) for each in targets])
        rows = int(sizes[0]) + -int(sizes[0]) % LINE
        self._features = [
            table([filled(own[encoder]) for own in features], rows).to(device) for encoder in range(len(features[0]))
        ]
        held = table([each.float() for each in targets], rows)
        there = torch.arange(rows) < sizes[:, None]
        self._targets, self._weights = held.to(device), (there / sizes[:, None]).double().to(device)
        self._held, self._there = held.numpy() > 0, there.numpy()

    def at(self, parameters: Mapping[str, Tensor]) -> dict[int, tuple[float | None, float]]:
        """Position → macro AUROC over the classes that can be ranked (None: none can) and cross-entropy."""
        with torch.inference_mode():
            everyone = len(self._positions) == len(next(iter(parameters.values())))
            mine = parameters if everyone else {name: p[list(self._positions)] for name, p in parameters.items()}
            logits = self._head.logits(mine, self._features)
            losses = (loss_by_row(logits, self._targets, self._several).double() * self._weights).sum(1).tolist()
            areas = stacked_auroc(class_probabilities(logits, self._several).cpu().numpy(), self._held, self._there)
        return dict(zip(self._positions, zip(_means(areas), losses, strict=True), strict=True))


def look_at(logits: Tensor, targets: Tensor, several: bool) -> tuple[float | None, float]:
    """What `Look` tells of a single head, from (n, classes) logits of its validation images."""
    loss = loss_by_row(logits, targets.float(), several).double().mean()
    areas = stacked_auroc(class_probabilities(logits, several).numpy()[None], targets.numpy()[None])
    return _means(areas)[0], float(loss)


def _means(areas: NDArray[np.float64]) -> list[float | None]:
    """The mean of each row over the classes that can be ranked; None where none can."""
    known = [row[~np.isnan(row)] for row in areas]
    return [float(row.mean()) if len(row) else None for row in known]


@dataclass
class Choice:
    """Which epoch of one head is kept."""

    validation: list[float | None] = field(default_factory=list)
    epoch: int = 0
    kept: Parameters = field(default_factory=dict)
    best: tuple[float, float] = (-math.inf, -math.inf)

    def takes(self, area: float | None, loss: float, last: bool) -> bool:
        """Whether the epoch that gave these is to be kept."""
        self.validation.append(area)
        better = area is not None and (area, -loss) > self.best
        if not better and not (last and not self.kept):
            return False
        self.best = (area, -loss) if area is not None else self.best
        self.epoch = len(self.validation)
        return True
