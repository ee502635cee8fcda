"""Metrics of many resamples at once: each case counts as often as its weight says.

A metric receives predictions and labels once (and sorts them once) and returns a function that maps weights (b, n), how
often each of n cases occurs in each of b resamples, to b values. NaN means undefined; callers turn it into a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from f2vbench.stats.validation import as_binary_labels

_PAIRS_PER_CASE = 250
"""Up to this many pairs for each case, matrix products are faster than sums along sorted cases."""

WeightedFunction = Callable[[np.ndarray], np.ndarray]
"""(b, n) weights → (b,) values."""

Prepare = Callable[[np.ndarray, "np.ndarray | None"], WeightedFunction]


@dataclass(frozen=True)
class WeightedMetric:
    """A metric that can be computed for many resamples at once.

    Attributes:
        name: Name of the metric.
        prepare: (predictions, labels) → function of weights (b, n) → (b,) values.
        rank_based: Whether the metric depends on the order of the predictions only.
    """

    name: str
    prepare: Prepare
    rank_based: bool = False


MetricLike = str | WeightedMetric | Callable[..., "float | None"]


def make_metric(
    function: Callable[[np.ndarray, Any], float | None],
    name: str = "metric",
) -> WeightedMetric:
    """Make a weighted metric from any function. It is called once for each resample, which is slow.

    Args:
        function: (predictions, labels) → value, None where it is undefined.
        name: Name of the metric.

    Returns:
        A metric whose weights must be whole numbers.

    Example:
        >>> median = make_metric(lambda values, labels: float(np.median(values)))
        >>> median.prepare(np.array([1.0, 2.0, 9.0]), None)(np.array([[1, 1, 1], [0, 1, 2]])).tolist()
        [2.0, 9.0]
    """

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        def compute_one(weights: np.ndarray) -> float:
            rows = np.repeat(np.arange(len(weights)), weights.astype(np.int64))
            value = function(predictions[rows], None if labels is None else labels[rows])
            return np.nan if value is None else float(value)

        return lambda weights: np.array([compute_one(row) for row in weights])

    return WeightedMetric(name, prepare)


def get_metric(metric: MetricLike) -> WeightedMetric:
    """Return a metric by its name, or make one from a function.

    Args:
        metric: A name in `METRICS`, a `WeightedMetric`, or a function (predictions, labels) → number.

    Returns:
        The metric.

    Raises:
        ValueError: No metric has that name.

    Example:
        >>> get_metric("auroc").rank_based
        True
    """
    if isinstance(metric, WeightedMetric):
        return metric
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(f"unknown metric '{metric}': must be one of {', '.join(METRICS)}, or a function")
        return METRICS[metric]
    return make_metric(metric, getattr(metric, "__name__", "metric"))


def mean_over_seeds(metric: WeightedMetric) -> WeightedMetric:
    """Mean of a metric over seeds, each with test cases of its own.

    The cases of all seeds are concatenated. A patient who is tested at several seeds is drawn for all of them.

    Args:
        metric: Metric of one seed's cases.

    Returns:
        A metric of (n, 1 + k) predictions: the number of the seed, then the k columns that ``metric`` takes.

    Example:
        >>> predictions = np.array([[0, 1.0], [0, 3.0], [1, 8.0]])
        >>> mean_over_seeds(METRICS["mean"]).prepare(predictions, None)(np.ones((1, 3))).tolist()
        [5.0]
    """

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        values = predictions[:, 1:] if predictions.shape[1] > 2 else predictions[:, 1]
        parts = []
        for seed in np.unique(predictions[:, 0]):
            rows = np.flatnonzero(predictions[:, 0] == seed)
            parts.append((rows, metric.prepare(values[rows], None if labels is None else labels[rows])))
        return lambda weights: np.mean([compute(weights[:, rows]) for rows, compute in parts], axis=0)

    return WeightedMetric(f"mean over seeds of {metric.name}", prepare, metric.rank_based)


def mean_over_classes(name: str) -> WeightedMetric:
    """Mean over classes of a binary metric, one class against the rest, for multi-label cases.

    Args:
        name: Name of a binary metric in `METRICS`.

    Returns:
        A metric of (n, classes) scores and (n, classes) labels of 0 and 1.

    Example:
        >>> scores, labels = np.array([[0.1, 0.9], [0.8, 0.7]]), np.array([[0, 0], [1, 1]])
        >>> mean_over_classes("auroc").prepare(scores, labels)(np.ones((1, 2))).tolist()
        [0.5]
    """

    def prepare(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        if labels is None or scores.ndim != 2 or labels.shape != scores.shape:
            shape = None if labels is None else labels.shape
            raise ValueError(f"scores and labels must both have shape (n, classes), not {scores.shape} and {shape}")
        parts = [METRICS[name].prepare(scores[:, c], labels[:, c]) for c in range(scores.shape[1])]
        return lambda weights: np.mean([compute(weights) for compute in parts], axis=0)

    return WeightedMetric(f"mean over classes of {name}", prepare, METRICS[name].rank_based)


def _auroc(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    truth = _binary_truth(scores, labels)
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    if positive.size * negative.size > _PAIRS_PER_CASE * truth.size:
        return _auroc_by_sums(scores, truth)
    positive_scores = scores[positive][:, None]
    wins = (positive_scores > scores[negative]) + (positive_scores == scores[negative]) / 2

    def compute(weights: np.ndarray) -> np.ndarray:
        positives, negatives = weights[:, positive], weights[:, negative]
        won = np.einsum("bn,bn->b", positives @ wins, negatives)
        return divide_where_positive(won, positives.sum(axis=1) * negatives.sum(axis=1))

    return compute


def _auroc_by_sums(scores: np.ndarray, truth: np.ndarray) -> WeightedFunction:
    """AUROC by sums along the sorted scores, for cases with too many pairs to store."""
    order, starts = _tie_groups(scores)
    positive = truth[order].astype(np.float64)

    def compute(weights: np.ndarray) -> np.ndarray:
        all_sorted = weights[:, order]
        positives = _group_sums(all_sorted * positive, starts)
        negatives = _group_sums(all_sorted, starts) - positives
        below = np.cumsum(negatives, axis=1) - negatives / 2
        return divide_where_positive((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))

    return compute


def _average_precision(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Average precision; undefined without a positive or without a negative case, as in the records."""
    truth = _binary_truth(scores, labels)
    many_pairs = np.count_nonzero(truth) > _PAIRS_PER_CASE  # each positive case is paired with every case
    compute = (_average_precision_by_sums if many_pairs else _average_precision_by_products)(scores, truth)
    negative = np.flatnonzero(~truth)
    return lambda weights: np.where(weights[:, negative].sum(axis=1) > 0, compute(weights), np.nan)


