"""Exact and approximate neighbours on difficult vectors, and ragged arrays."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.metrics.approximate_index import factory_error, recall_against_exact
from f2vbench.metrics.exact_neighbours import find_nearest, normalise, rank_relevant
from f2vbench.metrics.ragged_array import RaggedArray, group_members


def test_a_wrong_factory_string_is_an_error():
    assert factory_error("IVF64,PQ16") is None
    assert factory_error("Flatt") is not None


def test_recall_against_the_exact_result_of_hand_made_lists():
    exact = np.array([[1, 2, 3], [4, 5, -1]])
    np.testing.assert_allclose(recall_against_exact(np.array([[3, 1, 9], [4, 5, 6]]), exact), [2 / 3, 1])


@pytest.mark.parametrize("kind", ["collapsed", "equal", "zero"])
def test_embeddings_that_collapse_are_ranked_exactly(kind):
    """Vectors that are equal up to rounding, equal, or zero are ranked by the definition."""
    draw = np.random.default_rng(4)
    vectors = {
        "collapsed": 1 + 1e-5 * draw.normal(size=(150, 32)),
        "equal": np.ones((150, 32)),
        "zero": np.zeros((150, 32)),
    }[kind]
    unit, content = normalise(vectors), np.arange(150)
    relevant = group_members(content % 50, content % 50)
    relevant = relevant.where(relevant.values != relevant.row_indices)
    found, _ = find_nearest(unit, unit, 10, content, content)
    ranks = rank_relevant(unit, unit, relevant, content, content)
    for q in range(150):
        exact = [float((unit[q].astype(float) * unit[i].astype(float)).sum()) for i in range(150)]
        order = sorted((i for i in range(150) if i != q), key=lambda i: (-exact[i], i))
        assert found[q].tolist() == order[:10]
        assert ranks[q].tolist() == sorted(order.index(i) + 1 for i in relevant[q])


def test_rows_of_different_lengths():
    ragged = RaggedArray.from_rows([np.array([3, 1]), np.array([], int), np.array([7])])
    assert [ragged[i].tolist() for i in range(3)] == [[3, 1], [], [7]]
    assert ragged.row_indices.tolist() == [0, 0, 2]
    assert ragged.column_indices.tolist() == [0, 1, 0]
    assert ragged.take(np.array([2, 0])).values.tolist() == [7, 3, 1]
    assert ragged.where(ragged.values > 1).lengths.tolist() == [1, 0, 1]
    assert ragged.row_sums(np.ones(3)).tolist() == [2, 0, 1]
    assert ragged.padded(-1).tolist() == [[3, 1], [-1, -1], [7, -1]]
    assert group_members(np.array(["b", "x", "a"]), np.array(["a", "b", "a"])).padded(-1).tolist() == [
        [1, -1],
        [-1, -1],
        [0, 2],
    ]
