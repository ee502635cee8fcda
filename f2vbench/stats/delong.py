"""AUROC of binary labels: DeLong's intervals and tests, also with several images a patient.

The variances are those of `f2vbench.stats.delong_variance`. Where one patient has several images, placement values are
summed by patient first (Obuchowski 1997); with one image each this is DeLong's formula exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtr, ndtri

from f2vbench.stats.citations import DELONG, DELONG_CLUSTERED, DELONG_SEEDS
from f2vbench.stats.delong_variance import compute_auroc_components, standard_error_of_sum
from f2vbench.stats.power import required_cases
from f2vbench.stats.result_classes import Comparison, Estimate, Variation
from f2vbench.stats.validation import binary, clusters, finite, level, pairs

_VARIATION: Variation = ("test patients",)
_ROUNDING = 1e-14


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
    found = compute_auroc_components([s], y, codes, count)
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
    found = compute_auroc_components([a, b], y, codes, count)
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


def delong_test_over_seeds(
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    labels: Sequence[ArrayLike],
    *,
    patients: Sequence[ArrayLike],
    confidence: float = 0.95,
) -> Comparison:
    """DeLong's test of the means of two models' AUROCs over seeds, each seed with test cases of its own.

    The mean difference is one contrast of the 2·seeds areas, whose covariance DeLong's paper gives where all are of
    the same cases. Placement values are summed by patient over all seeds before they are squared, as Obuchowski sums
    them over a patient's images, so that patients tested at several seeds are not taken for several. With one seed
    it is `delong_test`. It speaks of other patients for the heads as they were trained, not of other seeds.

    Args:
        first, second, labels, patients: of each seed, as in `delong_test`; names of patients hold across seeds.

    Raises:
        ValueError: as `delong_test`, or another number of seeds in one of them.
    """
    alpha = level(confidence)
    names = [np.asarray(those) for those in patients]
    codes, count = clusters(np.concatenate(names), sum(map(len, names)))
    ends = np.cumsum([len(those) for those in names])
    parts, positives, negatives = [], 0, 0
    for a, b, y, own in zip(first, second, labels, np.split(codes, ends[:-1]), strict=True):
        scores, truth = pairs(a, b), binary(y, own.size)
        parts.append(compute_auroc_components(list(scores), truth, own, count))
        positives, negatives = positives + int(truth.sum()), negatives + int((~truth).sum())
    result = Comparison(
        method=DELONG_SEEDS,
        variation=_VARIATION,
        n=count,
        unit="patients",
        difference=None,
        confidence=confidence,
        note=f"{positives:,} positive and {negatives:,} negative images at {len(parts)} seeds",
    )
    differences = []
    for part in parts:
        if part.areas is None:
            return replace(result, reason=f"at a seed, {part.reason}")
        differences.append(float(part.areas[0] - part.areas[1]))
    result = replace(result, difference=float(np.mean(differences)))
    se = standard_error_of_sum(parts, (1 / len(parts), -1 / len(parts)))
    if se is None:
        return replace(result, reason=f"at a seed, {next(part.reason for part in parts if part.reason)}")
    return _tested(result, se, alpha, "the models order every case alike at every seed, or differ by a constant")


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
        sides.append(compute_auroc_components([s], y, codes, count))
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
        required=required_cases(result.n, result.difference, se),
    )


def _basis(patients: ArrayLike | None, count: int) -> dict:
    if patients is None:
        return {"method": DELONG, "variation": _VARIATION, "n": count, "unit": "images"}
    return {"method": DELONG_CLUSTERED, "variation": _VARIATION, "n": count, "unit": "patients"}


def _classes(labels: np.ndarray) -> str:
    return f"{int(labels.sum()):,} positive and {int((~labels).sum()):,} negative images"
