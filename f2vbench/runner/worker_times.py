"""Expected time of a run on any number of workers, and the parts of its work."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from f2vbench.runner.work_items import Item


@dataclass
class WorkParts:
    """Seconds of one worker in each part of the work.

    Attributes:
        encoding: In encoders.
        reading: Reading and preparing photographs and stored features, and writing features.
        training: Training of heads and decoders, and of encoders that are fine-tuned.
        testing: Predictions and metrics of test images.
    """

    encoding: float = 0.0
    reading: float = 0.0
    training: float = 0.0
    testing: float = 0.0

    @property
    def seconds(self) -> float:
        """All parts together."""
        return self.encoding + self.reading + self.training + self.testing

    def add(self, other: WorkParts) -> None:
        """Add the seconds of other work."""
        for part, seconds in vars(other).items():
            setattr(self, part, getattr(self, part) + seconds)


@dataclass(frozen=True)
class ItemTime:
    """A work item with its expected time in seconds."""

    item: Item
    seconds: float


def time_on_workers(items: Sequence[ItemTime], workers: int) -> float:
    """Seconds until all items are completed, if each worker that is free takes the next item.

    Args:
        items: Items in the order of the run.
        workers: Number of workers, all as fast as this machine.

    Returns:
        At least the time of the longest item and the sum divided by the number of workers.
    """
    if not items:
        return 0.0
    ends = [0.0] * min(workers, len(items))
    for item in items:
        heapq.heapreplace(ends, ends[0] + item.seconds)
    return max(ends)
