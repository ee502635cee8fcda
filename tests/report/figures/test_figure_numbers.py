"""The numbers that figures draw, against scikit-learn, statsmodels and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from statsmodels.stats.proportion import proportion_confint
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
from f2vbench.report.figures.reliability import BINS, bin_probabilities, event_probabilities, wilson_interval


def drawn_scores(seed: int, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.random(300) < 0.3
    scores = draw.normal(size=300) + labels
    return (scores if steps is None else np.round(scores * steps) / steps), labels


@pytest.mark.parametrize("steps", [None, 2])
def test_the_area_of_a_roc_curve_is_the_auroc_and_its_points_are_scikit_learns(steps):
    scores, labels = drawn_scores(1, steps)
    curve = compute_roc_curve(scores, labels)
    assert np.trapezoid(curve, GRID) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=0.005)
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    between = np.interp(GRID[1:], false, true)
    assert curve[1:] == pytest.approx(between)


@pytest.mark.parametrize("steps", [None, 2])
def test_the_area_of_a_precision_recall_curve_is_the_average_precision(steps):
    scores, labels = drawn_scores(2, steps)
    curve = compute_precision_recall_curve(scores, labels)
    fine = (GRID[1:] + GRID[:-1]) / 2  # steps end between the points of the grid
    assert np.interp(fine, GRID, curve).mean() == pytest.approx(
        metrics.average_precision_score(labels, scores), abs=0.01
    )
    for recall, precision in zip(GRID[1:], curve[1:], strict=True):
        threshold = next(t for t in sorted(set(scores), reverse=True) if (scores[labels] >= t).mean() >= recall - 1e-12)
        assert precision == pytest.approx(labels[scores >= threshold].mean())


def test_bins_of_reliability_are_those_of_a_slow_loop():
    draw = np.random.default_rng(3)
    confidence = np.concatenate([draw.random(200), [0.0, 1.0, 1 / 15, 2 / 15]])
    right = draw.random(204) < confidence
    mean, part, count = bin_probabilities(confidence, right)
    rows = []
    for place in range(BINS):
        inside = (confidence > place / BINS) & (confidence <= (place + 1) / BINS) | (place == 0) * (confidence == 0)
        if inside.any():
            rows.append((confidence[inside].mean(), right[inside].mean(), inside.sum()))
    assert list(zip(mean, part, count, strict=True)) == [pytest.approx(row) for row in rows]
    low, high = wilson_interval(part, count)
    expected = proportion_confint(part * count, count, method="wilson")
    assert low == pytest.approx(expected[0], abs=1e-4)  # 1.96, not 1.959964
    assert high == pytest.approx(expected[1], abs=1e-4)


def test_what_is_stated_depends_on_the_kind_of_labels():
    p = np.array([[0.2, 0.8], [0.9, 0.1]])
    targets = np.array([[True, False], [True, False]])
    assert [v.tolist() for v in event_probabilities(Predictions("binary", ["a", "b"], p, targets))] == [
        [0.8, 0.1],
        [False, False],
    ]
    assert [v.tolist() for v in event_probabilities(Predictions("nominal", ["a", "b"], p, targets))] == [
        [0.8, 0.9],
        [False, True],
    ]
    assert event_probabilities(Predictions("multilabel", ["a", "b"], p, targets))[0].shape == (4,)
    absent = Predictions("nominal", ["a", "b", "c"], np.eye(3)[[0, 1, 0]], np.eye(3, dtype=bool)[[0, 1, 1]])
    assert len(absent.one_vs_rest()) == 2  # no image is c


def test_confusion_counts_and_principal_components_are_scikit_learns():
    draw = np.random.default_rng(4)
    truth, guess = draw.integers(0, 4, (2, 50))
    assert (count_confusions(truth, guess, 4) == metrics.confusion_matrix(truth, guess, labels=range(4))).all()
    vectors = draw.normal(size=(30, 7)) * np.arange(1, 8)
    points, parts = project_principal_components(vectors)
    reference = PCA(2).fit(vectors)
    assert parts == pytest.approx(reference.explained_variance_ratio_)
    assert np.abs(points) == pytest.approx(np.abs(reference.transform(vectors)))
    assert project_principal_components(vectors[::-1])[0][::-1] == pytest.approx(points)


def test_a_neighbour_map_is_scikit_learns_keeps_neighbours_and_does_not_change():
    draw = np.random.default_rng(5)
    vectors = (draw.normal(size=(60, 80)) + 6 * draw.normal(size=(4, 80))[np.arange(60) % 4]).astype(np.float32)
    points = project_tsne(vectors)
    assert (points == project_tsne(vectors)).all()
    first = PCA(50, svd_solver="full").fit_transform(vectors.astype(np.float64))
    with threadpool_limits(1):
        expected = TSNE(perplexity=59 / 3, init="pca", random_state=0).fit_transform(first)
    assert points == pytest.approx(expected, abs=1e-3)
    assert trustworthiness(vectors, points, n_neighbors=5) > 0.9
    _, near = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points)
    assert (near[:, 1] % 4 == np.arange(60) % 4).mean() > 0.95
    assert [tsne_perplexity(n) for n in (10, 91, 5000)] == [3, 30, 30]
    assert select_tsne_rows(7).tolist() == list(range(7))
    some = select_tsne_rows(MAX_IMAGES + 500)
    assert len(set(some)) == MAX_IMAGES
    assert (np.diff(some) > 0).all()


def test_examples_are_chosen_by_a_rule_that_leaves_no_choice():
    values = {"d": 0.5, "b": 0.9, "a": 0.9, "c": 0.1, "e": 0.3}
    assert select_best_median_worst(values) == {"best": "a", "median": "d", "worst": "c"}
    assert select_best_median_worst({"x": 1.0, "y": 0.5}) == {"best": "x", "median": "y"}
    assert select_best_median_worst({}) == {}


def test_published_figures_are_those_of_the_papers():
    assert [(row.value, row.encoder) for row in published_at("rite", "auroc", "few-shot", 1)] == [
        (0.965, "fundus2video")
    ]
    assert published_at("rite", "dice", "few-shot", 1)[0].value == 0.733
    assert published_at("rite", "auroc", "zero-shot", 0)[0].value == 0.943
    assert not published_at("rite", "auroc", "few-shot", 2)
    videos = {(row.source, row.encoder, row.metric): row.value for row in load_published() if row.task == "video"}
    assert len(videos) == 2 * 4 * 4
    assert sorted(
        value for (_, name, metric), value in videos.items() if name == "fundus2video" and metric == "fvd"
    ) == [
        1497.12,
        1503.21,
    ]
    assert all(row.place and row.note for row in load_published())
