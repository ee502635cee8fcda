"""Metrics of many resamples at once: each case counts as often as its weight says.

A metric takes predictions and labels once (and sorts them once) and gives a function from weights (b, n), how often
each of n cases counts in each of b resamples, to its b values. NaN inside stands for undefined, and is turned into a
stated reason by the callers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from f2vbench.stats.validation import binary

_PAIRS_A_CASE = 250
"""Up to so many pairs for each case, products of matrices are faster than sums along sorted cases."""

WeightedFunction = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Metric:
    """A metric as resampling wants it.

    Attributes:
        prepare: (predictions, labels) → function of weights (b, n) → (b,).
        rank_based: whether nothing but the order of the predictions matters.
    """

    name: str
    prepare: Callable[[np.ndarray, np.ndarray | None], WeightedFunction]
    rank_based: bool = False


def make_metric(function: Callable[[np.ndarray, np.ndarray | None], float | None], name: str = "metric") -> Metric:
    """Any function of (predictions, labels) → number, None where undefined. One call a resample, so it is slow."""

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        def one(weights: np.ndarray) -> float:
            rows = np.repeat(np.arange(len(weights)), weights.astype(np.int64))
            value = function(predictions[rows], None if labels is None else labels[rows])
            return np.nan if value is None else float(value)

        return lambda weights: np.array([one(row) for row in weights])

    return Metric(name, prepare)


def get_metric(metric: str | Metric | Callable) -> Metric:
    """A metric by name, as it is, or `make_metric` around a function.

    Raises:
        ValueError: no metric has that name.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(f"there is no metric '{metric}': {', '.join(METRICS)}, or a function")
        return METRICS[metric]
    return make_metric(metric, getattr(metric, "__name__", "metric"))


