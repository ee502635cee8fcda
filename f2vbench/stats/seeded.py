"""Random numbers by key: each replicate has its own, whatever the batches they are made in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from f2vbench.files import canonical_json, sha256

Key = int | str | Sequence[int | str]

_NUMBERS_A_BATCH = 2_000_000


def generators(purpose: str, key: Key, count: int) -> Iterator[np.random.Generator]:
    """One generator a replicate; the i-th depends on purpose, key and i alone."""
    held = [key] if isinstance(key, int | str) else list(key)
    number = int(sha256(canonical_json([purpose, *held]))[:32], 16)
    for index in range(count):
        yield np.random.default_rng([number, index])


def batches(count: int, numbers: int) -> Iterator[range]:
    """Replicates 0 … count − 1 in batches that hold some 16 MB, where each has so many numbers."""
    step = max(1, _NUMBERS_A_BATCH // numbers)
    for start in range(0, count, step):
        yield range(start, min(start + step, count))
