"""Classification metrics on arrays of class probabilities.

The area under the ROC curve and the average precision are taken one class against the rest and averaged over classes
with equal weights (macro), as in the papers; a binary outcome is measured in the binary sense, by its positive class.
Where a class has no test image, or all of them, what it takes part in has no value: None and a reason, never a mean
over the classes that happen to be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Kind = Literal["binary", "nominal", "ordinal", "multilabel"]
"""How the classes relate. ``binary``: two, the second is the positive one. ``ordinal``: grades in order.
``multilabel``: an image may have several or none, and the probabilities of a row need not add up to 1."""

Values = dict[str, float | None]

CALIBRATION_BINS = 15
_ABSENT = "the test part has no image of {}"
_EVERYWHERE = "all images of the test part are {}"


def evaluate(
    probabilities: NDArray[np.floating], targets: NDArray[np.bool_], kind: Kind, classes: Sequence[str]
) -> tuple[Values, dict[str, str]]:
    """All metrics of a test part, and why some have no value.

    Names: ``auroc``, ``average_precision``, ``accuracy``, ``balanced_accuracy``, ``f1``, ``brier``,
    ``calibration_error``, for grades ``quadratic_kappa``, and but for binary outcomes ``auroc:<class>`` and
    ``average_precision:<class>``. Of ``brier`` and ``calibration_error`` less is better.

    Args:
        probabilities: (n, k) in [0, 1]; the class of the largest is what is predicted (of equal ones the first), with
            multilabel every class of 0.5 or more.
        targets: (n, k), the classes an image has.
        classes: k names.

    Raises:
        ValueError: another shape, a probability that is not finite, or, but for multilabel, a row that has not one
            class.
    """
    wide = np.asarray(probabilities, np.float64)
    if wide.shape != targets.shape or wide.shape != (len(targets), len(classes)) or not len(targets):
        raise ValueError(f"probabilities {wide.shape} and targets {targets.shape} of {len(classes)} classes")
    if not np.isfinite(wide).all():
        raise ValueError("a probability is not finite")
    if kind != "multilabel" and not (targets.sum(axis=1) == 1).all():
        raise ValueError("an image has not exactly one class")
    values: Values = {}
    one_sided = _one_sided(targets, classes)
    areas, precisions = auroc_by_class(wide, targets), average_precision_by_class(wide, targets)
    if kind == "binary":
        values |= {"auroc": areas[1], "average_precision": precisions[1]}
    else:
        values |= {"auroc": _mean(areas), "average_precision": _mean(precisions)}
        values |= {f"auroc:{name}": value for name, value in zip(classes, areas, strict=True)}
        values |= {f"average_precision:{name}": value for name, value in zip(classes, precisions, strict=True)}
    values |= _decisions(wide, targets, kind)
    values |= {"brier": brier(wide, targets, kind), "calibration_error": calibration_error(wide, targets, kind)}
    reasons = {name: _reason(name, one_sided) for name, value in values.items() if value is None}
    return values, reasons


def auroc_by_class(scores: NDArray[np.floating], targets: NDArray[np.bool_]) -> list[float | None]:
    """Area under the ROC curve of each column against the rest, ties counted half; None where a side is empty."""
    (areas,) = stacked_auroc(scores[None], targets[None])
    return [None if np.isnan(area) else float(area) for area in areas]


def stacked_auroc(
    scores: NDArray[np.floating], targets: NDArray[np.bool_], there: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """(s, k) areas under the ROC curve of the columns of s tables, ties counted half; NaN where a side is empty.

    Args:
        scores, targets: (s, n, k).
        there: (s, n), rows that count; all by default.
    """
    if there is None:
        there = np.ones(scores.shape[:2], bool)
    ranks = rankdata(np.where(there[..., None], scores, np.inf), axis=1)  # rows that don't count rank last
    positive = targets & there[..., None]
    above = positive.sum(axis=1)
    below = there.sum(axis=1)[:, None] - above
    wins = (ranks * positive).sum(axis=1) - above * (above + 1) / 2
    return np.divide(wins, above * below, out=np.full(above.shape, np.nan), where=above * below > 0)


def average_precision_by_class(scores: NDArray[np.floating], targets: NDArray[np.bool_]) -> list[float | None]:
    """Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores of each column; None where no image has the class, or all have."""
    return [_average_precision(column, positive) for column, positive in zip(scores.T, targets.T, strict=True)]


def quadratic_kappa(predicted: NDArray[np.integer], truth: NDArray[np.integer], grades: int) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen, Psychological Bulletin 70, 1968); None where chance agrees fully."""
    table = np.zeros((grades, grades))
    np.add.at(table, (truth, predicted), 1)
    steps = np.arange(grades)
    weights = (steps[:, None] - steps[None]) ** 2.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    disagreement = float((weights * expected).sum())
    return 1 - float((weights * table).sum()) / disagreement if disagreement else None


