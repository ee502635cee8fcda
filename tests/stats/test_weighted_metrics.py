"""Weighted metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from f2vbench.stats.weighted_metrics import METRICS, make_metric

DRAW = np.random.default_rng(0)
LABELS = DRAW.random(80) < 0.4
SCORES = np.round(LABELS + DRAW.normal(size=80), 1)
WEIGHTS = DRAW.multinomial(80, np.full(80, 1 / 80), size=6)
CLASSES = DRAW.integers(0, 3, 80)
CLASS_SCORES = DRAW.dirichlet(np.ones(3), 80) + np.eye(3)[CLASSES] / 3
PREDICTED = SCORES > 0.5

REFERENCES = {
    "auroc": (SCORES, LABELS, lambda w: metrics.roc_auc_score(LABELS, SCORES, sample_weight=w)),
    "average_precision": (SCORES, LABELS, lambda w: metrics.average_precision_score(LABELS, SCORES, sample_weight=w)),
    "macro_auroc": (
        CLASS_SCORES,
        CLASSES,
        lambda w: metrics.roc_auc_score(np.eye(3)[CLASSES], CLASS_SCORES, average="macro", sample_weight=w),
    ),
    "macro_average_precision": (
        CLASS_SCORES,
        CLASSES,
        lambda w: metrics.average_precision_score(np.eye(3)[CLASSES], CLASS_SCORES, sample_weight=w),
    ),
    "accuracy": (PREDICTED, LABELS, lambda w: metrics.accuracy_score(LABELS, PREDICTED, sample_weight=w)),
    "balanced_accuracy": (
        PREDICTED,
        LABELS,
        lambda w: metrics.balanced_accuracy_score(LABELS, PREDICTED, sample_weight=w),
    ),
    "sensitivity": (PREDICTED, LABELS, lambda w: metrics.recall_score(LABELS, PREDICTED, sample_weight=w)),
    "specificity": (PREDICTED, LABELS, lambda w: metrics.recall_score(~LABELS, ~PREDICTED, sample_weight=w)),
    "dice": (PREDICTED, LABELS, lambda w: metrics.f1_score(LABELS, PREDICTED, sample_weight=w)),
    "mean": (SCORES, None, lambda w: np.average(SCORES, weights=w)),
    "ratio": (np.abs(CLASS_SCORES[:, :2]), None, lambda w: np.divide(*(w @ np.abs(CLASS_SCORES[:, :2])))),
    "mean_of_ratios": (
        np.column_stack([SCORES * (CLASSES == 0), SCORES * (CLASSES == 1), CLASSES == 0, CLASSES == 1]),
        None,
        lambda w: np.mean([np.average(SCORES[group == CLASSES], weights=w[group == CLASSES]) for group in (0, 1)]),
    ),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_weighted_metric_equals_scikit_learn(name):
    predictions, labels, reference = REFERENCES[name]
    values = METRICS[name].prepare(predictions, labels)(WEIGHTS.astype(float))
    np.testing.assert_allclose(values, [reference(weights) for weights in WEIGHTS], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].rank_based])
def test_sums_along_sorted_scores_equal_matrix_products(name, monkeypatch):
    predictions, labels, _ = REFERENCES[name]
    weights = WEIGHTS * np.arange(6)[:, None]  # the first resample has no case
    by_products = METRICS[name].prepare(predictions, labels)(weights.astype(float))
    monkeypatch.setattr("f2vbench.stats.weighted_metrics._PAIRS_PER_CASE", 0)
    by_sums = METRICS[name].prepare(predictions, labels)(weights.astype(float))
    assert np.isnan(by_sums[0])
    np.testing.assert_allclose(by_products, by_sums, rtol=1e-14)


@pytest.mark.parametrize("pairs_per_case", [0, 250])
@pytest.mark.parametrize("name", ["auroc", "average_precision"])
def test_a_ranking_metric_is_undefined_without_positive_or_negative_cases(name, pairs_per_case, monkeypatch):
    monkeypatch.setattr("f2vbench.stats.weighted_metrics._PAIRS_PER_CASE", pairs_per_case)
    weights = np.array([LABELS, ~LABELS, np.ones(80)], dtype=float)
    assert np.isnan(METRICS[name].prepare(SCORES, LABELS)(weights)).tolist() == [True, True, False]


def test_a_metric_made_from_a_function_equals_the_named_metric():
    def auroc_of_pairs(scores, labels):
        won = np.sign(scores[labels][:, None] - scores[~labels])
        return float(won.mean() / 2 + 0.5) if labels.any() and not labels.all() else None

    named = METRICS["auroc"].prepare(SCORES, LABELS)(WEIGHTS.astype(float))
    made = make_metric(auroc_of_pairs).prepare(SCORES, LABELS)(WEIGHTS.astype(float))
    np.testing.assert_allclose(made, named, rtol=1e-12)
