"""The schedule of a training: by its passes over the data, or by a wall-clock budget."""

from __future__ import annotations

import math

from f2vbench.training.checkpoints import TrainingPosition
from f2vbench.training.settings import TrainSettings

_FIRST_FACTOR = 1e-3  # of the warm-up of a wall-clock budget, which can't count its batches


class Schedule:
    """Maps the position of a training to its place in the schedule, and that to the learning rate.

    The place is counted in epochs, from 0 to ``settings.epochs``. Without ``minutes`` it is the number of passes over
    the data. With ``minutes`` it is the share of the budget that is used, times ``settings.epochs``: a training of any
    length goes through all stages, and another speed of the machine changes the number of passes alone.

    Args:
        settings: Of the training.
        batches: Number of batches in an epoch.
        reserve: With ``minutes``, seconds at the end for validation and export.
    """

    def __init__(self, settings: TrainSettings, batches: int, reserve: float = 0.0):
        self._settings = settings
        self._batches = batches
        self._budget = None if settings.minutes is None else max(60 * settings.minutes - reserve, 1e-9)

    def place(self, position: TrainingPosition) -> float:
        """The place in the schedule, in epochs."""
        if self._budget is not None:
            return self._settings.epochs * min(1.0, position.seconds / self._budget)
        return position.epoch + position.batch / self._batches

    def is_done(self, position: TrainingPosition) -> bool:
        """Whether the training is complete, apart from validation and export."""
        if self._budget is not None:
            return position.seconds >= self._budget
        return position.epoch >= self._settings.epochs

    def learning_rate_factor(self, position: TrainingPosition) -> float:
        """Share of the full learning rate in the next batch.

        During ``warmup_epochs`` it rises linearly from batch to batch. Until the end of ``flat_epochs``, or of the
        warm-up where that is later, it is 1. Then it decays to 0, linearly or as half a cosine (He et al. 2022), and
        changes once an epoch or every ``update_every`` batches; with ``minutes``, with every batch.

        Returns:
            A factor in [0, 1].
        """
        settings, warmup = self._settings, self._settings.warmup_epochs
        now = self.place(position)
        if now < warmup:
            if self._budget is not None:
                return max(now / warmup, _FIRST_FACTOR)
            done = position.epoch * self._batches + position.batch
            return (done + 1) / (warmup * self._batches)
        if self._budget is None:
            now = float(position.epoch)
            if settings.update_every is not None:
                done = position.epoch * self._batches + position.batch
                now = done // settings.update_every * settings.update_every / self._batches
        start = max(settings.flat_epochs, warmup)
        decay_epochs = settings.epochs - start
        decayed = min(1.0, max(0.0, now - start) / decay_epochs) if decay_epochs else 0.0
        return 1 - decayed if settings.fall == "linear" else (1 + math.cos(math.pi * decayed)) / 2
