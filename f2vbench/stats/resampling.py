"""Keyed random resamples: the i-th resample depends on its purpose, the key and i, not on how many are drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from f2vbench.utils.files import canonical_json, sha256

SeedKey = int | str | Sequence[int | str]

_BLOCK = 20  # resamples drawn with one generator; changing it changes the resamples
_CACHE_VALUES = 100_000
_BATCH_VALUES = 2_000_000
_MAX_TABLE_VALUES = 2_000_000
_MAX_TABLES = 4
_TABLES: dict[Hashable, np.ndarray] = {}  # the most recently used table is last


def draw_resamples(
    purpose: str,
    key: SeedKey,
    count: int,
    draw: Callable[[np.random.Generator, int], np.ndarray],
    values_per_resample: int,
    draw_key: Hashable,
) -> Iterator[np.ndarray]:
    """Draw resamples in blocks, each block with a generator of its own.

    Args:
        purpose: Part of the seed, so that different methods draw different resamples with one key.
        key: Seed.
        count: Number of resamples.
        draw: (generator, rows) → (rows, …) array of so many resamples.
        values_per_resample: Number of values that the caller computes for each resample. So many blocks are returned
            together that they fit into a processor's cache.
        draw_key: Everything that ``draw`` depends on. Small tables of resamples are cached under it, as a report draws
            the same resamples of the same patients hundreds of times.

    Yields:
        (rows, …) arrays, ``count`` rows in total.

    Example:
        >>> draw = lambda generator, rows: generator.random((rows, 2))
        >>> blocks = draw_resamples("example", 0, 45, draw, values_per_resample=2, draw_key="uniform")
        >>> sum(len(block) for block in blocks)
        45
    """
    parts = [key] if isinstance(key, int | str) else list(key)
    number = int(sha256(canonical_json([purpose, *parts]))[:32], 16)
    blocks_together = max(1, _CACHE_VALUES // (values_per_resample * _BLOCK))
    block_count = -(-count // _BLOCK)

    def draw_block(index: int) -> np.ndarray:
        return draw(np.random.default_rng([number, index]), _BLOCK)

    table = _cached_table((number, draw_key), block_count, draw_block)
    for first in range(0, block_count, blocks_together):
        last = min(first + blocks_together, block_count)
        if table is None:
            rows = np.concatenate([draw_block(index) for index in range(first, last)])
        else:
            rows = table[first * _BLOCK : last * _BLOCK]
        yield rows[: count - first * _BLOCK]


def batch_ranges(count: int, values_per_item: int) -> Iterator[range]:
    """Divide 0 … count − 1 into batches of at most 16 MB of float64.

    Args:
        count: Number of items.
        values_per_item: Number of values that the caller computes for each item.

    Yields:
        Consecutive ranges of at least one item.

    Example:
        >>> list(batch_ranges(5, 1_000_000))
        [range(0, 2), range(2, 4), range(4, 5)]
    """
    step = max(1, _BATCH_VALUES // values_per_item)
    for start in range(0, count, step):
        yield range(start, min(start + step, count))


def _cached_table(key: Hashable, blocks: int, draw_block: Callable[[int], np.ndarray]) -> np.ndarray | None:
    """All rows of the blocks, where they are few; the four most recently used tables are cached."""
    table = _TABLES.pop(key, None)
    if table is None or len(table) < blocks * _BLOCK:
        first = draw_block(0)
        if first.size * blocks > _MAX_TABLE_VALUES:
            return None
        table = np.concatenate([first, *map(draw_block, range(1, blocks))])
        table.flags.writeable = False
    _TABLES[key] = table
    while len(_TABLES) > _MAX_TABLES:
        del _TABLES[next(iter(_TABLES))]
    return table
