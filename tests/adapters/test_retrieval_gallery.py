"""Variants, approximate indexes and measures of a gallery against slow loops."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.adapters.retrieval_gallery import measure
from f2vbench.metrics.approximate_index import factory_error, recall_against_exact
from f2vbench.metrics.exact_neighbours import find_nearest, normalise, rank_relevant
from f2vbench.metrics.ragged_array import RaggedArray, group_members

COUNT = 120


@pytest.fixture(scope="module")
def gallery():
    """Vectors with ties, 30 patients, and modalities, eyes and views of which some are not known."""
    draw = np.random.default_rng(8)
    vectors = draw.choice([-1.0, 0.0, 1.0], (COUNT, 5)) + 1e-9
    about = {
        "modality": draw.choice(["CF", "FFA", "ICG"], COUNT),
        "eye": draw.choice(["left", "right", ""], COUNT),
        "view": draw.choice(["disc", "macula", ""], COUNT),
    }
    return vectors, draw.integers(0, 30, COUNT).astype(str), [f"i{n:03}" for n in range(COUNT)], about


def slowly(vectors, patients, query, candidates, hit):
    """Recall@K and average precision of one query by a plain loop; None without a relevant image."""
    unit = normalise(vectors).astype(np.float64)
    order = sorted(candidates, key=lambda i: (-float(np.sum(unit[query] * unit[i])), i))
    hits = [hit(i) for i in order]
    if not any(hits):
        return None
    ranks = [place + 1 for place, is_hit in enumerate(hits) if is_hit]
    values = {f"recall@{k}": float(ranks[0] <= k) for k in (1, 5, 10)}
    values |= {f"precision@{k}": sum(r <= k for r in ranks) / k for k in (1, 5, 10)}
    return values | {"map": np.mean([(n + 1) / rank for n, rank in enumerate(ranks)])}


@pytest.mark.parametrize(
    ("variant", "column"), [("cross-modal", "modality"), ("other-view", "view"), ("other-eye", "eye")]
)
def test_a_variant_asks_for_images_that_differ_and_passes_over_the_rest_of_the_patient(gallery, variant, column):
    vectors, patients, names, about = gallery
    found = measure(vectors, patients, names, about, [variant])
    suffix = f":{variant}"
    expected = {}
    for q in range(COUNT):

        def differs(i, q=q):
            return about[column][i] != about[column][q] and "" not in (about[column][i], about[column][q])

        candidates = [i for i in range(COUNT) if i != q and (patients[i] != patients[q] or differs(i))]
        values = slowly(vectors, patients, q, candidates, lambda i, q=q: patients[i] == patients[q])
        if values is not None:
            expected[names[q]] = values
    assert found["counts"][f"queries{suffix}"] == len(expected) > 20
    assert found["counts"][f"queries left out{suffix}"] == COUNT - len(expected)
    for name, values in expected.items():
        for metric, value in values.items():
            assert found["per_image"][name][metric + suffix] == pytest.approx(value, abs=1e-12), (name, metric)
    for metric in ("recall@5", "map"):
        mean = np.mean([values[metric] for values in expected.values()])
        assert found["metrics"][metric + suffix] == pytest.approx(mean)


def test_modality_pairs_search_among_one_modality(gallery):
    vectors, patients, names, about = gallery
    found = measure(vectors, patients, names, about, ["modality-pairs"])["metrics"]
    for asking in ("CF", "FFA", "ICG"):
        for asked in ("CF", "FFA", "ICG"):
            rows = []
            for q in np.flatnonzero(about["modality"] == asking):
                among = [i for i in np.flatnonzero(about["modality"] == asked) if i != q]
                values = slowly(vectors, patients, q, among, lambda i, q=q: patients[i] == patients[q])
                if values:
                    rows.append(values | {"chance": sum(patients[i] == patients[q] for i in among) / len(among)})
            for metric in ("recall@1", "recall@10", "map"):
                assert found[f"{metric}:{asking}-to-{asked}"] == pytest.approx(np.mean([row[metric] for row in rows]))
            chance = np.mean([row["chance"] for row in rows])
            assert found[f"recall@1:{asking}-to-{asked}_chance"] == pytest.approx(chance)


def test_an_index_is_measured_by_what_it_finds_and_its_recall_of_the_exact_answer_is_told(gallery):
    draw = np.random.default_rng(3)
    patients = np.repeat(np.arange(200), 2).astype(str)
    vectors = draw.normal(size=(200, 16)).repeat(2, axis=0) + 0.4 * draw.normal(size=(400, 16))
    names = [f"i{n:03}" for n in range(400)]
    exact = measure(vectors, patients, names)
    whole = measure(vectors, patients, names, index="IVF4,Flat")
    assert exact["metrics"]["recall@5"] > 0.3
    same = measure(vectors, patients, names, index="HNSW64")  # a graph this dense loses nothing
    assert same["metrics"]["index_recall"] > 0.99
    assert same["metrics"]["recall@5"] == pytest.approx(exact["metrics"]["recall@5"], abs=0.01)
    lost = whole["metrics"]["index_recall"]
    assert 0.2 < lost < 0.95  # one cell of four is looked into
    assert whole["metrics"]["recall@10"] < exact["metrics"]["recall@10"]
    assert whole["metrics"]["map"] is None
    assert "whole order" in whole["reasons"]["map"]
    kept = whole["arrays"]
    hits = (patients[kept["found"]] == patients[kept["queries"]][:, None]) & (kept["found"] >= 0)
    assert whole["metrics"]["recall@5"] == pytest.approx(hits[:, :5].any(axis=1).mean())
    assert whole["metrics"]["precision@10"] == pytest.approx(hits.mean())
    assert not (kept["found"] == kept["queries"][:, None]).any(), "a query found itself"
    with pytest.raises(ValueError, match="at least as large"):
        measure(vectors[:20], patients[:20], names[:20], index="IVF64,Flat")
    assert factory_error("IVF64,PQ16") is None
    assert factory_error("Flatt") is not None


def test_recall_of_the_exact_answer_of_hand_made_lists():
    exact = np.array([[1, 2, 3], [4, 5, -1]])
    np.testing.assert_allclose(recall_against_exact(np.array([[3, 1, 9], [4, 5, 6]]), exact), [2 / 3, 1])


@pytest.mark.parametrize("kind", ["collapsed", "equal", "zero"])
def test_embeddings_that_collapse_are_ranked_exactly(kind):
    """Vectors within rounding of one another, all equal, or zero: the order stays that of the definition."""
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
