"""Nearest neighbours and ranks against brute force in NumPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from f2vbench.metrics import bf16_candidates
from f2vbench.metrics.exact_neighbours import find_nearest, normalise, rank_relevant
from f2vbench.metrics.ragged_array import RaggedArray, group_members
from f2vbench.metrics.retrieval import average_precision

COUNT = 2000


def order_by_brute_force(vectors: np.ndarray, query: int, allowed: np.ndarray) -> np.ndarray:
    """Gallery positions from near to far, by one dot product for each pair; ties by position."""
    values = [float(np.dot(vectors[query].astype(np.float64), row.astype(np.float64))) for row in vectors[allowed]]
    return allowed[np.array(sorted(range(len(allowed)), key=lambda i: (-values[i], i)))]


def vectors_with_ties(kind: str) -> np.ndarray:
    """2,000 unit vectors of which many have the same similarity to a query."""
    draw = np.random.default_rng(5)
    if kind == "duplicates":
        return normalise(draw.normal(size=(COUNT // 4, 24)))[draw.integers(0, COUNT // 4, COUNT)]
    vectors = np.zeros((COUNT, 12), np.float32)  # four halves each, so products are exact multiples of a quarter
    for row in vectors:
        row[draw.choice(12, 4, replace=False)] = draw.choice([-0.5, 0.5], 4)
    return vectors


@pytest.mark.parametrize("kind", ["duplicates", "few levels"])
def test_the_order_equals_brute_force_on_two_thousand_vectors_with_ties(kind):
    vectors, content = vectors_with_ties(kind), np.arange(COUNT)
    content[1::10] = content[::10]  # every tenth image occurs twice
    patients = np.random.default_rng(1).integers(0, 400, COUNT)
    queries = np.arange(0, COUNT, 50)
    nearest, similarity = find_nearest(vectors[queries], vectors, 10, content[queries], content)
    relevant = [np.flatnonzero((patients == patients[q]) & (content != content[q])) for q in queries]
    ranks = rank_relevant(vectors[queries], vectors, RaggedArray.from_rows(relevant), content[queries], content)
    averages = average_precision(ranks)
    tied = 0
    for row, query in enumerate(queries):
        order = order_by_brute_force(vectors, query, np.flatnonzero(content != content[query]))
        np.testing.assert_array_equal(nearest[row], order[:10])
        np.testing.assert_allclose(similarity[row], vectors[order[:10]] @ vectors[query], atol=1e-6)
        hits = np.isin(order, relevant[row])
        np.testing.assert_array_equal(ranks[row], np.flatnonzero(hits) + 1)
        if hits.any():
            expected = average_precision_score(hits, -np.arange(len(hits)))
            assert averages[row] == pytest.approx(expected, abs=1e-12)
        tied += len(np.unique(similarity[row])) < 10
    assert tied > len(queries) / 2, "the test has too few ties"


def test_the_order_is_exact_where_single_precision_is_not():
    """Vectors whose float32 products are almost equal are in the order of their float64 products."""
    draw = np.random.default_rng(2)
    vectors = normalise(1 + 1e-4 * draw.normal(size=(300, 512)))
    content = np.arange(300)
    nearest, _ = find_nearest(vectors[:20], vectors, 5, content[:20], content)
    for query in range(20):
        expected = order_by_brute_force(vectors, query, content[content != query])[:5]
        np.testing.assert_array_equal(nearest[query], expected)


@pytest.mark.parametrize("kind", ["collapsed", "equal", "zero"])
def test_collapsed_embeddings_are_ranked_exactly(kind):
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
    nearest, _ = find_nearest(unit, unit, 10, content, content)
    ranks = rank_relevant(unit, unit, relevant, content, content)
    wide = unit.astype(np.float64)
    for query in range(150):
        exact = [float((wide[query] * wide[i]).sum()) for i in range(150)]
        order = sorted((i for i in range(150) if i != query), key=lambda i: (-exact[i], i))
        assert nearest[query].tolist() == order[:10]
        assert ranks[query].tolist() == sorted(order.index(i) + 1 for i in relevant[query])


@pytest.mark.parametrize("similarity", ["low", "high", "nearly equal", "duplicates"])
def test_bfloat16_candidates_include_all_nearest_images_and_are_few(similarity, monkeypatch):
    """On a processor without native bfloat16 the products are slower, and the same."""
    monkeypatch.setattr(bf16_candidates, "has_bf16", lambda: True)
    draw = np.random.default_rng(6)
    noise = draw.normal(size=(20_000, 48))
    if similarity == "duplicates":
        vectors = normalise(noise[draw.integers(0, 10, 20_000)])
    else:
        scale = {"low": 1, "high": 0.3, "nearly equal": 1e-2}[similarity]
        vectors = normalise(noise * scale + (similarity != "low"))
    vectors[15_000:15_100] = vectors[:100]  # ties in distant chunks
    content, k = np.arange(20_000), 10
    queries = vectors[:64]
    candidates = bf16_candidates.find_candidates(queries, vectors, k + 1)
    nearest, values = find_nearest(queries, vectors, k, content[:64], content)
    if similarity in ("nearly equal", "duplicates"):  # too many similar images
        assert candidates is None
    else:
        assert candidates.lengths.max() < 500
    wide = vectors.astype(np.float64)
    for query in range(64):
        exact = (wide * wide[query]).sum(axis=1)
        order = np.lexsort((content, -exact))
        order = order[order != query]
        np.testing.assert_array_equal(nearest[query], order[:k])
        np.testing.assert_allclose(values[query], exact[order[:k]], atol=1e-12)
        if candidates is not None:
            assert np.isin(order[:k], candidates[query]).all()


def test_bfloat16_is_used_for_many_queries_in_a_large_gallery_only(monkeypatch):
    vectors = normalise(np.random.default_rng(7).normal(size=(17_000, 8)))
    monkeypatch.setattr(bf16_candidates, "has_bf16", lambda: True)
    assert bf16_candidates.find_candidates(vectors[:80], vectors, 5) is not None
    assert bf16_candidates.find_candidates(vectors[:10], vectors, 5) is None
    assert bf16_candidates.find_candidates(vectors[:80], vectors[:1000], 5) is None
    monkeypatch.setattr(bf16_candidates, "has_bf16", lambda: False)
    assert bf16_candidates.find_candidates(vectors[:80], vectors, 5) is None


def test_the_result_of_a_query_does_not_depend_on_the_other_queries():
    vectors, content = vectors_with_ties("duplicates"), np.arange(COUNT)
    together, values = find_nearest(vectors[:40], vectors, 10, content[:40], content)
    for query in (0, 17, 39):
        alone, value = find_nearest(vectors[[query]], vectors, 10, content[[query]], content)
        np.testing.assert_array_equal(alone[0], together[query])
        np.testing.assert_array_equal(value[0], values[query])


def test_a_small_gallery_returns_fewer_images():
    vectors = normalise(np.eye(3))
    nearest, similarity = find_nearest(vectors[:1], vectors, 10, np.array([0]), np.array([0, 1, 0]))
    assert nearest[0].tolist() == [1] + [-1] * 9
    assert np.isnan(similarity[0, 1:]).all()


def test_vectors_that_are_not_finite_are_an_error_and_zeros_stay_zero():
    with pytest.raises(ValueError, match="not finite"):
        normalise(np.array([[1.0, np.nan]]))
    np.testing.assert_array_equal(normalise(np.array([[0.0, 0.0], [3.0, 4.0]])), np.float32([[0, 0], [0.6, 0.8]]))
