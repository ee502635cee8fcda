"""Retrieval metrics against brute force in NumPy, enumeration of all orders, and hand-made cases."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from f2vbench.adapters.gallery_evaluation import evaluate_gallery
from f2vbench.metrics import bf16_candidates
from f2vbench.metrics.exact_neighbours import find_nearest, normalise, rank_relevant
from f2vbench.metrics.ragged_array import RaggedArray
from f2vbench.metrics.retrieval import (
    average_precision,
    chance_average_precision,
    chance_precision,
    chance_recall,
    precision_at,
    recall_at,
)

COUNT = 2000


def brute_order(vectors: np.ndarray, query: int, allowed: np.ndarray) -> np.ndarray:
    """Gallery positions from near to far, by one dot product a pair; of equal ones the earlier first."""
    values = [float(np.dot(vectors[query].astype(np.float64), row.astype(np.float64))) for row in vectors[allowed]]
    return allowed[np.array(sorted(range(len(allowed)), key=lambda i: (-values[i], i)))]


def with_ties(kind: str) -> np.ndarray:
    """2,000 unit vectors of which many are equally far from a query."""
    draw = np.random.default_rng(5)
    if kind == "copies":
        return normalise(draw.normal(size=(COUNT // 4, 24)))[draw.integers(0, COUNT // 4, COUNT)]
    vectors = np.zeros((COUNT, 12), np.float32)  # four halves each: products are multiples of a quarter, exactly
    for row in vectors:
        row[draw.choice(12, 4, replace=False)] = draw.choice([-0.5, 0.5], 4)
    return vectors


@pytest.mark.parametrize("kind", ["copies", "few levels"])
def test_the_order_equals_brute_force_on_two_thousand_vectors_with_ties(kind):
    vectors, content = with_ties(kind), np.arange(COUNT)
    content[1::10] = content[::10]  # every tenth image is there twice
    patients = np.random.default_rng(1).integers(0, 400, COUNT)
    queries = np.arange(0, COUNT, 25)
    found, similarity = find_nearest(vectors[queries], vectors, 10, content[queries], content)
    relevant = [np.flatnonzero((patients == patients[q]) & (content != content[q])) for q in queries]
    ranks = rank_relevant(vectors[queries], vectors, RaggedArray.from_rows(relevant), content[queries], content)
    averages = average_precision(ranks)
    tied = 0
    for row, query in enumerate(queries):
        order = brute_order(vectors, query, np.flatnonzero(content != content[query]))
        np.testing.assert_array_equal(found[row], order[:10])
        np.testing.assert_allclose(similarity[row], vectors[order[:10]] @ vectors[query], atol=1e-6)
        hits = np.isin(order, relevant[row])
        np.testing.assert_array_equal(ranks[row], np.flatnonzero(hits) + 1)
        if hits.any():
            expected = average_precision_score(hits, -np.arange(len(hits)))
            assert averages[row] == pytest.approx(expected, abs=1e-12)
        tied += len(np.unique(similarity[row])) < 10
    assert tied > len(queries) / 2, "the case has too few ties to show anything"


def test_nearest_is_exact_where_single_precision_is_not():
    """Vectors that float32 products can hardly tell apart are put in their float64 order."""
    draw = np.random.default_rng(2)
    vectors = normalise(1 + 1e-4 * draw.normal(size=(300, 512)))
    content = np.arange(300)
    found, _ = find_nearest(vectors[:20], vectors, 5, content[:20], content)
    for query in range(20):
        np.testing.assert_array_equal(found[query], brute_order(vectors, query, content[content != query])[:5])


@pytest.mark.parametrize("alike", ["not", "much", "nearly", "copies"])
def test_candidates_of_bfloat16_hold_all_of_the_first_and_are_few(alike, monkeypatch):
    """On a processor without bfloat16 the products are slower, and the same."""
    monkeypatch.setattr(bf16_candidates, "has_bf16", lambda: True)
    draw = np.random.default_rng(6)
    noise = draw.normal(size=(20_000, 48))
    if alike == "copies":
        vectors = normalise(noise[draw.integers(0, 10, 20_000)])
    else:
        vectors = normalise(noise * {"not": 1, "much": 0.3, "nearly": 1e-2}[alike] + (alike != "not"))
    vectors[15_000:15_100] = vectors[:100]  # ties, far from one another
    content, k = np.arange(20_000), 10
    queries = vectors[:80]
    found = bf16_candidates.find_candidates(queries, vectors, k + 1)
    first, similarity = find_nearest(queries, vectors, k, content[:80], content)
    if alike in ("nearly", "copies"):  # too many are too alike
        assert found is None
    else:
        assert found.lengths.max() < 500
    for query in range(80):
        values = np.array((vectors.astype(np.float64) * queries[query]).sum(axis=1))
        order = np.lexsort((content, -values))
        order = order[order != query]
        np.testing.assert_array_equal(first[query], order[:k])
        np.testing.assert_allclose(similarity[query], values[order[:k]], atol=1e-12)
        if found is not None:
            assert np.isin(order[:k], found[query]).all()


def test_candidates_leave_single_precision_what_it_does_better(monkeypatch):
    vectors = normalise(np.random.default_rng(7).normal(size=(17_000, 8)))
    monkeypatch.setattr(bf16_candidates, "has_bf16", lambda: True)
    assert bf16_candidates.find_candidates(vectors[:80], vectors, 5) is not None
    assert bf16_candidates.find_candidates(vectors[:10], vectors, 5) is None
    assert bf16_candidates.find_candidates(vectors[:80], vectors[:1000], 5) is None
    monkeypatch.setattr(bf16_candidates, "has_bf16", lambda: False)
    assert bf16_candidates.find_candidates(vectors[:80], vectors, 5) is None


def test_what_a_query_gets_does_not_depend_on_the_other_queries():
    vectors, content = with_ties("copies"), np.arange(COUNT)
    together, values = find_nearest(vectors[:40], vectors, 10, content[:40], content)
    for query in (0, 17, 39):
        alone, value = find_nearest(vectors[[query]], vectors, 10, content[[query]], content)
        np.testing.assert_array_equal(alone[0], together[query])
        np.testing.assert_array_equal(value[0], values[query])


def test_a_small_gallery_leaves_places_empty():
    vectors = normalise(np.eye(3))
    found, similarity = find_nearest(vectors[:1], vectors, 10, np.array([0]), np.array([0, 1, 0]))
    assert found[0].tolist() == [1] + [-1] * 9
    assert np.isnan(similarity[0, 1:]).all()


def test_metrics_of_a_hand_made_gallery():
    """Patients a and b on two rays, c alone; a3 lies nearer to b's images than to its own."""
    angles = np.deg2rad([0, 2, 47, 44, 50, 120])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = evaluate_gallery(vectors, np.array(list("aaabbc")), ["a1", "a2", "a3", "b1", "b2", "c1"])
    assert found.counts == {"gallery": 6, "patients": 3, "queries": 5, "queries left out": 1}
    rows = found.per_image
    assert "c1" not in rows
    assert [rows[name]["recall@1"] for name in ("a1", "a2", "a3", "b1", "b2")] == [1, 1, 0, 0, 0]
    assert rows["a1"]["map"] == pytest.approx((1 / 1 + 2 / 3) / 2)  # a2, b1, a3
    assert rows["a3"]["map"] == pytest.approx((1 / 3 + 2 / 4) / 2)  # b1, b2 as near, then a2, a1
    assert rows["a1"]["precision@5"] == pytest.approx(2 / 5)
    assert found.metrics["recall@1"] == pytest.approx(2 / 5)
    recalls = [found.metrics[f"recall@{k}"] for k in (1, 5, 10)]
    assert found.metrics["mean_recall"] == pytest.approx(np.mean(recalls))
    assert found.metrics["recall@1_chance"] == pytest.approx((3 * 2 / 5 + 2 * 1 / 5) / 5)


