"""Detection of trainings that diverged or collapsed, so that they stop instead of running for days."""

from __future__ import annotations

import math
from collections.abc import Mapping

from f2vbench.errors import F2VBenchError

_UNIFORM_CONTRAST = 0.004  # standard deviation of values in [−1, 1]: half a grey level of 255
_PATIENCE = 50


class TrainingError(F2VBenchError):
    """A training diverged or collapsed."""


class DivergenceCheck:
    """Checks the losses of each batch."""

    def __init__(self) -> None:
        self._uniform_batches = 0

    def check(self, losses: Mapping[str, float], where: str) -> None:
        """Check one batch.

        Args:
            losses: The result of `TrainingMethod.train_step`, with ``contrast``.
            where: Run folder, epoch and cases of the batch, for the message.

        Raises:
            TrainingError: A loss is NaN or infinite, or the output of the network was uniform for 50 batches.
        """
        not_finite = [name for name, value in losses.items() if not math.isfinite(value)]
        if not_finite:
            raise TrainingError(
                f"{where}: training diverged ({', '.join(not_finite)} not finite); the last checkpoint is older. Start "
                "again in another folder (out=) with a lower learning_rate, or with precision=float32"
            )
        self._uniform_batches = self._uniform_batches + 1 if losses["contrast"] < _UNIFORM_CONTRAST else 0
        if self._uniform_batches >= _PATIENCE:
            raise TrainingError(
                f"{where}: training collapsed: the output of the network was uniform for {_PATIENCE} batches. Start "
                "again in another folder (out=) with a lower learning_rate; for angiograms also with a higher "
                "loss.pixel or a lower loss.gan"
            )
