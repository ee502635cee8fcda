"""Areas under ROC curves on the same cases, and standard errors of what is made of them.

The area is a mean over all (positive, negative) pairs. The share of its pairs that a case wins is its *placement
value*; their variance gives the area's. Midranks find them in O(n log n) (Sun & Xu 2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class AurocComponents:
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
        return standard_error_of_sum([self], contrast)


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


def compute_auroc_components(
    models: list[np.ndarray], labels: np.ndarray, codes: np.ndarray, count: int
) -> AurocComponents:
    """AUROCs and their components of (n,) finite scores of each model.

    Args:
        labels: (n,) bool.
        codes: (n,) number of each case's patient.
        count: of the patients there are, here and in other sets of cases that are summed with these.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        there = "positive" if positives else "negative"
        return AurocComponents(None, f"all {labels.size} labels are {there}: AUROC is undefined")
    found = [placements(scores, labels) for scores in models]
    areas = np.array([area for area, _, _ in found])
    with_positives, with_negatives, here = (np.unique(those).size for those in (codes[labels], codes[~labels], codes))
    if min(with_positives, with_negatives) < 2:
        fewer = "positive" if with_positives < 2 else "negative"
        return AurocComponents(areas, f"one patient with a {fewer} image only: DeLong's variance needs two")
    # Obuchowski's S10, S01 and S11, each over the squared number of images (or the product of both numbers).
    return AurocComponents(
        areas,
        positives=np.array([np.bincount(codes[labels], of - area, count) for area, of, _ in found]),
        negatives=np.array([np.bincount(codes[~labels], of - area, count) for area, _, of in found]),
        factors=(
            with_positives / (with_positives - 1) / positives**2,
            with_negatives / (with_negatives - 1) / negatives**2,
            here / (here - 1) / (positives * negatives),
        ),
    )


def standard_error_of_sum(parts: Sequence[AurocComponents], contrast: Sequence[float]) -> float | None:
    """Standard error of the sum, over several sets of cases of the same patients, of a contrast of areas."""
    sums: list[np.ndarray | float] = [0.0, 0.0, 0.0, 0.0]
    for part in parts:
        if part.positives is None or part.negatives is None:
            return None
        x, y = np.array(contrast) @ part.positives, np.array(contrast) @ part.negatives
        of_positives, of_negatives, of_both = np.sqrt(part.factors)
        for place, share in enumerate((of_positives * x, of_negatives * y, of_both * x, of_both * y)):
            sums[place] = sums[place] + share
    x, y, cross_x, cross_y = map(np.asarray, sums)
    return math.sqrt(max(float(x @ x + y @ y + 2 * (cross_x @ cross_y)), 0.0))
