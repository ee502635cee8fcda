"""What differs between the seeds of a condition."""

from __future__ import annotations

from collections.abc import Iterable

from f2vbench.stats.result_classes import Variation, VariationSource
from f2vbench.store.record_schema import UnitRecord

_TRAINING_FREE = ("zero-shot", "prototype", "knn")


def seed_variation(records: Iterable[UnitRecord], protocol: str) -> Variation:
    """What differs between seeds, according to the episodes: split, support images, seed of the head."""
    episodes = [record["result"]["episode"] for record in records]
    sources: list[VariationSource] = []
    if len({tuple(episode["test"]) for episode in episodes}) > 1:
        sources.append("split")
    if len({tuple(episode["support"]) for episode in episodes}) > 1:
        sources.append("episode")
    if protocol not in _TRAINING_FREE or not sources:
        sources.append("head seed")
    return tuple(sources)