def _auroc(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    truth = _truth(scores, labels)
    above, below = np.flatnonzero(truth), np.flatnonzero(~truth)
    if above.size * below.size > _PAIRS_A_CASE * truth.size:
        return _auroc_by_sums(scores, truth)
    wins = (scores[above][:, None] > scores[below]) + (scores[above][:, None] == scores[below]) / 2

    def of(weights: np.ndarray) -> np.ndarray:
        positives, negatives = weights[:, above], weights[:, below]
        won = np.einsum("bn,bn->b", positives @ wins, negatives)
        return _ratio(won, positives.sum(axis=1) * negatives.sum(axis=1))

    return of


def _auroc_by_sums(scores: np.ndarray, truth: np.ndarray) -> WeightedFunction:
    """By sums along the sorted scores, where there are too many pairs to hold each of them."""
    order, starts = _groups(scores)
    positive = truth[order].astype(np.float64)

    def of(weights: np.ndarray) -> np.ndarray:
        all_sorted = weights[:, order]
        positives = _summed(all_sorted * positive, starts)
        negatives = _summed(all_sorted, starts) - positives
        below = np.cumsum(negatives, axis=1) - negatives / 2
        return _ratio((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))

    return of


def _average_precision(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    truth = _truth(scores, labels)
    positive = np.flatnonzero(truth)
    if positive.size > _PAIRS_A_CASE:  # each is paired with every case
        return _average_precision_by_sums(scores, truth)
    reached = (scores[:, None] >= scores[positive]).astype(np.float64)

    def of(weights: np.ndarray) -> np.ndarray:
        positives = weights[:, positive]
        found, called = positives @ reached[positive], weights @ reached
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        return _ratio(np.einsum("bp,bp->b", positives, precision), positives.sum(axis=1))

    return of


def _average_precision_by_sums(scores: np.ndarray, truth: np.ndarray) -> WeightedFunction:
    order, starts = _groups(-scores.astype(np.float64))
    positive = truth[order].astype(np.float64)

    def of(weights: np.ndarray) -> np.ndarray:
        all_sorted = weights[:, order]
        positives = _summed(all_sorted * positive, starts)
        found, called = np.cumsum(positives, axis=1), np.cumsum(_summed(all_sorted, starts), axis=1)
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        return _ratio((positives * precision).sum(axis=1), found[:, -1])

    return of


def mean_over_seeds(metric: Metric) -> Metric:
    """A metric as a table shows it: its mean over seeds, each with its own test cases.

    The cases are those of all seeds one below the other; a patient tested at several seeds is drawn for all of them.
    Predictions are (n, 1 + k): the number of the seed, then the k columns that ``metric`` takes.
    """

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        held = predictions[:, 1:] if predictions.shape[1] > 2 else predictions[:, 1]
        parts = []
        for seed in np.unique(predictions[:, 0]):
            rows = np.flatnonzero(predictions[:, 0] == seed)
            parts.append((rows, metric.prepare(held[rows], None if labels is None else labels[rows])))
        return lambda weights: np.mean([of(weights[:, rows]) for rows, of in parts], axis=0)

    return Metric(f"mean over seeds of {metric.name}", prepare, metric.rank_based)


def mean_over_classes(name: str) -> Metric:
    """A binary metric of each class against the rest, averaged: (n, c) scores, and (n, c) labels of 0 and 1.

    An image may have several classes.
    """

    def prepare(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        if labels is None or scores.ndim != 2 or labels.shape != scores.shape:
            raise ValueError(f"scores and labels must both be (n, classes), not {scores.shape} and labels beside")
        parts = [METRICS[name].prepare(scores[:, c], labels[:, c]) for c in range(scores.shape[1])]
        return lambda weights: np.mean([part(weights) for part in parts], axis=0)

    return Metric(f"mean over classes of {name}", prepare, METRICS[name].rank_based)


def _each_class(binary_metric: Callable[[np.ndarray, np.ndarray | None], WeightedFunction]):
    """Mean of a binary metric over the classes of (n, c) scores, each against the rest; labels 0 … c − 1."""

    def prepare(scores: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        if scores.ndim != 2 or scores.shape[1] < 2 or labels is None or labels.shape != scores.shape[:1]:
            raise ValueError(f"a macro metric needs (n, classes) scores and (n,) labels, not scores {scores.shape}")
        classes = range(scores.shape[1])
        if not np.isin(labels, classes).all():
            raise ValueError(f"labels must be 0 … {len(classes) - 1} for {len(classes)} columns of scores")
        parts = [binary_metric(scores[:, c], labels == c) for c in classes]
        return lambda weights: np.mean([part(weights) for part in parts], axis=0)

    return prepare


def _accuracy(calls: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    if labels is None or labels.shape != calls.shape or calls.ndim != 1:
        raise ValueError("accuracy needs (n,) called classes and (n,) labels")
    return _mean((calls == labels).astype(np.float64), None)


def _mean(values: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    if values.ndim != 1:
        raise ValueError(f"the mean is of one value a case, (n,), not {values.shape}")
    numbers = values.astype(np.float64)
    return lambda weights: _ratio(weights @ numbers, weights.sum(axis=1))


def _ratio_of_sums(parts: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    if parts.ndim != 2 or parts.shape[1] != 2:
        raise ValueError(f"a ratio of sums needs a numerator and a denominator a case, (n, 2), not {parts.shape}")
    numbers = parts.astype(np.float64)

    def of(weights: np.ndarray) -> np.ndarray:
        sums = weights @ numbers
        return _ratio(sums[:, 0], sums[:, 1])

    return of


def _mean_of_ratios(parts: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Numerators of k groups, then their denominators, (n, 2k); a group without any weight leaves it undefined."""
    if parts.ndim != 2 or parts.shape[1] % 2:
        raise ValueError(f"a mean of ratios needs k numerators and k denominators a case, (n, 2k), not {parts.shape}")
    numbers, groups = parts.astype(np.float64), parts.shape[1] // 2

    def of(weights: np.ndarray) -> np.ndarray:
        sums = weights @ numbers
        return _ratio(sums[:, :groups], sums[:, groups:]).mean(axis=1)

    return of


def _of_calls(parts: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]):
    """A metric that is one sum over cases divided by another, of bool calls and bool labels."""

    def prepare(calls: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        truth = _truth(calls, labels)
        return _ratio_of_sums(np.column_stack(parts(binary(calls, calls.size), truth)), None)

    return prepare


def _balanced_accuracy(calls: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    found, spared = (METRICS[name].prepare(calls, labels) for name in ("sensitivity", "specificity"))
    return lambda weights: (found(weights) + spared(weights)) / 2


def _truth(predictions: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    if predictions.ndim != 1 or labels is None:
        raise ValueError(f"a binary metric needs (n,) predictions and (n,) labels, not {predictions.shape}")
    return binary(labels, predictions.size)


def _groups(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Order of rising scores, and where each run of equal ones starts; None when no two are equal."""
    order = np.argsort(scores, kind="stable")
    changes = np.r_[True, np.diff(scores[order]) != 0]
    return order, None if changes.all() else np.flatnonzero(changes)


def _summed(sorted_weights: np.ndarray, starts: np.ndarray | None) -> np.ndarray:
    return sorted_weights if starts is None else np.add.reduceat(sorted_weights, starts, axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("auroc", _auroc, rank_based=True),
        Metric("average_precision", _average_precision, rank_based=True),
        Metric("macro_auroc", _each_class(_auroc), rank_based=True),
        Metric("macro_average_precision", _each_class(_average_precision), rank_based=True),
        Metric("accuracy", _accuracy),
        Metric("balanced_accuracy", _balanced_accuracy),
        Metric("sensitivity", _of_calls(lambda calls, truth: (calls & truth, truth))),
        Metric("specificity", _of_calls(lambda calls, truth: (~calls & ~truth, ~truth))),
        Metric("dice", _of_calls(lambda calls, truth: (2 * (calls & truth), calls.astype(int) + truth))),
        Metric("mean", _mean),
        Metric("ratio", _ratio_of_sums),
        Metric("mean_of_ratios", _mean_of_ratios),
    )
}
