"""Metrics of a diagnostic test for many resamples at once: decisions, parts of the ROC curve, and calibration.

`DECISIONS` take (n,) decisions, `ROC_METRICS` and `CALIBRATION` take (n,) scores or probabilities; all take (n,) binary
labels. NaN means undefined, as in `f2vbench.stats.weighted_metrics`.

Example:
    Two resamples of four cases, the second without a positive decision.

    >>> decisions, labels = np.array([1, 0, 1, 0]), np.array([1, 1, 0, 0])
    >>> DECISIONS["ppv"].prepare(decisions, labels)(np.array([[3.0, 1, 1, 1], [0, 1, 0, 1]])).tolist()
    [0.75, nan]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from f2vbench.stats.validation import as_binary_labels
from f2vbench.stats.weighted_metrics import WeightedFunction, WeightedMetric, divide_where_positive

SMALLEST_PROBABILITY = 1e-8
"""Probabilities of 0 and 1, whose logit is infinite, are moved to 1e-8 and 1 − 1e-8 in the logistic recalibration."""

_TOLERANCE = 1e-9  # of rates that are compared with a target
_MAX_STEPS = 60
_MAX_HALVINGS = 12
_CONVERGED = 1e-10
_LARGEST_SLOPE = 1e3  # beyond, positives and negatives are separated and the likelihood has no maximum


def _of_counts(
    formula: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> Callable[..., WeightedFunction]:
    def prepare(decisions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        truth = _labels_of(decisions, labels)
        called = as_binary_labels(decisions, decisions.size)
        parts = np.column_stack([called & truth, called & ~truth, ~called & truth, ~called & ~truth]).astype(float)
        return lambda weights: formula(*(weights @ parts).T)

    return prepare


def _matthews(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return divide_where_positive(tp * tn - fp * fn, np.sqrt(margins))


def _f1(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
    return np.where(tp + fn > 0, divide_where_positive(2 * tp, 2 * tp + fp + fn), np.nan)


DECISIONS = {
    metric.name: metric
    for metric in (
        WeightedMetric("sensitivity", _of_counts(lambda tp, fp, fn, tn: divide_where_positive(tp, tp + fn))),
        WeightedMetric("specificity", _of_counts(lambda tp, fp, fn, tn: divide_where_positive(tn, tn + fp))),
        WeightedMetric("ppv", _of_counts(lambda tp, fp, fn, tn: divide_where_positive(tp, tp + fp))),
        WeightedMetric("npv", _of_counts(lambda tp, fp, fn, tn: divide_where_positive(tn, tn + fn))),
        WeightedMetric("f1", _of_counts(_f1)),
        WeightedMetric("mcc", _of_counts(_matthews)),
    )
}
"""Metrics of decisions: positive and negative predictive value, F1 (undefined without a positive case), and Matthews'
correlation coefficient (undefined where a margin of the table is zero)."""


def partial_auroc_metric(max_fpr: float) -> WeightedMetric:
    """Standardised partial area under the ROC curve up to a false positive rate (McClish 1989).

    Args:
        max_fpr: Largest false positive rate, in (0, 1].

    Returns:
        A metric of (n,) scores: 1 for a perfect curve, 0.5 for the diagonal.

    Example:
        >>> scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
        >>> partial_auroc_metric(0.5).prepare(scores, labels)(np.ones((1, 4))).round(4).tolist()
        [0.6667]
    """
    lowest = max_fpr**2 / 2

    def area(false: np.ndarray, true: np.ndarray) -> np.ndarray:
        left, right = false[:, :-1], np.minimum(false[:, 1:], max_fpr)
        width = np.maximum(right - left, 0)
        run = false[:, 1:] - left
        slope = np.divide(np.diff(true, axis=1), run, out=np.zeros_like(run), where=run > 0)
        partial = (width * (true[:, :-1] + slope * width / 2)).sum(axis=1)
        return np.asarray(0.5 * (1 + (partial - lowest) / (max_fpr - lowest)))

    return WeightedMetric("partial_auroc", _of_roc_curve(area), rank_based=True)


def sensitivity_at_metric(specificity: float) -> WeightedMetric:
    """Largest sensitivity among the thresholds whose specificity is at least a given one.

    Args:
        specificity: Smallest specificity, in [0, 1].

    Returns:
        A metric of (n,) scores.

    Example:
        >>> scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
        >>> sensitivity_at_metric(0.9).prepare(scores, labels)(np.ones((1, 4))).tolist()
        [0.5]
    """

    def largest(false: np.ndarray, true: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(1 - false >= specificity - _TOLERANCE, true, 0.0).max(axis=1))

    return WeightedMetric("sensitivity_at_specificity", _of_roc_curve(largest), rank_based=True)


def specificity_at_metric(sensitivity: float) -> WeightedMetric:
    """Largest specificity among the thresholds whose sensitivity is at least a given one.

    Args:
        sensitivity: Smallest sensitivity, in [0, 1].

    Returns:
        A metric of (n,) scores.

    Example:
        >>> scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])
        >>> specificity_at_metric(0.9).prepare(scores, labels)(np.ones((1, 4))).tolist()
        [0.5]
    """

    def largest(false: np.ndarray, true: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(true >= sensitivity - _TOLERANCE, 1 - false, 0.0).max(axis=1))

    return WeightedMetric("specificity_at_sensitivity", _of_roc_curve(largest), rank_based=True)


def _of_roc_curve(summary: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., WeightedFunction]:
    """Summary of the ROC curves of resamples: (b, points) false and true positive rates → (b,)."""

    def prepare(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        truth = _labels_of(scores, labels)
        order = np.argsort(-scores.astype(np.float64), kind="stable")
        last = np.append(np.diff(scores[order]) != 0, True)  # of each run of equal scores
        positive = truth[order].astype(np.float64)

        def compute(weights: np.ndarray) -> np.ndarray:
            ordered = weights[:, order]
            true = np.cumsum(ordered * positive, axis=1)[:, last]
            false = np.cumsum(ordered, axis=1)[:, last] - true
            defined = (true[:, -1] > 0) & (false[:, -1] > 0)
            rates = [np.pad(divide_where_positive(part, part[:, -1:]), ((0, 0), (1, 0))) for part in (false, true)]
            return np.where(defined, summary(*(np.nan_to_num(rate) for rate in rates)), np.nan)

        return compute

    return prepare


def _calibration_slope(probabilities: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Slope b of the logistic regression logit P(y) = a + b·logit(p), by Newton's method with halved steps."""
    truth = _labels_of(probabilities, labels).astype(np.float64)
    x = _logits(probabilities)

    def compute(weights: np.ndarray) -> np.ndarray:
        total, positive = weights.sum(axis=1), weights @ truth
        defined = (positive > 0) & (positive < total)
        share = np.where(defined, positive / np.maximum(total, 1e-300), 0.5)
        intercept, slope = logit(share), np.zeros(len(weights))
        likelihood = _log_likelihood(weights, truth, x, intercept, slope)
        active = defined.copy()
        for _ in range(_MAX_STEPS):
            rows = np.flatnonzero(active)
            if not rows.size:
                break
            steps = _newton_steps(weights[rows], truth, x, intercept[rows], slope[rows])
            factor = np.ones(len(rows))
            for _ in range(_MAX_HALVINGS):
                moved = intercept[rows] + factor * steps[0], slope[rows] + factor * steps[1]
                reached = _log_likelihood(weights[rows], truth, x, *moved)
                worse = reached < likelihood[rows] - 1e-12 * np.abs(likelihood[rows])
                if not worse.any():
                    break
                factor = np.where(worse, factor / 2, factor)
            intercept[rows], slope[rows], likelihood[rows] = *moved, reached
            size = np.maximum(np.abs(factor * steps[0]), np.abs(factor * steps[1]))
            active[rows] = (size > _CONVERGED * (1 + np.abs(slope[rows]))) & (np.abs(slope[rows]) < _LARGEST_SLOPE)
        settled = defined & ~active & (np.abs(slope) < _LARGEST_SLOPE) & np.isfinite(slope)
        return np.where(settled, slope, np.nan)

    return compute


