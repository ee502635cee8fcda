"""Evaluation of a gallery, its variants and approximate indexes against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.adapters.gallery_evaluation import evaluate_gallery
from f2vbench.metrics.exact_neighbours import normalise

COUNT = 120


@pytest.fixture(scope="module")
def gallery():
    """Vectors with ties, 30 patients, and modality, eye and view of each image, some of them unknown."""
    draw = np.random.default_rng(8)
    vectors = draw.choice([-1.0, 0.0, 1.0], (COUNT, 5)) + 1e-9
    about = {
        "modality": draw.choice(["CF", "FFA", "ICG"], COUNT),
        "eye": draw.choice(["left", "right", ""], COUNT),
        "view": draw.choice(["disc", "macula", ""], COUNT),
    }
    return vectors, draw.integers(0, 30, COUNT).astype(str), [f"i{n:03}" for n in range(COUNT)], about


def plain_metrics(vectors, patients, query, candidates, hit):
    """Return the metrics of one query, computed by a plain loop; None without a relevant image."""
    unit = normalise(vectors).astype(np.float64)
    order = sorted(candidates, key=lambda i: (-float(np.sum(unit[query] * unit[i])), i))
    hits = [hit(i) for i in order]
    if not any(hits):
        return None
    ranks = [rank + 1 for rank, is_hit in enumerate(hits) if is_hit]
    values = {f"recall@{k}": float(ranks[0] <= k) for k in (1, 5, 10)}
    values |= {f"precision@{k}": sum(r <= k for r in ranks) / k for k in (1, 5, 10)}
    return values | {"map": np.mean([(n + 1) / rank for n, rank in enumerate(ranks)])}


@pytest.mark.parametrize(
    ("variant", "column"), [("cross-modal", "modality"), ("other-view", "view"), ("other-eye", "eye")]
)
def test_a_variant_retrieves_images_that_differ_and_excludes_the_other_images_of_the_patient(gallery, variant, column):
    vectors, patients, names, about = gallery
    found = evaluate_gallery(vectors, patients, names, about, [variant])
    suffix = f":{variant}"
    expected = {}
    for q in range(COUNT):

        def differs(i, q=q):
            return about[column][i] != about[column][q] and "" not in (about[column][i], about[column][q])

        candidates = [i for i in range(COUNT) if i != q and (patients[i] != patients[q] or differs(i))]
        values = plain_metrics(vectors, patients, q, candidates, lambda i, q=q: patients[i] == patients[q])
        if values is not None:
            expected[names[q]] = values
    assert found.counts[f"queries{suffix}"] == len(expected) > 20
    assert found.counts[f"queries left out{suffix}"] == COUNT - len(expected)
    for name, values in expected.items():
        for metric, value in values.items():
            assert found.per_image[name][metric + suffix] == pytest.approx(value, abs=1e-12), (name, metric)
    for metric in ("recall@5", "map"):
        mean = np.mean([values[metric] for values in expected.values()])
        assert found.metrics[metric + suffix] == pytest.approx(mean)


def test_modality_pairs_search_the_images_of_one_modality(gallery):
    vectors, patients, names, about = gallery
    found = evaluate_gallery(vectors, patients, names, about, ["modality-pairs"]).metrics
    for of_query in ("CF", "FFA", "ICG"):
        for of_gallery in ("CF", "FFA", "ICG"):
            rows = []
            for q in np.flatnonzero(about["modality"] == of_query):
                searched = [i for i in np.flatnonzero(about["modality"] == of_gallery) if i != q]
                values = plain_metrics(vectors, patients, q, searched, lambda i, q=q: patients[i] == patients[q])
                if values:
                    rows.append(values | {"chance": sum(patients[i] == patients[q] for i in searched) / len(searched)})
            for metric in ("recall@1", "recall@10", "map"):
                assert found[f"{metric}:{of_query}-to-{of_gallery}"] == pytest.approx(
                    np.mean([row[metric] for row in rows])
                )
            chance = np.mean([row["chance"] for row in rows])
            assert found[f"recall@1:{of_query}-to-{of_gallery}_chance"] == pytest.approx(chance)


def test_an_approximate_index_is_evaluated_by_its_result_and_by_its_recall_of_the_exact_result():
    draw = np.random.default_rng(3)
    patients = np.repeat(np.arange(200), 2).astype(str)
    vectors = draw.normal(size=(200, 16)).repeat(2, axis=0) + 0.4 * draw.normal(size=(400, 16))
    names = [f"i{n:03}" for n in range(400)]
    exact = evaluate_gallery(vectors, patients, names)
    approximate = evaluate_gallery(vectors, patients, names, index="IVF4,Flat")
    assert exact.metrics["recall@5"] > 0.3
    dense = evaluate_gallery(vectors, patients, names, index="HNSW64")  # so dense a graph misses almost nothing
    assert dense.metrics["index_recall"] > 0.99
    assert dense.metrics["recall@5"] == pytest.approx(exact.metrics["recall@5"], abs=0.01)
    assert 0.2 < approximate.metrics["index_recall"] < 0.95  # one of four cells is searched
    assert approximate.metrics["recall@10"] < exact.metrics["recall@10"]
    assert approximate.metrics["map"] is None
    assert "not a ranking of the whole gallery" in approximate.reasons["map"]
    stored = approximate.arrays
    hits = (patients[stored["found"]] == patients[stored["queries"]][:, None]) & (stored["found"] >= 0)
    assert approximate.metrics["recall@5"] == pytest.approx(hits[:, :5].any(axis=1).mean())
    assert approximate.metrics["precision@10"] == pytest.approx(hits.mean())
    assert not (stored["found"] == stored["queries"][:, None]).any(), "a query retrieves itself"
    with pytest.raises(ValueError, match="at least as large"):
        evaluate_gallery(vectors[:20], patients[:20], names[:20], index="IVF64,Flat")


def test_metrics_of_a_hand_made_gallery():
    """Patients a and b have two directions, c one image; a3 is nearer to b's images than to its own patient's."""
    angles = np.deg2rad([0, 2, 47, 44, 50, 120])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    result = evaluate_gallery(vectors, np.array(list("aaabbc")), ["a1", "a2", "a3", "b1", "b2", "c1"])
    assert result.counts == {"gallery": 6, "patients": 3, "queries": 5, "queries left out": 1}
    rows = result.per_image
    assert "c1" not in rows
    assert [rows[name]["recall@1"] for name in ("a1", "a2", "a3", "b1", "b2")] == [1, 1, 0, 0, 0]
    assert rows["a1"]["map"] == pytest.approx((1 / 1 + 2 / 3) / 2)  # a2, b1, a3
    assert rows["a3"]["map"] == pytest.approx((1 / 3 + 2 / 4) / 2)  # b1, b2, then a2, a1
    assert rows["a1"]["precision@5"] == pytest.approx(2 / 5)
    assert result.metrics["recall@1"] == pytest.approx(2 / 5)
    recalls = [result.metrics[f"recall@{k}"] for k in (1, 5, 10)]
    assert result.metrics["mean_recall"] == pytest.approx(np.mean(recalls))
    assert result.metrics["recall@1_chance"] == pytest.approx((3 * 2 / 5 + 2 * 1 / 5) / 5)


def test_a_gallery_without_queries_has_no_values_and_a_reason():
    result = evaluate_gallery(np.eye(3), np.array(list("abc")), ["a", "b", "c"])
    assert set(result.metrics.values()) == {None}
    assert set(result.reasons) == set(result.metrics)
    assert "second image" in result.reasons["recall@1"]
