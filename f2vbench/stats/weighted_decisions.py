"""Metrics of class probabilities for many resamples at once: decisions, Brier score and calibration.

Each is the metric of the same name in `f2vbench.metrics.classification`, with cases counted by weight, and undefined
(NaN) in the same cases. The metrics take (n, k) probabilities, and (n, k) labels of 0 and 1; where a case has exactly
one class, also (n,) labels 0 … k − 1. Counts of all resamples and classes are one matrix product.

Example:
    Two resamples of three cases, the second without a case of class 2.

    >>> probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3]])
    >>> balanced_accuracy = SINGLE_LABEL["balanced_accuracy"].prepare(probabilities, np.array([0, 1, 2]))
    >>> balanced_accuracy(np.array([[1, 1, 1], [2, 1, 0]])).round(4).tolist()
    [0.6667, nan]
    >>> probabilities, labels = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]]), np.array([0, 1, 1])
    >>> BINARY["f1"].prepare(probabilities, labels)(np.array([[1, 1, 1], [1, 2, 0]])).round(4).tolist()
    [0.6667, 1.0]
    >>> probabilities, labels = np.array([[0.5, 0.1], [0.4, 0.6]]), np.array([[1, 1], [0, 1]])
    >>> MULTI_LABEL["accuracy"].prepare(probabilities, labels)(np.array([[1, 1], [1, 0]])).tolist()
    [0.75, 0.5]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2vbench.stats.calibration_bins import CALIBRATION_BINS, calibration_bins
from f2vbench.stats.weighted_metrics import METRICS, Prepare, WeightedFunction, WeightedMetric, divide_where_positive

_Probabilities = NDArray[np.float64]
_Targets = NDArray[np.bool_]


@dataclass(frozen=True)
class _ClassCounts:
    """Sums of weights in b resamples, (b, k) for k classes.

    Attributes:
        total: (b, 1), all cases.
        true_positive: Cases of the class that are predicted to have it.
        true_negative: Other cases that are predicted not to have it.
        predicted: Cases that are predicted to have it.
        positive: Cases of the class.
        negative: Other cases.
    """

    total: np.ndarray
    true_positive: np.ndarray
    true_negative: np.ndarray
    predicted: np.ndarray
    positive: np.ndarray
    negative: np.ndarray

    def recall(self) -> np.ndarray:
        """(b, k), NaN where no case has the class."""
        return divide_where_positive(self.true_positive, self.positive)

    def specificity(self) -> np.ndarray:
        """(b, k), NaN where every case has the class."""
        return divide_where_positive(self.true_negative, self.negative)

    def f1(self) -> np.ndarray:
        """(b, k), NaN where no case has the class."""
        f1 = divide_where_positive(2 * self.true_positive, self.predicted + self.positive)
        return np.where(self.positive > 0, f1, np.nan)


_Check = Callable[[np.ndarray, "np.ndarray | None"], tuple[_Probabilities, _Targets]]
"""(predictions, labels) → checked (n, k) probabilities and targets."""


def _one_class_per_case(predictions: np.ndarray, labels: np.ndarray | None) -> tuple[_Probabilities, _Targets]:
    if predictions.ndim != 2 or predictions.shape[1] < 2 or labels is None or len(labels) != len(predictions):
        raise ValueError(
            "the metric needs (n, k) probabilities of k ≥ 2 classes, and (n,) or (n, k) labels, not "
            f"{_shapes(predictions, labels)}"
        )
    classes = np.arange(predictions.shape[1])
    if labels.ndim == 1:
        if not np.isin(labels, classes).all():
            raise ValueError(f"labels must be 0 … {classes[-1]} for {classes.size} columns of probabilities")
        return predictions.astype(np.float64), labels[:, None] == classes
    targets = _as_targets(predictions, labels)
    if not (targets.sum(axis=1) == 1).all():
        raise ValueError("every case must have exactly one class; MULTI_LABEL has the metrics of other cases")
    return predictions.astype(np.float64), targets


def _binary(predictions: np.ndarray, labels: np.ndarray | None) -> tuple[_Probabilities, _Targets]:
    probabilities, targets = _one_class_per_case(predictions, labels)
    if probabilities.shape[1] != 2:
        raise ValueError(f"a binary metric needs probabilities of 2 classes, not of {probabilities.shape[1]}")
    return probabilities, targets


def _multi_label(predictions: np.ndarray, labels: np.ndarray | None) -> tuple[_Probabilities, _Targets]:
    """(n,) predictions and labels are those of a single class."""
    if labels is None or predictions.shape != labels.shape or predictions.ndim not in (1, 2):
        raise ValueError(f"the metric needs (n, k) probabilities and labels, not {_shapes(predictions, labels)}")
    columns, labels = (values.reshape(len(values), -1) for values in (predictions, labels))
    return columns.astype(np.float64), _as_targets(columns, labels)


def _as_targets(predictions: np.ndarray, labels: np.ndarray) -> _Targets:
    if labels.shape != predictions.shape:
        raise ValueError(f"probabilities and labels must have the same shape, not {_shapes(predictions, labels)}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels of shape (n, k) must be bool, or 0 and 1")
    return labels.astype(bool)


def _shapes(predictions: np.ndarray, labels: np.ndarray | None) -> str:
    return f"shapes {predictions.shape} and {None if labels is None else labels.shape}"


def _most_likely(probabilities: _Probabilities) -> NDArray[np.bool_]:
    """(n, k), True for the class with the largest probability, the first of equal ones."""
    return np.asarray(probabilities.argmax(axis=1)[:, None] == np.arange(probabilities.shape[1]))


def _at_least_half(probabilities: _Probabilities) -> NDArray[np.bool_]:
    return probabilities >= 0.5


def _of_counts(
    check: _Check,
    decide: Callable[[_Probabilities], NDArray[np.bool_]],
    value: Callable[[_ClassCounts], np.ndarray],
) -> Prepare:
    """Metric that follows from the weighted counts of decisions."""

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        probabilities, targets = check(predictions, labels)
        predicted = decide(probabilities)
        decisions = (predicted & targets, ~predicted & ~targets, predicted, targets, ~targets)
        columns = np.concatenate(decisions, axis=1).astype(np.float64)

        def compute(weights: np.ndarray) -> np.ndarray:
            sums = np.split(weights @ columns, len(decisions), axis=1)
            return value(_ClassCounts(weights.sum(axis=1, keepdims=True), *sums))

        return compute

    return prepare


def _of_cases(check: _Check, value: Callable[[_Probabilities, _Targets], np.ndarray]) -> Prepare:
    """Metric that is the mean of a value for each case."""

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        return METRICS["mean"].prepare(value(*check(predictions, labels)), None)

    return prepare


def _calibration_error(
    check: _Check, events: Callable[[_Probabilities, _Targets], tuple[_Probabilities, _Targets]]
) -> Prepare:
    """Expected calibration error, the mean over the columns of (n, c) confidences and events."""

    def prepare(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
        confidence, correct = events(*check(predictions, labels))
        in_bin = calibration_bins(confidence)[..., None] == np.arange(CALIBRATION_BINS)
        gaps = np.where(in_bin, (confidence - correct)[..., None], 0.0)  # (n, c, bins)
        shape, columns = gaps.shape[1:], gaps.reshape(len(gaps), -1)

        def compute(weights: np.ndarray) -> np.ndarray:
            gap = np.abs(weights @ columns).reshape(-1, *shape).sum(axis=2)
            return np.asarray(divide_where_positive(gap, weights.sum(axis=1, keepdims=True)).mean(axis=1))

        return compute

    return prepare


def _of_most_likely(probabilities: _Probabilities, targets: _Targets) -> tuple[_Probabilities, _Targets]:
    """(n, 1) probability of the predicted class, and whether it is right."""
    predicted = probabilities.argmax(axis=1)[:, None]
    return np.take_along_axis(probabilities, predicted, axis=1), np.take_along_axis(targets, predicted, axis=1)


def _quadratic_kappa(predictions: np.ndarray, labels: np.ndarray | None) -> WeightedFunction:
    """Observed over expected squared distance of grades; NaN where all predictions and labels are one grade."""
    probabilities, targets = _one_class_per_case(predictions, labels)
    grades = np.arange(probabilities.shape[1])
    predicted = _most_likely(probabilities)
    squared = (predicted @ grades - targets @ grades) ** 2
    columns = np.column_stack([squared, predicted, targets]).astype(np.float64)
    distances = (grades[:, None] - grades) ** 2.0

    def compute(weights: np.ndarray) -> np.ndarray:
        sums = weights @ columns
        of_predicted, of_true = np.split(sums[:, 1:], 2, axis=1)
        expected = ((of_predicted @ distances) * of_true).sum(axis=1)
        return 1 - divide_where_positive(sums[:, 0] * weights.sum(axis=1), expected)

    return compute


def _share_correct(counts: _ClassCounts) -> np.ndarray:
    return divide_where_positive(counts.true_positive.sum(axis=1), counts.total[:, 0])


def _share_correct_over_classes(counts: _ClassCounts) -> np.ndarray:
    correct = counts.true_positive + counts.true_negative
    return np.asarray(divide_where_positive(correct, counts.total).mean(axis=1))


def _by_name(**prepares: Prepare) -> dict[str, WeightedMetric]:
    return {name: WeightedMetric(name, prepare) for name, prepare in prepares.items()}


SINGLE_LABEL = _by_name(
    accuracy=_of_counts(_one_class_per_case, _most_likely, _share_correct),
    balanced_accuracy=_of_counts(_one_class_per_case, _most_likely, lambda counts: counts.recall().mean(axis=1)),
    f1=_of_counts(_one_class_per_case, _most_likely, lambda counts: counts.f1().mean(axis=1)),
    quadratic_kappa=_quadratic_kappa,
    brier=_of_cases(_one_class_per_case, lambda probabilities, targets: ((probabilities - targets) ** 2).sum(axis=1)),
    calibration_error=_calibration_error(_one_class_per_case, _of_most_likely),
)
"""Metrics of cases with exactly one of k classes, nominal or ordinal. The predicted class has the largest probability
(the first of equal ones). Balanced accuracy and F1 are means over classes, NaN where one is absent; the Brier score is
summed over classes; the calibration error is that of the predicted class's probability."""

