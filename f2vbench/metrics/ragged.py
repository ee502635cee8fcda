"""Rows of different lengths in one flat array, so that what is done to each row needs no loop over rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Row i is ``values[offsets[i] : offsets[i + 1]]``.

    Attributes:
        offsets: (rows + 1,) int64, from 0, never falling.
        values: flat.
    """

    offsets: Integers
    values: NDArray[Any]

    @classmethod
    def of(cls, rows: Sequence[NDArray[Any]]) -> Ragged:
        """From one array a row."""
        lengths = np.array([len(row) for row in rows], np.int64)
        return cls(_offsets(lengths), np.concatenate([np.zeros(0, np.int64), *rows]))

    @classmethod
    def sorted_by_row(cls, rows: Integers, values: NDArray[Any], count: int) -> Ragged:
        """From (row, value) pairs, in the order of rows and, within one, of values."""
        order = np.lexsort((values, rows))
        return cls(_offsets(np.bincount(rows, minlength=count)), values[order])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Integers:
        return np.diff(self.offsets)

    @property
    def rows(self) -> Integers:
        """The row of each value."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def places(self) -> Integers:
        """The place of each value in its row, from 0."""
        return np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)

    def where(self, kept: NDArray[np.bool_]) -> Ragged:
        """The values for which ``kept`` is True, in their rows."""
        return Ragged(_offsets(np.bincount(self.rows[kept], minlength=len(self))), self.values[kept])

    def take(self, rows: Integers) -> Ragged:
        """Some rows, in the order asked for."""
        lengths = self.lengths[rows]
        starts = np.repeat(self.offsets[:-1][rows], lengths)
        offsets = _offsets(lengths)
        return Ragged(offsets, self.values[starts + np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)])

    def sums(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """(rows,) sums of a weight of each value; 0 for empty rows."""
        return np.bincount(self.rows, weights=weights, minlength=len(self)).astype(np.float64)

    def padded(self, fill: float) -> NDArray[Any]:
        """(rows, longest row), ``fill`` behind the end of shorter ones."""
        matrix = np.full((len(self), int(self.lengths.max(initial=0))), fill, np.result_type(self.values, type(fill)))
        matrix[self.rows, self.places] = self.values
        return matrix


def members(wanted: NDArray[Any], groups: NDArray[Any]) -> Ragged:
    """For each wanted group the positions in ``groups`` that hold it, rising; none where it is unknown."""
    order = np.argsort(groups, kind="stable")
    held = groups[order]
    first, end = np.searchsorted(held, wanted, "left"), np.searchsorted(held, wanted, "right")
    offsets = _offsets(end - first)
    flat = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first, end - first)
    return Ragged(offsets, order[flat].astype(np.int64))


def _offsets(lengths: NDArray[Any]) -> Integers:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