def _average_precision_by_products(scores: np.ndarray, truth: np.ndarray) -> WeightedFunction:
    positive = np.flatnonzero(truth)
    at_or_above = (scores[:, None] >= scores[positive]).astype(np.float64)

    def compute(weights: np.ndarray) -> np.ndarray:
        positives = weights[:, positive]
        true_positives, predicted = positives @ at_or_above[positive], weights @ at_or_above
        precision = np.divide(true_positives, predicted, out=np.zeros_like(true_positives), where=predicted > 0)
        return divide_where_positive(np.einsum("bp,bp->b", positives, precision), positives.sum(axis=1))

    return compute


def _average_precision_by_sums(scores: np.ndarray, truth: np.ndarray) -> WeightedFunction:
    """Average precision by sums along the sorted scores, for cases with too many pairs to store."""
    order, starts = _tie_groups(-scores.astype(np.float64))
    positive = truth[order].astype(np.float64)

    def compute(weights: np.ndarray) -> np.ndarray:
        all_sorted = weights[:, order]
        positives = _group_sums(all_sorted * positive, starts)
        true_positives = np.cumsum(positives, axis=1)
        predicted = np.cumsum(_group_sums(all_sorted, starts), axis=1)
        precision = np.divide(true_positives, predicted, out=np.zeros_like(true_positives), where=predicted > 0)
        return divide_where_positive((positives * precision).sum(axis=1), true_positives[:, -1])

    return compute


