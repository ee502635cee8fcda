"""Regression metrics against scikit-learn, SciPy and a slow loop, whole and in resamples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from f2vbench.metrics.regression import evaluate
from f2vbench.stats.weighted_regression import REGRESSION


def slow_concordance_correlation(predicted: np.ndarray, true: np.ndarray) -> float:
    n = len(true)
    mean_p, mean_t = sum(predicted) / n, sum(true) / n
    covariance = sum((p - mean_p) * (t - mean_t) for p, t in zip(predicted, true, strict=True)) / n
    variances = sum((p - mean_p) ** 2 for p in predicted) / n + sum((t - mean_t) ** 2 for t in true) / n
    return float(2 * covariance / (variances + (mean_p - mean_t) ** 2))


def references(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    return {
        "mae": metrics.mean_absolute_error(true, predicted),
        "rmse": metrics.root_mean_squared_error(true, predicted),
        "r2": metrics.r2_score(true, predicted),
        "spearman": stats.spearmanr(predicted, true).statistic,
        "pearson": stats.pearsonr(predicted, true).statistic,
        "concordance_correlation": slow_concordance_correlation(predicted, true),
    }


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    true = 60 + 12 * draw.normal(size=int(draw.integers(5, 80)))
    predicted = 55 + 0.5 * (true - 60) + 8 * draw.normal(size=len(true))
    return (predicted.round(), true.round()) if seed % 2 else (predicted, true)  # odd seeds have ties


@pytest.mark.parametrize("seed", range(12))
def test_each_metric_equals_its_reference(seed: int) -> None:
    predicted, true = case(seed)
    values, reasons = evaluate(predicted, true)
    assert values == pytest.approx(references(predicted, true), abs=1e-12)
    assert reasons == {}


@pytest.mark.parametrize("name", REGRESSION)
def test_a_weighted_metric_is_the_metric_of_the_repeated_cases(name: str) -> None:
    predicted, true = case(3)
    draw = np.random.default_rng(1)
    weights = draw.integers(0, 4, (20, len(true))).astype(float)
    computed = REGRESSION[name].prepare(np.column_stack([predicted, true]), None)(weights)
    for value, row in zip(computed, weights.astype(int), strict=True):
        rows = np.repeat(np.arange(len(true)), row)
        assert value == pytest.approx(references(predicted[rows], true[rows])[name], abs=1e-11)


def test_numbers_far_from_zero_keep_their_digits() -> None:
    predicted, true = case(2)
    near, far = evaluate(predicted, true)[0], evaluate(predicted + 1e7, true + 1e7)[0]
    assert far == pytest.approx(near, rel=1e-6)


def test_metrics_of_equal_numbers_are_missing_with_a_reason() -> None:
    values, reasons = evaluate(np.full(4, 2.0), np.array([1.0, 2.0, 3.0, 4.0]))
    assert values["spearman"] is values["pearson"] is None
    assert reasons == dict.fromkeys(("spearman", "pearson"), "all predicted numbers are equal")
    assert values["concordance_correlation"] == 0.0
    values, reasons = evaluate(np.array([1.0, 2.0]), np.full(2, 2.0))
    assert values["r2"] is None
    assert reasons["r2"] == "all true numbers are equal"
    assert values["mae"] == 0.5


def test_shapes_and_values_that_are_no_predictions_are_refused() -> None:
    for predicted, true in (([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[1.0]])):
        with pytest.raises(ValueError, match="must both have shape"):
            evaluate(np.array(predicted), np.array(true))
    with pytest.raises(ValueError, match="not finite"):
        evaluate(np.array([np.nan]), np.array([1.0]))
