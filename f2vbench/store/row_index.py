"""Index of the entries of a feature set: where each name is stored, in 40 bytes of memory an entry."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Names = NDArray[np.bytes_]
Places = NDArray[np.int64]

_NOWHERE = -1


class RowIndex:
    """Places of names, as a few sorted segments.

    A new segment is merged with the last one until it is less than half of that one's size. Adding n names therefore
    costs O(n log² n) altogether, and a search looks at O(log n) segments.
    """

    def __init__(self) -> None:
        self._segments: list[tuple[Names, NDArray[np.int32], NDArray[np.int32]]] = []

    def __len__(self) -> int:
        """Number of names; one that is in two segments counts twice."""
        return sum(len(names) for names, *_ in self._segments)

    def add(self, shard: int, names: Names) -> None:
        """Add the names of a shard; they replace those of earlier shards.

        Args:
            shard: Number of the shard.
            names: (n,) distinct names, in the order of the shard's rows.
        """
        order = np.argsort(names, kind="stable").astype(np.int32)
        self._segments.append((names[order], np.full(len(names), shard, np.int32), order))
        while len(self._segments) > 1 and len(self._segments[-2][0]) < 2 * len(self._segments[-1][0]):
            newer, older = self._segments.pop(), self._segments.pop()
            self._segments.append(_merge(older, newer))

    def drop(self, shards: Collection[int]) -> None:
        """Remove the names of shards."""
        if shards:
            gone = np.array(sorted(shards), np.int32)
            kept = [(segment, ~np.isin(segment[1], gone)) for segment in self._segments]
            self._segments = [
                (names[keep], numbers[keep], rows[keep]) for (names, numbers, rows), keep in kept if keep.any()
            ]

    def find(self, names: Names) -> tuple[Places, Places]:
        """Find names.

        Args:
            names: (n,) names.

        Returns:
            (n,) numbers of the shards, and (n,) rows in them; −1 for names that are absent.
        """
        shards, rows = np.full(len(names), _NOWHERE, np.int64), np.full(len(names), _NOWHERE, np.int64)
        for known, of_shard, of_row in reversed(self._segments):
            missing = np.flatnonzero(shards == _NOWHERE)
            if not len(missing):
                break
            sought = names[missing]
            position = np.searchsorted(known, sought)
            position[position == len(known)] = 0
            found = known[position] == sought
            shards[missing[found]], rows[missing[found]] = of_shard[position[found]], of_row[position[found]]
        return shards, rows


def _merge(
    older: tuple[Names, NDArray[np.int32], NDArray[np.int32]], newer: tuple[Names, NDArray[np.int32], NDArray[np.int32]]
) -> tuple[Names, NDArray[np.int32], NDArray[np.int32]]:
    """One sorted segment of two; of a name in both, the newer place stays."""
    names, shards, rows = (np.concatenate([b, a]) for a, b in zip(older, newer, strict=True))
    order = np.argsort(names, kind="stable")
    names = names[order]
    first = np.ones(len(names), bool)
    first[1:] = names[1:] != names[:-1]
    return names[first], shards[order[first]], rows[order[first]]