def _calibration_intercept(probabilities: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Intercept a of logit P(y) = a + logit(p) (calibration in the large), by bisection and Newton's method."""
    truth = _labels_of(probabilities, labels).astype(np.float64)
    x = _logits(probabilities)

    def compute(weights: np.ndarray) -> np.ndarray:
        total, positive = weights.sum(axis=1), weights @ truth
        defined = (positive > 0) & (positive < total)
        low, high = np.full(len(weights), -60.0), np.full(len(weights), 60.0)
        intercept = np.zeros(len(weights))
        for _ in range(_MAX_STEPS):
            p = expit(x + intercept[:, None])
            excess = positive - (weights * p).sum(axis=1)
            low, high = np.where(excess > 0, intercept, low), np.where(excess <= 0, intercept, high)
            information = (weights * p * (1 - p)).sum(axis=1)
            newton = intercept + excess / np.maximum(information, 1e-300)
            step = np.where((newton > low) & (newton < high), newton, (low + high) / 2) - intercept
            intercept = intercept + step
            if (np.abs(step[defined]) < _CONVERGED).all():
                break
        return np.where(defined, intercept, np.nan)

    return compute


CALIBRATION = {
    metric.name: metric
    for metric in (
        WeightedMetric("calibration_slope", _calibration_slope),
        WeightedMetric("calibration_intercept", _calibration_intercept),
    )
}
"""Logistic recalibration of (n,) probabilities: slope (1 if well calibrated, below 1 if too extreme) and intercept with
slope 1 (0 if well calibrated, negative if too high on average). Undefined where a class is absent, and the slope where
the probabilities separate the classes. References: Cox, Biometrika 45 (1958), 562-565; Van Calster et al., BMC Medicine
17 (2019), 230."""


def _labels_of(predictions: np.ndarray, labels: np.ndarray | None) -> NDArray[np.bool_]:
    if predictions.ndim != 1 or labels is None:
        raise ValueError(f"the metric needs (n,) predictions and (n,) labels, not {predictions.shape}")
    return as_binary_labels(labels, predictions.size)


def _logits(probabilities: np.ndarray) -> NDArray[np.float64]:
    p = probabilities.astype(np.float64)
    if ((p < 0) | (p > 1)).any():
        raise ValueError("calibration needs probabilities in [0, 1]")
    logits: NDArray[np.float64] = logit(np.clip(p, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
    return logits


def _log_likelihood(
    weights: np.ndarray, truth: np.ndarray, x: np.ndarray, intercept: np.ndarray, slope: np.ndarray
) -> np.ndarray:
    eta = intercept[:, None] + slope[:, None] * x
    return np.asarray((weights * (truth * eta - np.logaddexp(0, eta))).sum(axis=1))


def _newton_steps(
    weights: np.ndarray, truth: np.ndarray, x: np.ndarray, intercept: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    p = expit(intercept[:, None] + slope[:, None] * x)
    residual, variance = weights * (truth - p), weights * p * (1 - p)
    g0, g1 = residual.sum(axis=1), residual @ x
    h00, h01, h11 = variance.sum(axis=1), variance @ x, variance @ x**2
    determinant = np.maximum(h00 * h11 - h01**2, 1e-300)
    return (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
