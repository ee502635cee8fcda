"""Numbers that figures show, compared with scikit-learn, statsmodels and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from f2vbench.report.figures.confusion import count_confusions
from f2vbench.report.figures.curves import GRID, compute_precision_recall_curve, compute_roc_curve
from f2vbench.report.figures.example_selection import select_best_median_worst
from f2vbench.report.figures.predictions import Predictions
from f2vbench.report.figures.projections import (
    MAX_IMAGES,
    project_principal_components,
    project_tsne,
    select_tsne_rows,
    tsne_perplexity,
)
from f2vbench.report.figures.published_results import load_published, published_at
from f2vbench.report.figures.reliability import bin_probabilities, event_probabilities


def simulate_scores(seed: int, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of 300 cases; rounded to 1/steps, so that some scores are equal."""
    rng = np.random.default_rng(seed)
    labels = rng.random(300) < 0.3
    scores = rng.normal(size=300) + labels
    return (scores if steps is None else np.round(scores * steps) / steps), labels


@pytest.mark.parametrize("steps", [None, 2])
def test_roc_curve_equals_that_of_scikit_learn(steps):
    scores, labels = simulate_scores(1, steps)
    curve = compute_roc_curve(scores, labels)
    assert np.trapezoid(curve, GRID) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=0.005)
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert curve[1:] == pytest.approx(np.interp(GRID[1:], false, true))


@pytest.mark.parametrize("steps", [None, 2])
def test_area_under_the_precision_recall_curve_is_the_average_precision(steps):
    scores, labels = simulate_scores(2, steps)
    curve = compute_precision_recall_curve(scores, labels)
    middle = (GRID[1:] + GRID[:-1]) / 2  # steps end between the points of the grid
    area = np.interp(middle, GRID, curve).mean()
    assert area == pytest.approx(metrics.average_precision_score(labels, scores), abs=0.01)
    for recall, precision in zip(GRID[1:], curve[1:], strict=True):
        threshold = next(t for t in sorted(set(scores), reverse=True) if (scores[labels] >= t).mean() >= recall - 1e-12)
        assert precision == pytest.approx(labels[scores >= threshold].mean())


def test_reliability_bins_equal_those_of_a_slow_loop():
    rng = np.random.default_rng(3)
    probabilities = np.concatenate([rng.random(200), [0.0, 1.0, 1 / 15, 2 / 15]])
    events = rng.random(204) < probabilities
    bins = bin_probabilities(probabilities, events)
    expected = []
    for i in range(15):
        inside = (probabilities > i / 15) & (probabilities <= (i + 1) / 15) | (i == 0) * (probabilities == 0)
        if inside.any():
            expected.append((probabilities[inside].mean(), events[inside].mean(), inside.sum()))
    assert list(zip(*bins, strict=True)) == [pytest.approx(row) for row in expected]


def test_calibrated_events_depend_on_the_kind_of_labels():
    p = np.array([[0.2, 0.8], [0.9, 0.1]])
    targets = np.array([[True, False], [True, False]])
    for kind, expected in (("binary", [[0.8, 0.1], [False, False]]), ("nominal", [[0.8, 0.9], [False, True]])):
        pair = event_probabilities(Predictions(kind, ["a", "b"], p, targets))
        assert [values.tolist() for values in pair] == expected
    assert event_probabilities(Predictions("multilabel", ["a", "b"], p, targets))[0].shape == (4,)


def test_classes_without_test_images_have_no_curve():
    predictions = Predictions("nominal", ["a", "b", "c"], np.eye(3)[[0, 1, 0]], np.eye(3, dtype=bool)[[0, 1, 1]])
    assert len(predictions.one_vs_rest()) == 2


def test_confusion_matrix_equals_that_of_scikit_learn():
    true, predicted = np.random.default_rng(4).integers(0, 4, (2, 50))
    expected = metrics.confusion_matrix(true, predicted, labels=range(4))
    assert (count_confusions(true, predicted, 4) == expected).all()


def test_principal_components_equal_those_of_scikit_learn():
    vectors = np.random.default_rng(4).normal(size=(30, 7)) * np.arange(1, 8)
    positions, variance = project_principal_components(vectors)
    reference = PCA(2).fit(vectors)
    assert variance == pytest.approx(reference.explained_variance_ratio_)
    assert np.abs(positions) == pytest.approx(np.abs(reference.transform(vectors)))
    assert project_principal_components(vectors[::-1])[0][::-1] == pytest.approx(positions)


def test_tsne_equals_that_of_scikit_learn_is_deterministic_and_keeps_neighbours():
    rng = np.random.default_rng(5)
    vectors = (rng.normal(size=(60, 80)) + 6 * rng.normal(size=(4, 80))[np.arange(60) % 4]).astype(np.float32)
    positions = project_tsne(vectors)
    assert (positions == project_tsne(vectors)).all()
    components = PCA(50, svd_solver="full").fit_transform(vectors.astype(np.float64))
    with threadpool_limits(1):
        expected = TSNE(perplexity=59 / 3, init="pca", random_state=0).fit_transform(components)
    assert positions == pytest.approx(expected, abs=1e-3)
    assert trustworthiness(vectors, positions, n_neighbors=5) > 0.9
    _, nearest = NearestNeighbors(n_neighbors=2).fit(positions).kneighbors(positions)
    assert (nearest[:, 1] % 4 == np.arange(60) % 4).mean() > 0.95


def test_tsne_limits_perplexity_and_number_of_images():
    assert [tsne_perplexity(n) for n in (10, 91, 5000)] == [3, 30, 30]
    assert select_tsne_rows(7).tolist() == list(range(7))
    rows = select_tsne_rows(MAX_IMAGES + 500)
    assert len(set(rows)) == MAX_IMAGES
    assert (np.diff(rows) > 0).all()


def test_examples_are_the_best_median_and_worst_image():
    values = {"d": 0.5, "b": 0.9, "a": 0.9, "c": 0.1, "e": 0.3}
    assert select_best_median_worst(values) == {"best": "a", "median": "d", "worst": "c"}
    assert select_best_median_worst({"x": 1.0, "y": 0.5}) == {"best": "x", "median": "y"}
    assert select_best_median_worst({}) == {}


def test_published_values_are_those_of_the_papers():
    few_shot = [(row.value, row.encoder) for row in published_at("rite", "auroc", "few-shot", 1)]
    assert few_shot == [(0.965, "fundus2video")]
    assert published_at("rite", "dice", "few-shot", 1)[0].value == 0.733
    assert published_at("rite", "auroc", "zero-shot", 0)[0].value == 0.943
    assert not published_at("rite", "auroc", "few-shot", 2)
    videos = {(row.source, row.encoder, row.metric): row.value for row in load_published() if row.task == "video"}
    assert len(videos) == 2 * 4 * 4
    fvd = sorted(value for (_, name, metric), value in videos.items() if (name, metric) == ("fundus2video", "fvd"))
    assert fvd == [1497.12, 1503.21]
    assert all(row.place and row.note for row in load_published())
