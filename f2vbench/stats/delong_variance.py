"""Covariance of AUROCs on the same cases, by the methods of DeLong and Obuchowski.

The AUROC is a mean over all (positive, negative) pairs. The *placement value* of a case is the share of its pairs that
are ordered correctly; the variance of the placement values gives that of the AUROC. Midranks find them in O(n log n)
(Sun & Xu 2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class AurocComponents:
    """AUROCs of k models on the same cases, and the components of their covariance.

    Attributes:
        aurocs: (k,); None where a class is absent.
        reason: Why ``aurocs`` or the components are None.
        positives: (k, patients) deviations of the positives' placement values from the AUROC, summed by patient; None
            where there are too few patients for a variance.
        negatives: (k, patients), the same for negatives.
        factors: Weights of the sum of squares over positives, over negatives, and of the cross product.
    """

    aurocs: np.ndarray | None
    reason: str = ""
    positives: np.ndarray | None = None
    negatives: np.ndarray | None = None
    factors: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def standard_error(self, *contrast: float) -> float | None:
        """Standard error of a contrast of the AUROCs.

        Deviations are combined before they are squared, so the difference of equal models has a standard error of
        exactly zero.

        Args:
            *contrast: k coefficients.

        Returns:
            Standard error; None where there are too few patients.

        Example:
            >>> scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
            >>> components = compute_auroc_components([scores], labels, np.arange(4), 4)
            >>> round(components.standard_error(1.0), 4)
            0.3536
        """
        return standard_error_of_sum([self], contrast)


def placement_values(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """AUROC and placement values of one model.

    Args:
        scores: (n,) finite.
        labels: (n,) bool, both classes present.

    Returns:
        AUROC in [0, 1], placement values of the positives, and of the negatives, in the order of the cases.

    Example:
        >>> placement_values(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
        (0.75, array([0.5, 1. ]), array([1. , 0.5]))
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    ranks = rankdata(scores)
    positive_values = (ranks[labels] - rankdata(scores[labels])) / negatives
    negative_values = 1 - (ranks[~labels] - rankdata(scores[~labels])) / positives
    return float(positive_values.mean()), positive_values, negative_values


def compute_auroc_components(
    models: Sequence[np.ndarray], labels: np.ndarray, codes: np.ndarray, count: int
) -> AurocComponents:
    """Compute AUROCs and the components of their covariance.

    Args:
        models: (n,) finite scores of each model.
        labels: (n,) bool.
        codes: (n,) number of each case's patient.
        count: Number of patients, including those of other sets of cases whose components are added to these.

    Returns:
        AUROCs and components, summed by patient (Obuchowski 1997). With one image for each patient they give DeLong's
        variance.

    Example:
        >>> scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
        >>> compute_auroc_components([scores, -scores], labels, np.arange(4), 4).aurocs.tolist()
        [0.75, 0.25]
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        present = "positive" if positives else "negative"
        return AurocComponents(None, f"all {labels.size} labels are {present}, so AUROC is undefined")
    placements = [placement_values(scores, labels) for scores in models]
    aurocs = np.array([auroc for auroc, _, _ in placements])
    positive_patients, negative_patients, patients = (
        np.unique(some).size for some in (codes[labels], codes[~labels], codes)
    )
    if min(positive_patients, negative_patients) < 2:
        rare = "positive" if positive_patients < 2 else "negative"
        return AurocComponents(aurocs, f"only one patient has a {rare} image: DeLong's variance needs two")
    # Obuchowski's S10, S01 and S11, each over the squared number of images (or the product of both numbers).
    return AurocComponents(
        aurocs,
        positives=np.array([np.bincount(codes[labels], values - auroc, count) for auroc, values, _ in placements]),
        negatives=np.array([np.bincount(codes[~labels], values - auroc, count) for auroc, _, values in placements]),
        factors=(
            positive_patients / (positive_patients - 1) / positives**2,
            negative_patients / (negative_patients - 1) / negatives**2,
            patients / (patients - 1) / (positives * negatives),
        ),
    )


def standard_error_of_sum(parts: Sequence[AurocComponents], contrast: Sequence[float]) -> float | None:
    """Standard error of a contrast of AUROCs, summed over several sets of cases of the same patients.

    Args:
        parts: Components of each set of cases, with the same numbering of patients.
        contrast: k coefficients.

    Returns:
        Standard error; None where a set has too few patients.

    Example:
        >>> scores, labels = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
        >>> components = compute_auroc_components([scores], labels, np.arange(4), 4)
        >>> round(standard_error_of_sum([components, components], [0.5]), 4)  # the same cases twice add nothing
        0.3536
    """
    sums: list[np.ndarray | float] = [0.0, 0.0, 0.0, 0.0]
    for part in parts:
        if part.positives is None or part.negatives is None:
            return None
        x, y = np.array(contrast) @ part.positives, np.array(contrast) @ part.negatives
        positive_factor, negative_factor, cross_factor = np.sqrt(part.factors)
        terms = (positive_factor * x, negative_factor * y, cross_factor * x, cross_factor * y)
        sums = [total + term for total, term in zip(sums, terms, strict=True)]
    x, y, cross_x, cross_y = map(np.asarray, sums)
    return math.sqrt(max(float(x @ x + y @ y + 2 * (cross_x @ cross_y)), 0.0))