def brier(probabilities: NDArray[np.float64], targets: NDArray[np.bool_], kind: Kind) -> float:
    """Mean squared error (Brier, Monthly Weather Review 78, 1950): of the positive class's probability where binary, in
    [0, 1]; summed over classes, in [0, 2]; with multilabel the mean over classes, in [0, 1]."""
    squares = (probabilities - targets) ** 2
    if kind == "binary":
        return float(squares[:, 1].mean())
    return float(squares.mean() if kind == "multilabel" else squares.sum(axis=1).mean())


def calibration_error(probabilities: NDArray[np.float64], targets: NDArray[np.bool_], kind: Kind) -> float:
    """Expected calibration error in 15 bins of equal width, (0, 1/15], (1/15, 2/15] …

    Of the predicted class's probability against how often it is right (Guo et al., ICML 2017); where binary, of the
    positive class's probability against how often it is there; with multilabel the mean of that over classes.
    """
    if kind == "binary":
        return _calibration(probabilities[:, 1], targets[:, 1])
    if kind == "multilabel":
        columns = zip(probabilities.T, targets.T, strict=True)
        return float(np.mean([_calibration(column, positive) for column, positive in columns]))
    predicted = probabilities.argmax(axis=1)
    rows = np.arange(len(predicted))
    return _calibration(probabilities[rows, predicted], targets[rows, predicted])


def _average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    if not positive.any() or positive.all():
        return None
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # of each run of equal scores
    found = np.cumsum(positive[order])[last]
    called = np.flatnonzero(last) + 1
    return float(np.dot(np.diff(found, prepend=0), found / called) / found[-1])


def _decisions(probabilities: NDArray[np.float64], targets: NDArray[np.bool_], kind: Kind) -> Values:
    """What follows from the classes predicted."""
    if kind == "multilabel":
        called = probabilities >= 0.5
        recalls = [_mean([_ratio(c[t]), _ratio(~c[~t])]) for c, t in zip(called.T, targets.T, strict=True)]
        return {
            "accuracy": float((called == targets).mean()),
            "balanced_accuracy": _mean(recalls),
            "f1": _macro_f1(called, targets),
        }
    predicted, truth = probabilities.argmax(axis=1), targets.argmax(axis=1)
    called = predicted[:, None] == np.arange(targets.shape[1])
    values: Values = {
        "accuracy": float((predicted == truth).mean()),
        "balanced_accuracy": _mean([_ratio(called[mine, c]) for c, mine in enumerate(targets.T)]),
        "f1": _f1(called[:, 1], targets[:, 1]) if kind == "binary" else _macro_f1(called, targets),
    }
    if kind == "ordinal":
        values["quadratic_kappa"] = quadratic_kappa(predicted, truth, targets.shape[1])
    return values


def _macro_f1(called: NDArray[np.bool_], targets: NDArray[np.bool_]) -> float | None:
    return _mean([_f1(c, t) for c, t in zip(called.T, targets.T, strict=True)])


def _f1(called: NDArray[np.bool_], positive: NDArray[np.bool_]) -> float | None:
    return float(2 * (called & positive).sum() / (called.sum() + positive.sum())) if positive.any() else None


def _ratio(hits: NDArray[np.bool_]) -> float | None:
    return float(hits.mean()) if len(hits) else None


def _calibration(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, "left") - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, confidence - right, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is missing."""
    held = [value for value in values if value is not None]
    return float(np.mean(held)) if held and len(held) == len(values) else None


def _one_sided(targets: NDArray[np.bool_], classes: Sequence[str]) -> dict[str, str]:
    """Classes that no image has, or all have, with the reason that they give."""
    found = {}
    for name, positive in zip(classes, targets.T, strict=True):
        if not positive.any():
            found[name] = _ABSENT.format(name)
        elif positive.all():
            found[name] = _EVERYWHERE.format(name)
    return found


def _reason(metric: str, one_sided: dict[str, str]) -> str:
    _, colon, name = metric.partition(":")
    if colon:
        return one_sided[name]
    return "; ".join(one_sided.values()) or "all images are of one grade, and predicted so"
