"""The learning-rate schedule: linear warm-up, a constant phase, and decay to zero."""

from __future__ import annotations

import math

from f2vbench.training.settings import TrainSettings


def learning_rate_factor(settings: TrainSettings, epoch: int, batch: int, batches: int) -> float:
    """Share of the full learning rate in a batch.

    During ``warmup_epochs`` it rises linearly from batch to batch. Until the end of ``flat_epochs``, or of the warm-up
    where that is later, it is 1. Then it decays to 0, linearly or as half a cosine (He et al. 2022), and changes once
    an epoch or every ``update_every`` batches.

    Args:
        settings: Of the training.
        epoch: Counted from 0.
        batch: Of the epoch, counted from 0.
        batches: Number of batches in an epoch.

    Returns:
        A factor in [0, 1].
    """
    done = epoch * batches + batch
    warmup = settings.warmup_epochs * batches
    if done < warmup:
        return (done + 1) / warmup
    now = float(epoch)
    if settings.update_every is not None:
        now = done // settings.update_every * settings.update_every / batches
    start = max(settings.flat_epochs, settings.warmup_epochs)
    decay_epochs = settings.epochs - start
    decayed = max(0.0, now - start) / decay_epochs if decay_epochs else 0.0
    return 1 - decayed if settings.fall == "linear" else (1 + math.cos(math.pi * decayed)) / 2
