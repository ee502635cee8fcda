"""Operating points of a diagnostic test: thresholds of a score, decisions at them, and net benefit.

A case is called positive where its score is at least the threshold. Thresholds lie halfway between two neighbouring
scores, as in the R package pROC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from f2vbench.stats.validation import as_binary_labels, as_finite_vector
from f2vbench.stats.weighted_diagnosis import (
    CALIBRATION,
    DECISIONS,
    partial_auroc_metric,
    sensitivity_at_metric,
    specificity_at_metric,
)
from f2vbench.stats.weighted_metrics import WeightedMetric

EXAMPLES = "youden, sensitivity:0.9 or specificity:0.95"
"""Values of ``operating_point=``, for messages."""

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class OperatingPoint:
    """Rule that chooses a threshold.

    Attributes:
        rule: ``youden``: largest sensitivity + specificity − 1 (the more sensitive of equal ones); ``sensitivity``: the
            most specific threshold with at least the target sensitivity; ``specificity``: the most sensitive threshold
            with at least the target specificity. Of equally good thresholds the one with the better other rate.
        target: Target of the last two rules, in (0, 1).
    """

    rule: Literal["youden", "sensitivity", "specificity"] = "youden"
    target: float | None = None

    @classmethod
    def parse(cls, text: str) -> OperatingPoint:
        """Read ``youden``, ``sensitivity:0.9`` or ``specificity:0.95``.

        Raises:
            ValueError: The text is none of them, or the target is not between 0 and 1.

        Example:
            >>> OperatingPoint.parse("sensitivity:0.9")
            OperatingPoint(rule='sensitivity', target=0.9)
        """
        rule, colon, number = text.strip().lower().partition(":")
        if rule == "youden" and not colon:
            return cls()
        if rule not in ("sensitivity", "specificity"):
            raise ValueError(f"'{text}' is no operating point: use {EXAMPLES}")
        try:
            target = float(number)
        except ValueError:
            target = np.nan
        if not 0 < target < 1:
            raise ValueError(f"'{text}': the {rule} must be a number between 0 and 1, as in {rule}:0.9")
        return cls("sensitivity" if rule == "sensitivity" else "specificity", target)

    def __str__(self) -> str:
        return self.rule if self.target is None else f"{self.rule}:{self.target:g}"

    @property
    def sentence(self) -> str:
        """The rule in words, without a full stop."""
        if self.rule == "youden":
            return "the threshold with the largest Youden index (sensitivity + specificity − 1)"
        other = "specific" if self.rule == "sensitivity" else "sensitive"
        return f"the most {other} threshold with a {self.rule} of at least {self.target:g}"


def choose_threshold(scores: ArrayLike, labels: ArrayLike, point: OperatingPoint) -> float:
    """Choose a threshold on a set of cases.

    Args:
        scores: (n,) scores; higher means more likely positive.
        labels: (n,) bool, or 0 and 1, both present.
        point: The rule.

    Returns:
        The threshold; above all scores where no case is to be called positive.

    Raises:
        ValueError: Lengths do not match, a score is not finite, labels are not binary, or a class is absent.

    Example:
        >>> scores, labels = [0.1, 0.4, 0.3, 0.8, 0.7], [0, 0, 1, 1, 1]
        >>> round(choose_threshold(scores, labels, OperatingPoint.parse("specificity:0.9")), 4)
        0.55
    """
    s = as_finite_vector(scores, "scores")
    y = as_binary_labels(labels, s.size)
    if y.all() or not y.any():
        raise ValueError(
            f"all {s.size} cases are {'positive' if y.all() else 'negative'}: a threshold needs both classes"
        )
    values = np.unique(s)[::-1]
    # From "no case is positive" to "every case is positive".
    middle = values[1:] + (values[:-1] - values[1:]) / 2
    middle = np.where(middle > values[1:], middle, values[:-1])  # neighbouring floating-point numbers
    thresholds = np.concatenate([[np.nextafter(values[0], np.inf)], middle, values[-1:]])
    positives, negatives = np.sort(s[y]), np.sort(s[~y])
    sensitivity = 1 - np.searchsorted(positives, thresholds, side="left") / len(positives)
    specificity = np.searchsorted(negatives, thresholds, side="left") / len(negatives)
    if point.rule == "youden":
        first, second, reached = sensitivity + specificity, sensitivity, np.ones(len(thresholds), bool)
    elif point.rule == "sensitivity":
        first, second, reached = specificity, sensitivity, sensitivity >= (point.target or 0.0) - _TOLERANCE
    else:
        first, second, reached = sensitivity, specificity, specificity >= (point.target or 0.0) - _TOLERANCE
    best = np.flatnonzero(reached & (first >= first[reached].max() - _TOLERANCE))
    return float(thresholds[best[np.argmax(second[best])]])


def decision_metrics(decisions: ArrayLike, labels: ArrayLike) -> dict[str, float | None]:
    """Metrics of binary decisions.

    Args:
        decisions: (n,) bool, or 0 and 1.
        labels: (n,) bool, or 0 and 1.

    Returns:
        ``sensitivity``, ``specificity``, ``ppv``, ``npv``, ``f1`` and ``mcc`` (Matthews' correlation coefficient); None
        where a value is undefined, such as the positive predictive value without a positive decision.

    Raises:
        ValueError: Lengths do not match, or values are not binary.

    Example:
        >>> metrics = decision_metrics([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
        >>> {name: round(value, 4) for name, value in metrics.items()}  # doctest: +NORMALIZE_WHITESPACE
        {'sensitivity': 0.5, 'specificity': 0.6667, 'ppv': 0.5, 'npv': 0.6667, 'f1': 0.5, 'mcc': 0.1667}
    """
    called, y = np.asarray(decisions), np.asarray(labels)
    return {name: _value(metric, called, y) for name, metric in DECISIONS.items()}


def partial_auroc(scores: ArrayLike, labels: ArrayLike, max_fpr: float = 0.1) -> float | None:
    """Partial area under the ROC curve up to a false positive rate, standardised (McClish 1989).

    Args:
        scores: (n,) scores; higher means more likely positive.
        labels: (n,) bool, or 0 and 1.
        max_fpr: Largest false positive rate, in (0, 1].

    Returns:
        1 for a perfect curve, 0.5 for the diagonal; None where a class is absent. Equal to scikit-learn's
        ``roc_auc_score(labels, scores, max_fpr=max_fpr)``.

    Example:
        >>> round(partial_auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], max_fpr=0.5), 4)
        0.6667
    """
    if not 0 < max_fpr <= 1:
        raise ValueError(f"max_fpr must be above 0 and not above 1, not {max_fpr}")
    return _value(partial_auroc_metric(max_fpr), as_finite_vector(scores, "scores"), np.asarray(labels))


def sensitivity_at_specificity(scores: ArrayLike, labels: ArrayLike, specificity: float) -> float | None:
    """Largest sensitivity on the ROC curve with at least a given specificity, without interpolation.

    Args:
        scores: (n,) scores; higher means more likely positive.
        labels: (n,) bool, or 0 and 1.
        specificity: Smallest specificity.

    Returns:
        In [0, 1]; None where a class is absent.

    Example:
        >>> sensitivity_at_specificity([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.9)
        0.5
    """
    return _value(sensitivity_at_metric(specificity), as_finite_vector(scores, "scores"), np.asarray(labels))


def specificity_at_sensitivity(scores: ArrayLike, labels: ArrayLike, sensitivity: float) -> float | None:
    """Largest specificity on the ROC curve with at least a given sensitivity, without interpolation.

    Args:
        scores: (n,) scores; higher means more likely positive.
        labels: (n,) bool, or 0 and 1.
        sensitivity: Smallest sensitivity.

    Returns:
        In [0, 1]; None where a class is absent.

    Example:
        >>> specificity_at_sensitivity([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.9)
        0.5
    """
    return _value(specificity_at_metric(sensitivity), as_finite_vector(scores, "scores"), np.asarray(labels))


def calibration_slope(probabilities: ArrayLike, labels: ArrayLike) -> float | None:
    """Slope of the logistic regression of the labels on the logit of the probabilities (Cox 1958).

    Args:
        probabilities: (n,) in [0, 1]; 0 and 1 count as 1e-8 and 1 − 1e-8.
        labels: (n,) bool, or 0 and 1.

    Returns:
        1 if well calibrated, below 1 if the probabilities are too extreme; None where a class is absent, or where the
        probabilities separate the classes.

    Example:
        >>> round(calibration_slope([0.1, 0.1, 0.9, 0.9, 0.5, 0.5], [0, 1, 1, 0, 1, 0]), 4)
        0.0
    """
    return _value(
        CALIBRATION["calibration_slope"], as_finite_vector(probabilities, "probabilities"), np.asarray(labels)
    )


def calibration_intercept(probabilities: ArrayLike, labels: ArrayLike) -> float | None:
    """Intercept of the logistic regression of the labels with the logit of the probabilities as offset.

    Args:
        probabilities: (n,) in [0, 1]; 0 and 1 count as 1e-8 and 1 − 1e-8.
        labels: (n,) bool, or 0 and 1.

    Returns:
        0 if well calibrated in the large, negative if the probabilities are too high on average; None where a class is
        absent.

    Example:
        >>> round(calibration_intercept([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]), 4)
        -1.0986
    """
    metric = CALIBRATION["calibration_intercept"]
    return _value(metric, as_finite_vector(probabilities, "probabilities"), np.asarray(labels))


def net_benefit(probabilities: ArrayLike, labels: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Net benefit of a decision at each threshold probability (Vickers and Elkin, Medical Decision Making 26, 2006).

    Net benefit is TP ÷ n − FP ÷ n · t ÷ (1 − t), where cases with a probability of at least t are called positive.

    Args:
        probabilities: (n,) in [0, 1].
        labels: (n,) bool, or 0 and 1.
        thresholds: (k,) threshold probabilities in (0, 1).

    Returns:
        (k,) net benefits; that of calling every case positive is ``net_benefit(np.ones(n), labels, thresholds)``, and
        that of calling none is 0.

    Raises:
        ValueError: A threshold is not between 0 and 1, lengths do not match, or labels are not binary.

    Example:
        >>> net_benefit([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [0.2, 0.5]).tolist()
        [0.4375, 0.25]
    """
    p, t = as_finite_vector(probabilities, "probabilities"), as_finite_vector(thresholds, "thresholds")
    y = as_binary_labels(labels, p.size)
    if not ((t > 0) & (t < 1)).all():
        raise ValueError("threshold probabilities must be between 0 and 1")
    true, false = (len(part) - np.searchsorted(np.sort(part), t, side="left") for part in (p[y], p[~y]))
    return np.asarray((true - false * t / (1 - t)) / p.size)


def _value(metric: WeightedMetric, predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float | None:
    value = float(metric.prepare(predictions, labels)(np.ones((1, predictions.size)))[0])
    return None if np.isnan(value) else value
