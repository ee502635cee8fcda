"""AUROC of binary labels: DeLong's intervals and tests, also for patients with several images.

For patients with several images, placement values are summed by patient first (Obuchowski 1997); with one image each
this is DeLong's formula exactly. The variances are computed in `f2vbench.stats.delong_variance`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtr, ndtri

from f2vbench.stats.citations import DELONG, DELONG_CLUSTERED, DELONG_SEEDS, Method
from f2vbench.stats.delong_variance import AurocComponents, compute_auroc_components, standard_error_of_sum
from f2vbench.stats.power import required_cases
from f2vbench.stats.result_classes import Comparison, Estimate, Variation
from f2vbench.stats.validation import (
    as_binary_labels,
    as_finite_vector,
    as_paired_vectors,
    encode_patients,
    significance_level,
)

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
        scores: (n,) scores; higher means more likely positive.
        labels: (n,) bool, or 0 and 1.
        patients: (n,) patient of each case; None counts each case as a patient.
        transform: ``logit`` computes the interval of log(A ÷ (1 − A)), which stays in [0, 1] and has better coverage
            near 1; ``none`` is A ± z·SE, as in R's pROC.
        confidence: Confidence level of the interval.

    Returns:
        AUROC, standard error and interval.

    Raises:
        ValueError: Lengths do not match, a score is not finite, or labels are not binary.

    Example:
        >>> interval = delong_interval([0.1, 0.4, 0.35, 0.8, 0.7, 0.3], [0, 0, 1, 1, 1, 0])
        >>> round(interval.value, 4), round(interval.low, 4), round(interval.high, 4)
        (0.8889, 0.2614, 0.9945)
    """
    alpha = significance_level(confidence)
    if transform not in ("logit", "none"):
        raise ValueError(f"transform must be logit or none, not {transform!r}")
    s = as_finite_vector(scores, "scores")
    y = as_binary_labels(labels, s.size)
    codes, count = encode_patients(patients, s.size)
    method, unit = _method_and_unit(patients)
    result = Estimate(
        method=method,
        variation=_VARIATION,
        n=count,
        unit=unit,
        value=None,
        confidence=confidence,
        note=_class_counts(y),
    )
    components = compute_auroc_components([s], y, codes, count)
    if components.aurocs is None:
        return replace(result, reason=components.reason)
    result = replace(result, value=float(components.aurocs[0]))
    se = components.standard_error(1.0)
    return replace(result, reason=components.reason) if se is None else _auroc_interval(result, se, transform, alpha)


def delong_interval_over_seeds(
    scores: Sequence[ArrayLike],
    labels: Sequence[ArrayLike],
    *,
    patients: Sequence[ArrayLike],
    confidence: float = 0.95,
) -> Estimate:
    """Mean AUROC over seeds with DeLong's interval, each seed with its own test cases.

    As in `delong_test_over_seeds`, placement values are summed by patient over all seeds. The interval is that of the
    logit and covers other patients for the trained heads, not other seeds. With one seed it equals `delong_interval`.

    Args:
        scores: Scores of each seed's (n,) cases.
        labels: bool, or 0 and 1, an (n,) array for each seed.
        patients: Patient of each case, an (n,) array for each seed; a name means the same patient at all seeds.
        confidence: Confidence level of the interval.

    Returns:
        Mean AUROC, standard error and interval.

    Raises:
        ValueError: Numbers of seeds or lengths do not match, a score is not finite, or labels are not binary.

    Example:
        >>> labels, patients = [0, 0, 1, 1, 1, 0], list("abcdef")
        >>> seeds = [[0.1, 0.4, 0.35, 0.8, 0.7, 0.3], [0.2, 0.6, 0.1, 0.5, 0.7, 0.4]]
        >>> interval = delong_interval_over_seeds(seeds, [labels] * 2, patients=[patients] * 2)
        >>> round(interval.value, 4), round(interval.se, 4)
        (0.7222, 0.2291)
    """
    alpha = significance_level(confidence)
    vectors = ([as_finite_vector(of_seed, "scores")] for of_seed in scores)
    parts, count, note = _components_of_seeds(vectors, labels, patients)
    result = Estimate(
        method=DELONG_SEEDS,
        variation=_VARIATION,
        n=count,
        unit="patients",
        value=None,
        confidence=confidence,
        note=note,
    )
    aurocs = [part.aurocs for part in parts if part.aurocs is not None]
    missing = next((part.reason for part in parts if part.reason), "")
    if len(aurocs) < len(parts):
        return replace(result, reason=f"at one of the seeds, {missing}")
    result = replace(result, value=float(np.mean(aurocs)))
    se = standard_error_of_sum(parts, (1 / len(parts),))
    if se is None:
        return replace(result, reason=f"at one of the seeds, {missing}")
    return _auroc_interval(result, se, "logit", alpha)


