"""Cohen's kappa of two raters, unweighted or weighted by the distance of the scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from f2vbench.stats.citations import KAPPA, WEIGHTED_KAPPA, Method
from f2vbench.stats.validation import significance_level
from f2vbench.utils.text import p_value

KappaWeights = Literal["unweighted", "linear", "quadratic"]
"""Weights of disagreements: all equal, or proportional to the distance of the scores or to its square."""


@dataclass(frozen=True, kw_only=True)
class KappaResult:
    """Agreement of two raters beyond chance.

    Attributes:
        method: The method.
        weights: Weights of disagreements.
        n: Number of cases that both raters scored.
        observed: Weighted observed agreement in [0, 1].
        expected: Weighted agreement expected by chance, from the raters' own frequencies.
        kappa: (observed − expected) / (1 − expected); None where it is undefined.
        se: Standard error for intervals.
        se_null: Standard error under the hypothesis κ = 0, for the test.
        low: Lower bound of the interval.
        high: Upper bound of the interval.
        confidence: Confidence level of the interval.
        p: Two-sided p-value of κ = 0, by the normal approximation.
        reason: Why there is no κ, no interval or no p.
    """

    method: Method
    weights: KappaWeights
    n: int
    observed: float
    expected: float
    kappa: float | None = None
    se: float | None = None
    se_null: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    p: float | None = None
    reason: str = ""

    def sentence(self) -> str:
        """Write the result as a sentence.

        Returns:
            A sentence without a full stop.

        Example:
            >>> print(cohens_kappa([1, 2, 3, 3, 5, 4], [1, 2, 3, 4, 4, 4], (1, 2, 3, 4, 5)).sentence())
            linear κ = 0.760 [0.478, 1.000], p = 0.0034 (Cohen's weighted kappa, n = 6)
        """
        basis = f"{self.method.name}, n = {self.n}"
        if self.kappa is None:
            return f"{self.weights} κ is undefined: {self.reason} ({basis})"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.weights} κ = {self.kappa:.3f}{interval}, {p_value(self.p, equation=True)} ({basis})"


def cohens_kappa(
    first: ArrayLike,
    second: ArrayLike,
    categories: Sequence[int],
    weights: KappaWeights = "linear",
    confidence: float = 0.95,
) -> KappaResult:
    """Cohen's kappa of two raters on ordered scores.

    The standard errors are those of Fleiss, Cohen & Everitt (1969) for large samples: one for the interval, which is
    cut at −1 and 1, and one under κ = 0 for the test.

    Args:
        first: (n,) scores of the first rater.
        second: (n,) scores of the second rater for the same cases.
        categories: At least two possible scores, in ascending order.
        weights: Weights of disagreements.
        confidence: Confidence level of the interval.

    Returns:
        κ, its interval, and the test of κ = 0.

    Raises:
        ValueError: The lengths differ, there is no score, or a score is not one of the categories.

    Example:
        >>> first, second = [1, 2, 3, 3, 5, 4], [1, 2, 3, 4, 4, 4]
        >>> for weights in ("unweighted", "linear", "quadratic"):
        ...     print(weights, round(cohens_kappa(first, second, (1, 2, 3, 4, 5), weights).kappa, 3))
        unweighted 0.586
        linear 0.76
        quadratic 0.889
    """
    if weights not in get_args(KappaWeights):
        raise ValueError(f"weights must be one of {', '.join(get_args(KappaWeights))}, not {weights!r}")
    alpha = significance_level(confidence)
    shares, n = _shares(first, second, categories)
    agreement = _agreement_weights(categories, weights)
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    chance = np.outer(rows, columns)
    observed, expected = float((agreement * shares).sum()), float((agreement * chance).sum())
    result = KappaResult(
        method=KAPPA if weights == "unweighted" else WEIGHTED_KAPPA,
        weights=weights,
        n=n,
        observed=observed,
        expected=expected,
        confidence=confidence,
    )
    if 1 - expected < 1e-12:
        return replace(result, reason="both raters gave one and the same score to every case")
    kappa = (observed - expected) / (1 - expected)
    margins = (agreement @ columns)[:, None] + (agreement @ rows)[None, :]
    scale = math.sqrt(n) * (1 - expected)
    variance = (shares * (agreement - margins * (1 - kappa)) ** 2).sum() - (kappa - expected * (1 - kappa)) ** 2
    null_variance = (chance * (agreement - margins) ** 2).sum() - expected**2
    se, se_null = (math.sqrt(max(float(value), 0.0)) / scale for value in (variance, null_variance))
    if 1 in (np.count_nonzero(rows), np.count_nonzero(columns)):
        reason = "a rater gave the same score to every case, so there is no interval and no test"
        return replace(result, kappa=0.0, reason=reason)
    result = replace(result, kappa=kappa, se=se, se_null=se_null, p=float(2 * ndtr(-abs(kappa) / se_null)))
    if se <= 1e-9:
        reason = "the raters agree on every case" if observed > 1 - 1e-12 else "the standard error is zero"
        return replace(result, reason=f"{reason}, so there is no interval")
    margin = float(ndtri(1 - alpha / 2)) * se
    return replace(result, low=max(kappa - margin, -1.0), high=min(kappa + margin, 1.0))


def _shares(first: ArrayLike, second: ArrayLike, categories: Sequence[int]) -> tuple[NDArray[np.float64], int]:
    """(k, k) shares of the cases by the scores of both raters, and the number of cases."""
    if len(categories) < 2 or list(categories) != sorted(set(categories)):
        raise ValueError(f"categories must be at least two scores in ascending order, not {tuple(categories)}")
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValueError(f"both raters need one score for each case, not {a.shape} and {b.shape}")
    unknown = sorted({value for value in (*a.tolist(), *b.tolist()) if value not in categories})
    if unknown:
        raise ValueError(f"scores must be of {tuple(categories)}, not {unknown[:5]}")
    table = np.zeros((len(categories), len(categories)))
    np.add.at(table, (np.searchsorted(categories, a), np.searchsorted(categories, b)), 1)
    return table / a.size, a.size


def _agreement_weights(categories: Sequence[int], weights: KappaWeights) -> NDArray[np.float64]:
    """(k, k) weights of agreement, 1 on the diagonal and 0 for the largest disagreement."""
    scores = np.asarray(categories, dtype=np.float64)
    distance = np.abs(scores[:, None] - scores) / np.ptp(scores)
    if weights == "unweighted":
        return np.eye(len(scores))
    return np.asarray(1 - (distance if weights == "linear" else distance**2))
