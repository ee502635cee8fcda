"""Approximate search against exact search and hand-made lists."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.metrics.approximate_index import factory_error, recall_against_exact, search_approximate
from f2vbench.metrics.exact_neighbours import find_nearest, normalise
from f2vbench.metrics.ragged_array import RaggedArray


def test_a_flat_index_finds_the_exact_neighbours_without_the_skipped_ones():
    vectors, content = normalise(np.random.default_rng(3).normal(size=(60, 8))), np.arange(60)
    own_position = RaggedArray.from_pairs(content, content, 60)
    exact, _ = find_nearest(vectors, vectors, 5, content, content)
    np.testing.assert_array_equal(search_approximate(vectors, vectors, 5, "Flat", own_position), exact)


def test_recall_of_hand_made_lists():
    exact = np.array([[1, 2, 3], [4, 5, -1]])
    np.testing.assert_allclose(recall_against_exact(np.array([[3, 1, 9], [4, 5, 6]]), exact), [2 / 3, 1])


def test_invalid_factory_strings_have_an_error():
    assert factory_error("IVF64,PQ16") is None
    assert factory_error("Flatt") is not None
    vectors = np.eye(20, dtype=np.float32)
    with pytest.raises(ValueError, match="at least as large"):
        search_approximate(vectors, vectors, 5, "IVF64,Flat", RaggedArray.from_rows([[]] * 20))
