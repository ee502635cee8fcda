"""Metrics of predicted numbers for many resamples at once.

Each metric receives (n, 2) predictions, the predicted and the true number of each case, and no labels. See
`f2vbench.stats.weighted_metrics`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from f2vbench.stats.weighted_metrics import WeightedFunction, WeightedMetric, divide_where_positive

Floats = NDArray[np.float64]

# A variance below this share of the mean square is rounding of equal numbers.
_NEGLIGIBLE = 1e-12


def _prepare_of_moments(compute: Callable[[_Moments], Floats]) -> Callable[..., WeightedFunction]:
    def prepare(pairs: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        predicted, true = _columns(pairs)
        return lambda weights: compute(_Moments(predicted, true, weights))

    return prepare


class _Moments:
    """Weighted means, variances and covariance of (n,) predicted and true numbers, (b,) each."""

    def __init__(self, predicted: Floats, true: Floats, weights: np.ndarray):
        # Differences from one common number keep the digits of variances of numbers far from 0.
        centre = true.mean()
        p, t = predicted - centre, true - centre
        total = weights.sum(axis=1)

        def mean(values: Floats) -> Floats:
            return divide_where_positive(weights @ values, total)

        self.of_predicted, self.of_true = mean(p), mean(t)
        self.squares, self.absolute = mean((p - t) ** 2), mean(np.abs(p - t))
        self.predicted_variance = _variance(mean(p**2), self.of_predicted)
        self.true_variance = _variance(mean(t**2), self.of_true)
        self.covariance = mean(p * t) - self.of_predicted * self.of_true


def _variance(mean_square: Floats, mean: Floats) -> Floats:
    variance = mean_square - mean**2
    return np.where(variance > _NEGLIGIBLE * mean_square, variance, 0.0)


def _r2(moments: _Moments) -> Floats:
    return 1 - divide_where_positive(moments.squares, moments.true_variance)


def _pearson(moments: _Moments) -> Floats:
    product = np.sqrt(moments.predicted_variance) * np.sqrt(moments.true_variance)
    return np.asarray(np.clip(divide_where_positive(moments.covariance, product), -1, 1))


def _concordance_correlation(moments: _Moments) -> Floats:
    """Lin 1989, Biometrics 45:255, equation 2, with variances divided by n."""
    distance = (moments.of_predicted - moments.of_true) ** 2
    return divide_where_positive(2 * moments.covariance, moments.predicted_variance + moments.true_variance + distance)


def _spearman(pairs: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Pearson correlation of the ranks in each resample; ties have their mean rank."""
    rank_predicted, rank_true = (_weighted_ranks(column) for column in _columns(pairs))

    def compute(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1, keepdims=True)
        p, t = (rank(weights) - (total + 1) / 2 for rank in (rank_predicted, rank_true))
        variances = [(weights * deviation**2).sum(axis=1) for deviation in (p, t)]
        product = np.sqrt(variances[0]) * np.sqrt(variances[1])
        return np.asarray(np.clip(divide_where_positive((weights * p * t).sum(axis=1), product), -1, 1))

    return compute


def _weighted_ranks(values: Floats) -> Callable[[np.ndarray], np.ndarray]:
    """Function of (b, n) weights → (b, n) mean ranks, from 1, of the cases in each resample."""
    _, group = np.unique(values, return_inverse=True)

    def compute(weights: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(weights), group.max() + 1))
        np.add.at(sums.T, group, weights.T)
        ranks = np.cumsum(sums, axis=1) - sums + (sums + 1) / 2
        return np.asarray(ranks[:, group])

    return compute


def _columns(pairs: np.ndarray) -> tuple[Floats, Floats]:
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"needs the predicted and the true number of each case, (n, 2), not {pairs.shape}")
    numbers = pairs.astype(np.float64)
    return numbers[:, 0], numbers[:, 1]


REGRESSION = {
    metric.name: metric
    for metric in (
        WeightedMetric("mae", _prepare_of_moments(lambda moments: moments.absolute)),
        WeightedMetric("rmse", _prepare_of_moments(lambda moments: np.sqrt(moments.squares))),
        WeightedMetric("r2", _prepare_of_moments(_r2)),
        WeightedMetric("spearman", _spearman),
        WeightedMetric("pearson", _prepare_of_moments(_pearson)),
        WeightedMetric("concordance_correlation", _prepare_of_moments(_concordance_correlation)),
    )
}
"""Name of a metric of `f2vbench.metrics.regression.evaluate` → the metric for many resamples."""
