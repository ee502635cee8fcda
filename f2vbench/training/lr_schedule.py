"""The learning rate over a training: it rises, stays, and falls to zero."""

from __future__ import annotations

import math

from f2vbench.training.settings import TrainSettings


def rate_factor(settings: TrainSettings, epoch: int, batch: int, batches: int) -> float:
    """Share of the full learning rate for a batch.

    In ``warmup_epochs`` it rises from batch to batch, on a line. Until the end of ``flat_epochs``, or of the rise where
    that is later, it is 1; then it falls to 0, on a line or as half a cosine (He et al. 2022), changed once an epoch or
    every ``update_every`` batches.

    Args:
        epoch, batch: from 0.
        batches: in an epoch.
    """
    done = epoch * batches + batch
    rise = settings.warmup_epochs * batches
    if done < rise:
        return (done + 1) / rise
    now = float(epoch)
    if settings.update_every is not None:
        now = done // settings.update_every * settings.update_every / batches
    start = max(settings.flat_epochs, settings.warmup_epochs)
    falling = settings.epochs - start
    fallen = max(0.0, now - start) / falling if falling else 0.0
    return 1 - fallen if settings.fall == "linear" else (1 + math.cos(math.pi * fallen)) / 2
