"""AUROC of binary labels: DeLong's intervals and tests, also with several images a patient.

The area is a mean over all (positive, negative) pairs. The share of its pairs that a case wins is its *placement
value*; their variance gives the area's. Midranks find them in O(n log n) (Sun & Xu 2014). Where one patient has
several images, placement values are summed by patient first (Obuchowski 1997); with one image each this is DeLong's
formula exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import rankdata

from f2vbench.stats.checks import binary, clusters, finite, level
from f2vbench.stats.methods import DELONG, DELONG_CLUSTERED
from f2vbench.stats.outcomes import Comparison, Estimate, Varies
from f2vbench.stats.power import cases_needed

_VARIES: tuple[Varies, ...] = ("test patients",)
_ROUNDING = 1e-14


@dataclass(frozen=True)
class _Areas:
    """AUROCs of models on the same cases.

    Attributes:
        areas: (k,); None where a class is absent, and ``reason`` says so.
        positives, negatives: deviations of placement values from the area, (k, patients), summed by patient; None
            where too few patients leave no variance.
        factors: of the sums of squares over positives, over negatives, and of the cross product.
    """

    areas: np.ndarray | None
    reason: str = ""
    positives: np.ndarray | None = None
    negatives: np.ndarray | None = None
    factors: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def standard_error(self, *contrast: float) -> float | None:
        """Of Σ contrast·area. Deviations are combined before they are squared, so equal models give 0 exactly."""
        if self.positives is None or self.negatives is None:
            return None
        x, y = np.array(contrast) @ self.positives, np.array(contrast) @ self.negatives
        variance = self.factors[0] * (x @ x) + self.factors[1] * (y @ y) + 2 * self.factors[2] * (x @ y)
        return math.sqrt(max(float(variance), 0.0))


def delong_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    transform: Literal["logit", "none"] = "logit",
    confidence: float = 0.95,
) -> Estimate:
    """AUROC with DeLong's interval.

    Args:
        scores: (n,) higher means more likely positive.
        labels: (n,) bool, or 0 and 1.
        patients: (n,) whose image each is; without it every image is a patient.
        transform: ``logit`` makes the interval on log(A ÷ (1 − A)): it stays within 0 and 1 and covers better near 1;
            ``none`` is the plain A ± z·SE, as R's pROC has it.

    Raises:
        ValueError: arrays that don't fit or aren't finite, labels that aren't binary.
    """
    alpha = level(confidence)
    if transform not in ("logit", "none"):
        raise ValueError(f"transform must be logit or none, not {transform!r}")
    s = finite(scores, "scores")
    y = binary(labels, s.size)
    codes, count = clusters(patients, s.size)
    result = Estimate(value=None, confidence=confidence, note=_classes(y), **_basis(patients, count))
    found = _areas([s], y, codes, count)
    if found.areas is None:
        return replace(result, reason=found.reason)
    area = float(found.areas[0])
    result = replace(result, value=area)
    se = found.standard_error(1.0)
    if se is None:
        return replace(result, reason=found.reason)
    if se <= _ROUNDING:
        why = f"every case wins the same share of its pairs (AUROC {area:g}), so DeLong's variance is zero: no interval"
        return replace(result, reason=why)
    z = float(ndtri(1 - alpha / 2))
    if transform == "none":
        return replace(result, se=se, low=area - z * se, high=area + z * se)
    reach = z * se / (area * (1 - area))
    return replace(result, se=se, low=float(expit(logit(area) - reach)), high=float(expit(logit(area) + reach)))


def delong_test(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """DeLong's test of two models on the same cases: difference of AUROCs, z, p, interval.

    Args:
        first, second: (n,) scores, each on any scale of its own.
        labels, patients: as in `delong_interval`.

    Raises:
        ValueError: arrays that don't fit or aren't finite, labels that aren't binary.
    """
    alpha = level(confidence)
    a, b = finite(first, "first"), finite(second, "second")
    if a.size != b.size:
        raise ValueError(f"both models must score the same cases, not {a.size} and {b.size}")
    y = binary(labels, a.size)
    codes, count = clusters(patients, a.size)
    result = Comparison(difference=None, confidence=confidence, note=_classes(y), **_basis(patients, count))
    found = _areas([a, b], y, codes, count)
    if found.areas is None:
        return replace(result, reason=found.reason)
    difference = float(found.areas[0] - found.areas[1])
    se = found.standard_error(1.0, -1.0)
    if se is None:
        return replace(result, difference=difference, reason=found.reason)
    return _tested(
        replace(result, difference=difference),
        se,
        alpha,
        "the models order every case alike, or differ by a constant",
    )


def delong_test_unpaired(
    first: ArrayLike,
    first_labels: ArrayLike,
    second: ArrayLike,
    second_labels: ArrayLike,
    *,
    first_patients: ArrayLike | None = None,
    second_patients: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """DeLong's test of AUROCs on two sets of cases that share no patient. ``n`` of the result is the smaller set's.

    z is compared with the normal distribution (pROC's unpaired test takes a t distribution, for a slightly larger p).

    Raises:
        ValueError: arrays that don't fit or aren't finite, labels that aren't binary.
    """
    alpha = level(confidence)
    sides, counts, notes = [], [], []
    for scores, labels, patients, name in (
        (first, first_labels, first_patients, "first"),
        (second, second_labels, second_patients, "second"),
    ):
        s = finite(scores, name)
        y = binary(labels, s.size)
        codes, count = clusters(patients, s.size)
        sides.append(_areas([s], y, codes, count))
        counts.append(count)
        notes.append(f"{name}: {_classes(y)}")
    clustered = first_patients if first_patients is not None else second_patients
    result = Comparison(difference=None, confidence=confidence, note="; ".join(notes), **_basis(clustered, min(counts)))
    for side in sides:
        if side.areas is None:
            return replace(result, reason=side.reason)
    one, other = sides
    assert one.areas is not None
    assert other.areas is not None
    result = replace(result, difference=float(one.areas[0] - other.areas[0]))
    errors = one.standard_error(1.0), other.standard_error(1.0)
    if errors[0] is None or errors[1] is None:
        return replace(result, reason=one.reason or other.reason)
    return _tested(result, math.hypot(errors[0], errors[1]), alpha, "DeLong's variance is zero on both sides")


def placements(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """AUROC, and placement values of the positives and of the negatives, in their order.

    Args:
        scores: (n,) finite.
        labels: (n,) bool, both classes present.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    together = rankdata(scores)
    of_positives = (together[labels] - rankdata(scores[labels])) / negatives
    of_negatives = 1 - (together[~labels] - rankdata(scores[~labels])) / positives
    return float(of_positives.mean()), of_positives, of_negatives


def _areas(models: list[np.ndarray], labels: np.ndarray, codes: np.ndarray, count: int) -> _Areas:
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        there = "positive" if positives else "negative"
        return _Areas(None, f"all {labels.size} labels are {there}: AUROC is undefined")
    found = [placements(scores, labels) for scores in models]
    areas = np.array([area for area, _, _ in found])
    with_positives = np.unique(codes[labels]).size
    with_negatives = np.unique(codes[~labels]).size
    if min(with_positives, with_negatives) < 2:
        fewer = "positive" if with_positives < 2 else "negative"
        return _Areas(areas, f"one patient with a {fewer} image only: DeLong's variance needs two")
    # Obuchowski's S10, S01 and S11, each over the squared number of images (or the product of both numbers).
    return _Areas(
        areas,
        positives=np.array([np.bincount(codes[labels], of - area, count) for area, of, _ in found]),
        negatives=np.array([np.bincount(codes[~labels], of - area, count) for area, _, of in found]),
        factors=(
            with_positives / (with_positives - 1) / positives**2,
            with_negatives / (with_negatives - 1) / negatives**2,
            count / (count - 1) / (positives * negatives),
        ),
    )


def _tested(result: Comparison, se: float, alpha: float, degenerate: str) -> Comparison:
    assert result.difference is not None
    if se <= _ROUNDING:
        return replace(result, reason=f"{degenerate}: no test possible")
    z = result.difference / se
    reach = float(ndtri(1 - alpha / 2)) * se
    return replace(
        result,
        statistic=z,
        p=float(2 * ndtr(-abs(z))),
        low=result.difference - reach,
        high=result.difference + reach,
        needed=cases_needed(result.n, result.difference, se),
    )


def _basis(patients: ArrayLike | None, count: int) -> dict:
    if patients is None:
        return {"method": DELONG, "varies": _VARIES, "n": count, "unit": "images"}
    return {"method": DELONG_CLUSTERED, "varies": _VARIES, "n": count, "unit": "patients"}


def _classes(labels: np.ndarray) -> str:
    return f"{int(labels.sum()):,} positive and {int((~labels).sum()):,} negative images"
