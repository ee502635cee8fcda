"""Retrieval metrics against the enumeration of all orders. `test_exact_neighbours` compares them with scikit-learn."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from f2vbench.metrics.ragged_array import RaggedArray
from f2vbench.metrics.retrieval import (
    average_precision,
    chance_average_precision,
    chance_precision,
    chance_recall,
    precision_at,
    recall_at,
)


@pytest.mark.parametrize(("relevant", "gallery"), [(1, 1), (1, 5), (2, 5), (3, 6), (6, 6)])
def test_chance_equals_the_mean_over_all_orders(relevant, gallery):
    orders = [np.array(order) + 1 for order in permutations(range(gallery))]
    ranks = RaggedArray.from_rows([np.sort(order[:relevant]) for order in orders])
    for k in (1, 3, 5, 10):
        assert chance_recall(relevant, gallery, k) == pytest.approx(recall_at(ranks, k).mean())
        assert chance_precision(relevant, gallery, k) == pytest.approx(precision_at(ranks, k).mean())
    mean = average_precision(ranks).mean()
    assert chance_average_precision(relevant, gallery) == pytest.approx(mean)


def test_chance_in_a_large_gallery():
    assert chance_recall(1, 1_000_000, 10) == pytest.approx(1e-5)
    assert chance_recall(11, 599, 1) == pytest.approx(11 / 599)
    assert chance_recall(11, 599, 599) == pytest.approx(1, rel=1e-9)
