"""Metrics of resamples against the same metrics of repeated cases, and Wilson's interval against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from f2vbench.metrics import operating_points
from f2vbench.stats.proportions import wilson_interval
from f2vbench.stats.weighted_diagnosis import (
    CALIBRATION,
    DECISIONS,
    partial_auroc_metric,
    sensitivity_at_metric,
    specificity_at_metric,
)


@pytest.fixture(scope="module")
def resamples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    labels = draw.random(40) < 0.4
    p = np.round(1 / (1 + np.exp(-(draw.normal(size=40) + labels))), 2)
    weights = np.stack([np.bincount(draw.integers(0, 40, 40), minlength=40) for _ in range(12)]).astype(float)
    weights[0], weights[1] = 1.0, np.where(labels, 1.0, 0.0)  # all cases; positives alone
    return p, labels, weights


def test_weights_count_cases_as_if_they_were_repeated(resamples):
    p, labels, weights = resamples
    decisions = (p >= 0.5).astype(float)
    functions = {
        partial_auroc_metric(0.1): lambda s, y: operating_points.partial_auroc(s, y, 0.1),
        sensitivity_at_metric(0.9): lambda s, y: operating_points.sensitivity_at_specificity(s, y, 0.9),
        specificity_at_metric(0.9): lambda s, y: operating_points.specificity_at_sensitivity(s, y, 0.9),
        CALIBRATION["calibration_slope"]: operating_points.calibration_slope,
        CALIBRATION["calibration_intercept"]: operating_points.calibration_intercept,
    }
    for name, metric in DECISIONS.items():
        functions[metric] = lambda s, y, name=name: operating_points.decision_metrics(s >= 0.5, y)[name]
    for metric, function in functions.items():
        used = decisions if metric.name in DECISIONS else p
        values = metric.prepare(used, labels)(weights)
        for row, value in zip(weights.astype(int), values, strict=True):
            repeated = np.repeat(np.arange(40), row)
            expected = function(p[repeated], labels[repeated])
            assert value == pytest.approx(np.nan if expected is None else expected, abs=1e-8, nan_ok=True), metric.name
    assert np.isnan(partial_auroc_metric(0.1).prepare(p, labels)(weights[1:2])).all()


def test_partial_auroc_of_a_resample_equals_scikit_learn_with_weights(resamples):
    p, labels, weights = resamples
    values = partial_auroc_metric(0.2).prepare(p, labels)(weights)
    for row, value in zip(weights[2:], values[2:], strict=True):
        assert value == pytest.approx(roc_auc_score(labels, p, max_fpr=0.2, sample_weight=row), abs=1e-12)


def test_wilson_interval_equals_that_of_statsmodels():
    counts = np.array([1, 7, 40, 40])
    proportions = np.array([1.0, 3 / 7, 0.0, 0.25])
    for alpha in (0.05, 0.1):
        expected = proportion_confint(proportions * counts, counts, alpha, method="wilson")
        for ends, expected_ends in zip(wilson_interval(proportions, counts, 1 - alpha), expected, strict=True):
            assert ends == pytest.approx(expected_ends, abs=1e-12)
