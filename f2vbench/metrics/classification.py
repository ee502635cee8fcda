"""Classification metrics from class probabilities.

AUROC and average precision are computed for each class against the rest and averaged over classes with equal weights
(macro average), as in the papers; for a binary outcome they are those of the positive class. Where no test image, or
every test image, has a class, a metric that needs the class is None with a reason, never a mean over the other classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from f2vbench.metrics.averaging import mean_if_complete
from f2vbench.stats.calibration_bins import calibration_bins

Kind = Literal["binary", "nominal", "ordinal", "multilabel"]
"""Kind of the labels. ``binary``: two classes, the second is positive. ``nominal``: classes without order.
``ordinal``: grades in order. ``multilabel``: an image has any number of classes, and the probabilities of an image need
not sum to 1."""

Values = dict[str, float | None]
"""Metric → value, None where it is undefined."""

_ABSENT = "no test image is {}"
_EVERYWHERE = "all test images are {}"


def evaluate(
    probabilities: NDArray[np.floating], targets: NDArray[np.bool_], kind: Kind, classes: Sequence[str]
) -> tuple[Values, dict[str, str]]:
    """Compute all metrics of a test set.

    Args:
        probabilities: (n, k) in [0, 1]. The predicted class has the largest probability (the first of equal ones);
            multi-label classes are predicted at 0.5 or more.
        targets: (n, k) bool, the classes of each image.
        kind: Kind of the labels.
        classes: k names.

    Returns:
        Values of ``auroc``, ``average_precision``, ``accuracy``, ``balanced_accuracy``, ``f1``, ``brier`` and
        ``calibration_error``; ``quadratic_kappa`` for ordinal labels; ``auroc:<class>`` and
        ``average_precision:<class>`` except for binary labels. Lower is better for ``brier`` and ``calibration_error``.
        And the reason of each value that is None.

    Raises:
        ValueError: Shapes do not match, a probability is not finite, or an image has not exactly one class
            (except multi-label).

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
        >>> targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
        >>> values, reasons = evaluate(probabilities, targets, "binary", ["healthy", "ill"])
        >>> values["auroc"], values["accuracy"], round(values["brier"], 4), reasons
        (0.75, 0.5, 0.225, {})
    """
    wide = np.asarray(probabilities, np.float64)
    if wide.shape != targets.shape or wide.shape != (len(targets), len(classes)) or not len(targets):
        raise ValueError(
            f"probabilities and targets must both have shape (n, {len(classes)}) for {len(classes)} classes, not "
            f"{wide.shape} and {targets.shape}"
        )
    if not np.isfinite(wide).all():
        raise ValueError("a probability is not finite")
    if kind != "multilabel" and not (targets.sum(axis=1) == 1).all():
        raise ValueError("every image must have exactly one class")
    values: Values = {}
    aurocs, precisions = auroc_by_class(wide, targets), average_precision_by_class(wide, targets)
    if kind == "binary":
        values |= {"auroc": aurocs[1], "average_precision": precisions[1]}
    else:
        values |= {"auroc": mean_if_complete(aurocs), "average_precision": mean_if_complete(precisions)}
        values |= {f"auroc:{name}": value for name, value in zip(classes, aurocs, strict=True)}
        values |= {f"average_precision:{name}": value for name, value in zip(classes, precisions, strict=True)}
    values |= _decision_metrics(wide, targets, kind)
    values |= {"brier": brier(wide, targets, kind), "calibration_error": calibration_error(wide, targets, kind)}
    one_sided = _one_sided_classes(targets, classes)
    reasons = {name: _reason(name, one_sided) for name, value in values.items() if value is None}
    return values, reasons


def auroc_by_class(scores: NDArray[np.floating], targets: NDArray[np.bool_]) -> list[float | None]:
    """Area under the ROC curve of each class against the rest; ties count half.

    Args:
        scores: (n, k); higher means more likely.
        targets: (n, k) bool.

    Returns:
        k values in [0, 1]; None where no image or every image has the class.

    Example:
        >>> scores = np.array([[0.1, 0.5], [0.4, 0.2], [0.35, 0.6], [0.8, 0.9]])
        >>> auroc_by_class(scores, np.array([[0, 1], [0, 1], [1, 1], [1, 1]], dtype=bool))
        [0.75, None]
    """
    (aurocs,) = stacked_auroc(scores[None], targets[None])
    return [None if np.isnan(auroc) else float(auroc) for auroc in aurocs]


def stacked_auroc(
    scores: NDArray[np.floating], targets: NDArray[np.bool_], valid: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Area under the ROC curve of each column of several tables at once; ties count half.

    Args:
        scores: (s, n, k) scores of s tables; higher means more likely.
        targets: (s, n, k) bool.
        valid: (s, n) bool, rows that count; all rows by default.

    Returns:
        (s, k) values in [0, 1]; NaN where no valid row or every valid row is positive.

    Example:
        >>> scores = np.array([[[0.1], [0.4], [0.35], [0.8]]])
        >>> targets = np.array([[[False], [False], [True], [True]]])
        >>> stacked_auroc(scores, targets).tolist()
        [[0.75]]
        >>> stacked_auroc(scores, targets, valid=np.array([[True, False, True, True]])).tolist()
        [[1.0]]
    """
    if valid is None:
        valid = np.ones(scores.shape[:2], bool)
    ranks = rankdata(np.where(valid[..., None], scores, np.inf), axis=1)  # invalid rows have the last ranks
    positive = targets & valid[..., None]
    positives = positive.sum(axis=1)
    negatives = valid.sum(axis=1)[:, None] - positives
    wins = (ranks * positive).sum(axis=1) - positives * (positives + 1) / 2
    pairs = positives * negatives
    return np.asarray(np.divide(wins, pairs, out=np.full(positives.shape, np.nan), where=pairs > 0))


