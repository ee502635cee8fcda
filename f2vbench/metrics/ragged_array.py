"""Arrays whose rows have different lengths, stored flat so that operations on all rows need no Python loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class RaggedArray:
    """A two-dimensional array with rows of different lengths; row i is ``values[offsets[i] : offsets[i + 1]]``.

    Attributes:
        offsets: (rows + 1,) int64, starts at 0 and never decreases.
        values: (total,) the values of all rows, one row after the other.

    Example:
        >>> ragged = RaggedArray.from_rows([[7, 8, 9], [], [5]])
        >>> len(ragged), ragged[0].tolist(), ragged.lengths.tolist()
        (3, [7, 8, 9], [3, 0, 1])
    """

    offsets: Int64Array
    values: NDArray[Any]

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Any] | NDArray[Any]]) -> RaggedArray:
        """Concatenate one array for each row.

        Example:
            >>> RaggedArray.from_rows([[3, 1], [2]]).values.tolist()
            [3, 1, 2]
        """
        arrays = [np.asarray(row) for row in rows if len(row)]
        return cls(_offsets([len(row) for row in rows]), np.concatenate([np.zeros(0, np.int64), *arrays]))

    @classmethod
    def from_pairs(cls, rows: Int64Array, values: NDArray[Any], count: int) -> RaggedArray:
        """Collect (row, value) pairs; the values of a row are sorted in increasing order.

        Args:
            rows: (n,) row of each value.
            values: (n,).
            count: Number of rows, including empty ones.

        Example:
            >>> ragged = RaggedArray.from_pairs(np.array([1, 0, 1]), np.array([9, 4, 2]), count=3)
            >>> [row.tolist() for row in ragged]
            [[4], [2, 9], []]
        """
        order = np.lexsort((values, rows))
        return cls(_offsets(np.bincount(rows, minlength=count)), values[order])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Int64Array:
        """(rows,) number of values in each row.

        Example:
            >>> RaggedArray.from_rows([[3, 1], [2]]).lengths.tolist()
            [2, 1]
        """
        return np.diff(self.offsets)

    @property
    def row_indices(self) -> Int64Array:
        """(total,) row of each value.

        Example:
            >>> RaggedArray.from_rows([[3, 1], [2]]).row_indices.tolist()
            [0, 0, 1]
        """
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def column_indices(self) -> Int64Array:
        """(total,) position of each value within its row, from 0.

        Example:
            >>> RaggedArray.from_rows([[3, 1], [2]]).column_indices.tolist()
            [0, 1, 0]
        """
        return np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)

    def where(self, mask: NDArray[np.bool_]) -> RaggedArray:
        """Keep the values for which a (total,) mask is true; the number of rows stays the same.

        Example:
            >>> ragged = RaggedArray.from_rows([[3, 1], [2]])
            >>> [row.tolist() for row in ragged.where(ragged.values < 3)]
            [[1], [2]]
        """
        return RaggedArray(_offsets(np.bincount(self.row_indices[mask], minlength=len(self))), self.values[mask])

    def take(self, rows: Int64Array) -> RaggedArray:
        """Select rows, in the order of ``rows``.

        Example:
            >>> ragged = RaggedArray.from_rows([[3, 1], [], [2]])
            >>> [row.tolist() for row in ragged.take(np.array([2, 0]))]
            [[2], [3, 1]]
        """
        lengths = self.lengths[rows]
        starts = np.repeat(self.offsets[:-1][rows], lengths)
        offsets = _offsets(lengths)
        return RaggedArray(offsets, self.values[starts + np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)])

    def row_sums(self, weights: NDArray[Any]) -> Float64Array:
        """(rows,) sum over each row of a (total,) array of weights; 0 for empty rows.

        Example:
            >>> ragged = RaggedArray.from_rows([[3, 1], [], [2]])
            >>> ragged.row_sums(ragged.values).tolist()
            [4.0, 0.0, 2.0]
        """
        return np.bincount(self.row_indices, weights=weights, minlength=len(self)).astype(np.float64)

    def padded(self, fill: float) -> NDArray[Any]:
        """(rows, longest row) dense array; ``fill`` after the end of shorter rows.

        Example:
            >>> RaggedArray.from_rows([[3, 1], [2]]).padded(-1).tolist()
            [[3, 1], [2, -1]]
        """
        matrix = np.full((len(self), int(self.lengths.max(initial=0))), fill, np.result_type(self.values, type(fill)))
        matrix[self.row_indices, self.column_indices] = self.values
        return matrix


def group_members(wanted: NDArray[Any], groups: NDArray[Any]) -> RaggedArray:
    """Find, for each wanted group, the positions at which it occurs.

    Args:
        wanted: (rows,) group names or numbers.
        groups: (n,) group of each element.

    Returns:
        One row for each wanted group: positions in ``groups``, increasing. The row of an unknown group is empty.

    Example:
        >>> found = group_members(np.array(["b", "x"]), np.array(["a", "b", "b"]))
        >>> [row.tolist() for row in found]
        [[1, 2], []]
    """
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first, end = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
    offsets = _offsets(end - first)
    flat = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first, end - first)
    return RaggedArray(offsets, order[flat].astype(np.int64))


def _offsets(lengths: Sequence[int] | NDArray[Any]) -> Int64Array:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