def _components_of_seeds(
    scores: Iterable[Sequence[np.ndarray]], labels: Sequence[ArrayLike], patients: Sequence[ArrayLike]
) -> tuple[list[AurocComponents], int, str]:
    """Components of the AUROCs of each seed, number of patients at all seeds, and the number of images as a note."""
    names = [np.asarray(of_seed) for of_seed in patients]
    codes, count = encode_patients(np.concatenate(names), sum(map(len, names)))
    ends = np.cumsum([len(of_seed) for of_seed in names])
    parts, positives, negatives = [], 0, 0
    for vectors, y, seed_codes in zip(scores, labels, np.split(codes, ends[:-1]), strict=True):
        truth = as_binary_labels(y, seed_codes.size)
        parts.append(compute_auroc_components(vectors, truth, seed_codes, count))
        positives, negatives = positives + int(truth.sum()), negatives + int((~truth).sum())
    return parts, count, f"{positives:,} positive and {negatives:,} negative images at {len(parts)} seeds"


def delong_test(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """DeLong's test of two models on the same cases.

    Args:
        first: (n,) scores of the first model, on any scale.
        second: (n,) scores of the second model, on any scale.
        labels: (n,) bool, or 0 and 1.
        patients: (n,) patient of each case; None counts each case as a patient.
        confidence: Confidence level of the interval.

    Returns:
        Difference of the AUROCs, z, p and interval.

    Raises:
        ValueError: Lengths do not match, a score is not finite, or labels are not binary.

    Example:
        >>> labels = [0, 0, 1, 1, 1, 0]
        >>> test = delong_test([0.1, 0.4, 0.35, 0.8, 0.7, 0.3], [0.2, 0.6, 0.1, 0.5, 0.7, 0.4], labels)
        >>> round(test.difference, 4), round(test.statistic, 3), round(test.p, 4)
        (0.3333, 1.732, 0.0833)
    """
    alpha = significance_level(confidence)
    a, b = as_finite_vector(first, "first"), as_finite_vector(second, "second")
    if a.size != b.size:
        raise ValueError(f"both models need scores of the same cases, not {a.size} and {b.size}")
    y = as_binary_labels(labels, a.size)
    codes, count = encode_patients(patients, a.size)
    method, unit = _method_and_unit(patients)
    result = Comparison(
        method=method,
        variation=_VARIATION,
        n=count,
        unit=unit,
        difference=None,
        confidence=confidence,
        note=_class_counts(y),
    )
    components = compute_auroc_components([a, b], y, codes, count)
    if components.aurocs is None:
        return replace(result, reason=components.reason)
    result = replace(result, difference=float(components.aurocs[0] - components.aurocs[1]))
    se = components.standard_error(1.0, -1.0)
    if se is None:
        return replace(result, reason=components.reason)
    return _z_test(result, se, alpha, "the models order all cases equally, or differ by a constant")


def delong_test_over_seeds(
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    labels: Sequence[ArrayLike],
    *,
    patients: Sequence[ArrayLike],
    confidence: float = 0.95,
) -> Comparison:
    """DeLong's test of two models' mean AUROCs over seeds, each seed with its own test cases.

    The mean difference is a contrast of the 2·seeds AUROCs, whose covariance follows from DeLong's paper. Placement
    values are summed by patient over all seeds before they are squared, as Obuchowski sums them over the images of a
    patient, so a patient who is tested at several seeds counts once. With one seed it equals `delong_test`. The test
    generalizes to other patients for the trained heads, not to other seeds.

    Args:
        first: Scores of the first model, an (n,) array for each seed.
        second: Scores of the second model, likewise.
        labels: bool, or 0 and 1, an (n,) array for each seed.
        patients: Patient of each case, an (n,) array for each seed; a name means the same patient at all seeds.
        confidence: Confidence level of the interval.

    Returns:
        Difference of the mean AUROCs, z, p and interval.

    Raises:
        ValueError: Numbers of seeds or lengths do not match, a score is not finite, or labels are not binary.

    Example:
        >>> labels, patients = [0, 0, 1, 1, 1, 0], list("abcdef")
        >>> first, second = [0.1, 0.4, 0.35, 0.8, 0.7, 0.3], [0.2, 0.6, 0.1, 0.5, 0.7, 0.4]
        >>> test = delong_test_over_seeds([first] * 2, [second] * 2, [labels] * 2, patients=[patients] * 2)
        >>> round(test.difference, 4), round(test.p, 4), test.n
        (0.3333, 0.0833, 6)
    """
    alpha = significance_level(confidence)
    vectors = (as_paired_vectors(a, b) for a, b in zip(first, second, strict=True))
    parts, count, note = _components_of_seeds(vectors, labels, patients)
    result = Comparison(
        method=DELONG_SEEDS,
        variation=_VARIATION,
        n=count,
        unit="patients",
        difference=None,
        confidence=confidence,
        note=note,
    )
    differences = []
    for part in parts:
        if part.aurocs is None:
            return replace(result, reason=f"at one of the seeds, {part.reason}")
        differences.append(float(part.aurocs[0] - part.aurocs[1]))
    result = replace(result, difference=float(np.mean(differences)))
    se = standard_error_of_sum(parts, (1 / len(parts), -1 / len(parts)))
    if se is None:
        return replace(result, reason=f"at one of the seeds, {next(part.reason for part in parts if part.reason)}")
    return _z_test(result, se, alpha, "the models order all cases equally at every seed, or differ by a constant")


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
    """DeLong's test of AUROCs on two sets of cases without common patients.

    z is compared with the normal distribution. (pROC's unpaired test uses a t distribution, with a slightly larger p.)

    Args:
        first: (n,) scores of the first set.
        first_labels: (n,) bool, or 0 and 1.
        second: (m,) scores of the second set.
        second_labels: (m,) bool, or 0 and 1.
        first_patients: (n,) patient of each case; None counts each case as a patient.
        second_patients: (m,), likewise.
        confidence: Confidence level of the interval.

    Returns:
        Difference of the AUROCs, z, p and interval; ``n`` is the size of the smaller set.

    Raises:
        ValueError: Lengths do not match, a score is not finite, or labels are not binary.

    Example:
        >>> test = delong_test_unpaired([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [0.6, 0.2, 0.4, 0.5], [0, 0, 1, 1])
        >>> round(test.difference, 4), round(test.p, 4)
        (0.25, 0.6831)
    """
    alpha = significance_level(confidence)
    sides, counts, notes = [], [], []
    for scores, labels, patients, name in (
        (first, first_labels, first_patients, "first"),
        (second, second_labels, second_patients, "second"),
    ):
        s = as_finite_vector(scores, name)
        y = as_binary_labels(labels, s.size)
        codes, count = encode_patients(patients, s.size)
        sides.append(compute_auroc_components([s], y, codes, count))
        counts.append(count)
        notes.append(f"{name}: {_class_counts(y)}")
    method, unit = _method_and_unit(first_patients if first_patients is not None else second_patients)
    result = Comparison(
        method=method,
        variation=_VARIATION,
        n=min(counts),
        unit=unit,
        difference=None,
        confidence=confidence,
        note="; ".join(notes),
    )
    for side in sides:
        if side.aurocs is None:
            return replace(result, reason=side.reason)
    one, other = sides
    assert one.aurocs is not None
    assert other.aurocs is not None
    result = replace(result, difference=float(one.aurocs[0] - other.aurocs[0]))
    errors = one.standard_error(1.0), other.standard_error(1.0)
    if errors[0] is None or errors[1] is None:
        return replace(result, reason=one.reason or other.reason)
    return _z_test(result, math.hypot(errors[0], errors[1]), alpha, "DeLong's variance is zero in both sets")


def _auroc_interval(result: Estimate, se: float, transform: Literal["logit", "none"], alpha: float) -> Estimate:
    """Add the standard error and the interval of an AUROC."""
    assert result.value is not None
    auroc = result.value
    if se <= _ROUNDING:
        reason = f"all cases have the same placement value (AUROC {auroc:g}), so DeLong's variance is zero: no interval"
        return replace(result, reason=reason)
    z = float(ndtri(1 - alpha / 2))
    if transform == "none":
        return replace(result, se=se, low=auroc - z * se, high=auroc + z * se)
    margin = z * se / (auroc * (1 - auroc))
    return replace(result, se=se, low=float(expit(logit(auroc) - margin)), high=float(expit(logit(auroc) + margin)))


def _z_test(result: Comparison, se: float, alpha: float, degenerate: str) -> Comparison:
    """Add z, p and interval of the difference; ``degenerate`` is the reason where the standard error is zero."""
    assert result.difference is not None
    if se <= _ROUNDING:
        return replace(result, reason=f"{degenerate}, so there is no test")
    z = result.difference / se
    margin = float(ndtri(1 - alpha / 2)) * se
    return replace(
        result,
        statistic=z,
        p=float(2 * ndtr(-abs(z))),
        low=result.difference - margin,
        high=result.difference + margin,
        required=required_cases(result.n, result.difference, se),
    )


def _method_and_unit(patients: ArrayLike | None) -> tuple[Method, str]:
    return (DELONG, "images") if patients is None else (DELONG_CLUSTERED, "patients")


def _class_counts(labels: np.ndarray) -> str:
    return f"{int(labels.sum()):,} positive and {int((~labels).sum()):,} negative images"