def average_precision_by_class(scores: NDArray[np.floating], targets: NDArray[np.bool_]) -> list[float | None]:
    """Average precision of each class against the rest: Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores.

    Args:
        scores: (n, k); higher means more likely.
        targets: (n, k) bool.

    Returns:
        k values in [0, 1]; None where no image or every image has the class.

    Example:
        >>> scores = np.array([[0.1], [0.4], [0.35], [0.8]])
        >>> [round(value, 4) for value in average_precision_by_class(scores, scores > 0.36)]
        [1.0]
    """
    return [_average_precision(column, positive) for column, positive in zip(scores.T, targets.T, strict=True)]


def quadratic_kappa(predicted: NDArray[np.integer], truth: NDArray[np.integer], grades: int) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen, Psychological Bulletin 70, 1968).

    Args:
        predicted: (n,) predicted grades, 0 … grades − 1.
        truth: (n,) true grades.
        grades: Number of grades.

    Returns:
        At most 1; None where all predictions and labels are one grade, so that the expected disagreement is zero.

    Example:
        >>> quadratic_kappa(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), 3)
        0.8
    """
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    if np.unique(np.concatenate([predicted, truth])).size == 1:
        return None
    return float(cohen_kappa_score(predicted, truth, labels=np.arange(grades), weights="quadratic"))


def brier(probabilities: NDArray[np.float64], targets: NDArray[np.bool_], kind: Kind) -> float:
    """Brier score, the mean squared error of the probabilities (Brier, Monthly Weather Review 78, 1950).

    Args:
        probabilities: (n, k) in [0, 1].
        targets: (n, k) bool.
        kind: Kind of the labels.

    Returns:
        Binary: of the positive class, in [0, 1]. Multi-label: mean over classes, in [0, 1]. Otherwise: summed over
        classes, in [0, 2]. Lower is better.

    Example:
        >>> brier(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([[True, False], [False, True]]), "binary")
        0.125
    """
    squares = (probabilities - targets) ** 2
    if kind == "binary":
        return float(squares[:, 1].mean())
    return float(squares.mean() if kind == "multilabel" else squares.sum(axis=1).mean())


def calibration_error(probabilities: NDArray[np.float64], targets: NDArray[np.bool_], kind: Kind) -> float:
    """Expected calibration error in 15 bins of equal width, [0, 1/15] to (14/15, 1].

    Args:
        probabilities: (n, k) in [0, 1].
        targets: (n, k) bool.
        kind: Kind of the labels.

    Returns:
        In [0, 1], lower is better. Binary: probability of the positive class against its frequency. Multi-label: mean
        of that over classes. Otherwise: probability of the predicted class against accuracy (Guo et al., ICML 2017).

    Example:
        >>> probabilities = np.array([[0.25, 0.75], [0.25, 0.75]])
        >>> calibration_error(probabilities, np.array([[True, False], [False, True]]), "binary")
        0.25
    """
    if kind == "binary":
        return _calibration_error(probabilities[:, 1], targets[:, 1])
    if kind == "multilabel":
        columns = zip(probabilities.T, targets.T, strict=True)
        return float(np.mean([_calibration_error(column, positive) for column, positive in columns]))
    predicted = probabilities.argmax(axis=1)
    rows = np.arange(len(predicted))
    return _calibration_error(probabilities[rows, predicted], targets[rows, predicted])


def _average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    if not positive.any() or positive.all():
        return None
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # of each run of equal scores
    true_positives = np.cumsum(positive[order])[last]
    predicted = np.flatnonzero(last) + 1
    recall_steps = np.diff(true_positives, prepend=0)
    return float(np.dot(recall_steps, true_positives / predicted) / true_positives[-1])


def _decision_metrics(probabilities: NDArray[np.float64], targets: NDArray[np.bool_], kind: Kind) -> Values:
    """Metrics of the predicted classes."""
    if kind == "multilabel":
        predicted = probabilities >= 0.5
        recalls = [
            mean_if_complete([_true_share(p[t]), _true_share(~p[~t])])
            for p, t in zip(predicted.T, targets.T, strict=True)
        ]
        return {
            "accuracy": float((predicted == targets).mean()),
            "balanced_accuracy": mean_if_complete(recalls),
            "f1": _macro_f1(predicted, targets),
        }
    predicted_class, true_class = probabilities.argmax(axis=1), targets.argmax(axis=1)
    predicted = predicted_class[:, None] == np.arange(targets.shape[1])
    values: Values = {
        "accuracy": float((predicted_class == true_class).mean()),
        "balanced_accuracy": mean_if_complete(
            [_true_share(predicted[positive, c]) for c, positive in enumerate(targets.T)]
        ),
        "f1": _f1(predicted[:, 1], targets[:, 1]) if kind == "binary" else _macro_f1(predicted, targets),
    }
    if kind == "ordinal":
        values["quadratic_kappa"] = quadratic_kappa(predicted_class, true_class, targets.shape[1])
    return values


def _macro_f1(predicted: NDArray[np.bool_], targets: NDArray[np.bool_]) -> float | None:
    return mean_if_complete([_f1(p, t) for p, t in zip(predicted.T, targets.T, strict=True)])


def _f1(predicted: NDArray[np.bool_], positive: NDArray[np.bool_]) -> float | None:
    return float(2 * (predicted & positive).sum() / (predicted.sum() + positive.sum())) if positive.any() else None


def _true_share(decisions: NDArray[np.bool_]) -> float | None:
    return float(decisions.mean()) if len(decisions) else None


def _calibration_error(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    gaps = np.bincount(calibration_bins(confidence), confidence - correct)
    return float(np.abs(gaps).sum() / len(confidence))


def _one_sided_classes(targets: NDArray[np.bool_], classes: Sequence[str]) -> dict[str, str]:
    """Reason for each class that no image or every image has."""
    reasons = {}
    for name, positive in zip(classes, targets.T, strict=True):
        if not positive.any():
            reasons[name] = _ABSENT.format(name)
        elif positive.all():
            reasons[name] = _EVERYWHERE.format(name)
    return reasons


def _reason(metric: str, one_sided: dict[str, str]) -> str:
    _, colon, name = metric.partition(":")
    if colon:
        return one_sided[name]
    return "; ".join(one_sided.values()) or "all test images have one grade, and all are predicted correctly"