def test_without_any_query_values_are_missing_with_the_reason():
    found = evaluate_gallery(np.eye(3), np.array(list("abc")), ["a", "b", "c"])
    assert set(found.metrics.values()) == {None}
    assert set(found.reasons) == set(found.metrics)
    assert "second image" in found.reasons["recall@1"]


@pytest.mark.parametrize(("relevant", "gallery"), [(1, 1), (1, 5), (2, 5), (3, 6), (6, 6)])
def test_chance_equals_the_mean_over_all_orders(relevant, gallery):
    orders = [np.array(order) + 1 for order in permutations(range(gallery))]
    ranks = RaggedArray.from_rows([np.sort(order[:relevant]) for order in orders])
    for k in (1, 3, 5, 10):
        assert chance_recall(relevant, gallery, k) == pytest.approx(recall_at(ranks, k).mean())
        assert chance_precision(relevant, gallery, k) == pytest.approx(precision_at(ranks, k).mean())
    mean = average_precision(ranks).mean()
    assert chance_average_precision(relevant, gallery) == pytest.approx(mean)


def test_chance_of_one_image_in_a_large_gallery():
    assert chance_recall(1, 1_000_000, 10) == pytest.approx(1e-5)
    assert chance_recall(11, 599, 1) == pytest.approx(11 / 599)
    assert math.isclose(chance_recall(11, 599, 599), 1)


def test_vectors_that_are_not_finite_are_refused_and_zeros_stay():
    with pytest.raises(ValueError, match="not finite"):
        normalise(np.array([[1.0, np.nan]]))
    np.testing.assert_array_equal(normalise(np.array([[0.0, 0.0], [3.0, 4.0]])), np.float32([[0, 0], [0.6, 0.8]]))
