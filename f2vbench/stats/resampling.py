"""Random resamples by key: the i-th depends on what it is for, the key and i alone, however many are asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from f2vbench.utils.files import canonical_json, sha256

Key = int | str | Sequence[int | str]

_BLOCK = 20  # resamples drawn at once; another number would draw other resamples
_NUMBERS_IN_CACHE = 100_000
_NUMBERS_A_BATCH = 2_000_000
_NUMBERS_REMEMBERED = 2_000_000
_TABLES_HELD = 4
_TABLES: dict[Hashable, np.ndarray] = {}  # the one asked for last stands last


def drawn(
    purpose: str,
    key: Key,
    count: int,
    draw: Callable[[np.random.Generator, int], np.ndarray],
    numbers: int,
    kind: Hashable,
) -> Iterator[np.ndarray]:
    """``count`` rows in blocks, each from a generator of its own; ``draw`` makes (rows, …) with a generator.

    Args:
        numbers: that will be computed of a row; so many blocks come together that they stay in a processor's cache.
        kind: all that ``draw`` depends on. Small tables are remembered by it: a report asks for the same resamples of
            the same patients hundreds of times.
    """
    held = [key] if isinstance(key, int | str) else list(key)
    number = int(sha256(canonical_json([purpose, *held]))[:32], 16)
    together = max(1, _NUMBERS_IN_CACHE // (numbers * _BLOCK))
    ends = -(-count // _BLOCK)

    def block(place: int) -> np.ndarray:
        return draw(np.random.default_rng([number, place]), _BLOCK)

    table = _remembered((number, kind), ends, block)
    for first in range(0, ends, together):
        last = min(first + together, ends)
        if table is None:
            rows = np.concatenate([block(place) for place in range(first, last)])
        else:
            rows = table[first * _BLOCK : last * _BLOCK]
        yield rows[: count - first * _BLOCK]


def _remembered(key: Hashable, blocks: int, block: Callable[[int], np.ndarray]) -> np.ndarray | None:
    """All rows of so many blocks, where they are few; of the tables asked for last, four are held."""
    table = _TABLES.pop(key, None)
    if table is None or len(table) < blocks * _BLOCK:
        first = block(0)
        if first.size * blocks > _NUMBERS_REMEMBERED:
            return None
        table = np.concatenate([first, *map(block, range(1, blocks))])
        table.flags.writeable = False
    _TABLES[key] = table
    while len(_TABLES) > _TABLES_HELD:
        del _TABLES[next(iter(_TABLES))]
    return table


def batches(count: int, numbers: int) -> Iterator[range]:
    """0 … count − 1 in batches that hold some 16 MB, where each needs so many numbers."""
    step = max(1, _NUMBERS_A_BATCH // numbers)
    for start in range(0, count, step):
        yield range(start, min(start + step, count))