BINARY = _by_name(
    accuracy=_of_counts(_binary, _most_likely, _share_correct),
    balanced_accuracy=_of_counts(_binary, _most_likely, lambda counts: counts.recall().mean(axis=1)),
    f1=_of_counts(_binary, _most_likely, lambda counts: counts.f1()[:, 1]),
    brier=_of_cases(_binary, lambda probabilities, targets: (probabilities - targets)[:, 1] ** 2),
    calibration_error=_calibration_error(
        _binary, lambda probabilities, targets: (probabilities[:, 1:], targets[:, 1:])
    ),
)
"""Metrics of two classes. F1, Brier score and calibration error are those of the second class, which is positive."""

MULTI_LABEL = _by_name(
    accuracy=_of_counts(_multi_label, _at_least_half, _share_correct_over_classes),
    balanced_accuracy=_of_counts(
        _multi_label, _at_least_half, lambda counts: ((counts.recall() + counts.specificity()) / 2).mean(axis=1)
    ),
    f1=_of_counts(_multi_label, _at_least_half, lambda counts: counts.f1().mean(axis=1)),
    brier=_of_cases(_multi_label, lambda probabilities, targets: ((probabilities - targets) ** 2).mean(axis=1)),
    calibration_error=_calibration_error(_multi_label, lambda probabilities, targets: (probabilities, targets)),
)
"""Metrics of cases with any number of k classes, means over the classes. A class is predicted at 0.5 or more."""
