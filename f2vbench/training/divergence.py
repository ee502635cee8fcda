"""Stops a training that can't recover, instead of letting it waste days."""

from __future__ import annotations

import math
from collections.abc import Mapping

from f2vbench.errors import F2VBenchError

_FLAT = 0.004  # standard deviation in [−1, 1]: half a grey level of 255
_PATIENCE = 50


class TrainingError(F2VBenchError):
    """A training diverged or collapsed."""


class Watch:
    """Looks at the losses of each batch."""

    def __init__(self) -> None:
        self._flat = 0

    def look(self, losses: Mapping[str, float], where: str) -> None:
        """Take note of a batch.

        Args:
            losses: what a learner's step returns.
            where: of the batch, for the message.

        Raises:
            TrainingError: a loss is NaN or infinite, or the network has given one even grey for 50 batches.
        """
        broken = [name for name, value in losses.items() if not math.isfinite(value)]
        if broken:
            raise TrainingError(
                f"{where}: training diverged ({', '.join(broken)} not finite); the last checkpoint is from before. "
                "Begin again in another folder (out=) with a lower learning_rate, or with precision=float32"
            )
        self._flat = self._flat + 1 if losses["contrast"] < _FLAT else 0
        if self._flat >= _PATIENCE:
            raise TrainingError(
                f"{where}: training collapsed: for {_PATIENCE} batches the network has given nothing but one grey. "
                "Begin again in another folder (out=) with a lower learning_rate; for angiograms also more loss.pixel "
                "or less loss.gan"
            )
