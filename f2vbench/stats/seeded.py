"""Random resamples by key: the i-th depends on what it is for, the key and i alone, however many are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from f2vbench.files import canonical_json, sha256

Key = int | str | Sequence[int | str]

_BLOCK = 20  # resamples drawn at once; another number would draw other resamples
_NUMBERS_IN_CACHE = 200_000
_NUMBERS_A_BATCH = 2_000_000


def drawn(
    purpose: str, key: Key, count: int, draw: Callable[[np.random.Generator, int], np.ndarray], numbers: int
) -> Iterator[np.ndarray]:
    """``count`` rows in blocks, each from a generator of its own; ``draw`` makes (rows, …) with a generator.

    Args:
        numbers: that will be computed of a row; so many blocks come together that they stay in a processor's cache.
    """
    held = [key] if isinstance(key, int | str) else list(key)
    number = int(sha256(canonical_json([purpose, *held]))[:32], 16)
    together = max(1, _NUMBERS_IN_CACHE // (numbers * _BLOCK))
    ends = -(-count // _BLOCK)
    for first in range(0, ends, together):
        blocks = range(first, min(first + together, ends))
        rows = np.concatenate([draw(np.random.default_rng([number, block]), _BLOCK) for block in blocks])
        yield rows[: count - first * _BLOCK]


def batches(count: int, numbers: int) -> Iterator[range]:
    """0 … count − 1 in batches that hold some 16 MB, where each needs so many numbers."""
    step = max(1, _NUMBERS_A_BATCH // numbers)
    for start in range(0, count, step):
        yield range(start, min(start + step, count))