def _one_vs_rest(binary_metric: Prepare) -> Prepare:
    """Mean of a binary metric over the classes of (n, c) scores, each against the rest; labels 0 … c − 1."""

    def prepare(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        if scores.ndim != 2 or scores.shape[1] < 2 or labels is None or labels.shape != scores.shape[:1]:
            raise ValueError(f"a macro metric needs (n, classes) scores and (n,) labels, not scores {scores.shape}")
        classes = range(scores.shape[1])
        if not np.isin(labels, classes).all():
            raise ValueError(f"labels must be 0 … {len(classes) - 1} for {len(classes)} columns of scores")
        parts = [binary_metric(scores[:, c], labels == c) for c in classes]
        return lambda weights: np.mean([compute(weights) for compute in parts], axis=0)

    return prepare


def _accuracy(predicted: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    if labels is None or labels.shape != predicted.shape or predicted.ndim != 1:
        raise ValueError("accuracy needs (n,) predicted classes and (n,) labels")
    return _mean((predicted == labels).astype(np.float64), None)


def _mean(values: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    if values.ndim != 1:
        raise ValueError(f"a mean needs one value for each case, (n,), not {values.shape}")
    numbers = values.astype(np.float64)
    return lambda weights: divide_where_positive(weights @ numbers, weights.sum(axis=1))


def _ratio_of_sums(parts: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Sum of numerators divided by sum of denominators, (n, 2)."""
    if parts.ndim != 2 or parts.shape[1] != 2:
        raise ValueError(f"a ratio needs a numerator and a denominator for each case, (n, 2), not {parts.shape}")
    numbers = parts.astype(np.float64)

    def compute(weights: np.ndarray) -> np.ndarray:
        sums = weights @ numbers
        return divide_where_positive(sums[:, 0], sums[:, 1])

    return compute


def _mean_of_ratios(parts: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Mean of k ratios of sums; columns are k numerators, then k denominators. A group without weight is undefined."""
    if parts.ndim != 2 or parts.shape[1] % 2:
        raise ValueError(f"a mean of ratios needs k numerators and k denominators, (n, 2k), not {parts.shape}")
    numbers, groups = parts.astype(np.float64), parts.shape[1] // 2

    def compute(weights: np.ndarray) -> np.ndarray:
        sums = weights @ numbers
        return np.asarray(divide_where_positive(sums[:, :groups], sums[:, groups:]).mean(axis=1))

    return compute


def _from_decisions(parts: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Prepare:
    """Ratio of two sums over cases that follow from bool predictions and bool labels."""

    def prepare(predicted: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        truth = _binary_truth(predicted, labels)
        return _ratio_of_sums(np.column_stack(parts(as_binary_labels(predicted, predicted.size), truth)), None)

    return prepare


def _balanced_accuracy(predicted: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    sensitivity, specificity = (METRICS[name].prepare(predicted, labels) for name in ("sensitivity", "specificity"))
    return lambda weights: (sensitivity(weights) + specificity(weights)) / 2


def _binary_truth(predictions: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    if predictions.ndim != 1 or labels is None:
        raise ValueError(f"a binary metric needs (n,) predictions and (n,) labels, not {predictions.shape}")
    return as_binary_labels(labels, predictions.size)


def _tie_groups(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Order of increasing scores, and the start of each run of equal scores; None where no two are equal."""
    order = np.argsort(scores, kind="stable")
    changes = np.r_[True, np.diff(scores[order]) != 0]
    return order, None if changes.all() else np.flatnonzero(changes)


def _group_sums(sorted_weights: np.ndarray, starts: np.ndarray | None) -> np.ndarray:
    return sorted_weights if starts is None else np.asarray(np.add.reduceat(sorted_weights, starts, axis=1))


def divide_where_positive(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part ÷ whole, NaN where the whole is not above zero.

    Args:
        part: Numerators.
        whole: Denominators, of a shape that broadcasts to that of ``part``.

    Example:
        >>> divide_where_positive(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist()
        [0.5, nan]
    """
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


METRICS = {
    metric.name: metric
    for metric in (
        WeightedMetric("auroc", _auroc, rank_based=True),
        WeightedMetric("average_precision", _average_precision, rank_based=True),
        WeightedMetric("macro_auroc", _one_vs_rest(_auroc), rank_based=True),
        WeightedMetric("macro_average_precision", _one_vs_rest(_average_precision), rank_based=True),
        WeightedMetric("accuracy", _accuracy),
        WeightedMetric("balanced_accuracy", _balanced_accuracy),
        WeightedMetric("sensitivity", _from_decisions(lambda predicted, truth: (predicted & truth, truth))),
        WeightedMetric("specificity", _from_decisions(lambda predicted, truth: (~predicted & ~truth, ~truth))),
        WeightedMetric(
            "dice", _from_decisions(lambda predicted, truth: (2 * (predicted & truth), predicted.astype(int) + truth))
        ),
        WeightedMetric("mean", _mean),
        WeightedMetric("ratio", _ratio_of_sums),
        WeightedMetric("mean_of_ratios", _mean_of_ratios),
    )
}
"""Metrics that the bootstrap and the permutation test compute for all resamples at once."""
