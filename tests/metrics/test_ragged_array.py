"""Ragged arrays against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.metrics.ragged_array import RaggedArray, group_members


def test_operations_on_rows_of_different_lengths():
    ragged = RaggedArray.from_rows([np.array([3, 1]), np.array([], int), np.array([7])])
    assert [row.tolist() for row in ragged] == [[3, 1], [], [7]]
    assert ragged.row_indices.tolist() == [0, 0, 2]
    assert ragged.column_indices.tolist() == [0, 1, 0]
    assert ragged.take(np.array([2, 0])).values.tolist() == [7, 3, 1]
    assert ragged.where(ragged.values > 1).lengths.tolist() == [1, 0, 1]
    assert ragged.row_sums(np.ones(3)).tolist() == [2, 0, 1]
    assert ragged.padded(-1).tolist() == [[3, 1], [-1, -1], [7, -1]]
    with pytest.raises(IndexError, match="row 3 of 3"):
        ragged[3]


def test_group_members_are_sorted_positions():
    found = group_members(np.array(["b", "x", "a"]), np.array(["a", "b", "a"]))
    assert found.padded(-1).tolist() == [[1, -1], [-1, -1], [0, 2]]
