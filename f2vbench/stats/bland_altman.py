"""Bland–Altman analysis: mean difference of two raters, and their limits of agreement."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from f2vbench.stats.citations import BLAND_ALTMAN, Method
from f2vbench.stats.validation import as_paired_vectors, significance_level

Bounds = tuple[float, float]
"""Lower and upper bound of an interval."""


@dataclass(frozen=True, kw_only=True)
class BlandAltmanResult:
    """Limits of agreement of two raters.

    Attributes:
        method: The method.
        n: Number of cases that both raters scored.
        bias: Mean of the differences first − second.
        sd: Standard deviation (n − 1) of the differences; None for one case.
        bias_interval: Student's interval of the bias.
        low: Lower limit of agreement, bias − 1.96 sd at 95 %.
        high: Upper limit of agreement.
        low_interval: Interval of the lower limit.
        high_interval: Interval of the upper limit.
        confidence: Confidence level of the intervals, and share of the differences between the limits.
        reason: Why there are no limits.
    """

    method: Method = BLAND_ALTMAN
    n: int
    bias: float
    sd: float | None = None
    bias_interval: Bounds | None = None
    low: float | None = None
    high: float | None = None
    low_interval: Bounds | None = None
    high_interval: Bounds | None = None
    confidence: float = 0.95
    reason: str = ""


def bland_altman(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> BlandAltmanResult:
    """Bias and limits of agreement of two raters.

    The standard error of a limit is sd·√(1/n + z²/(2(n − 1))) (Bland & Altman 1999, section 2.2). Limits and intervals
    assume differences that are about normal; those of a five-point scale are so only roughly.

    Args:
        first: (n,) scores of the first rater.
        second: (n,) scores of the second rater for the same cases.
        confidence: Confidence level of the intervals, and share of the differences between the limits.

    Returns:
        Bias and limits, each with its interval.

    Raises:
        ValueError: The lengths differ, there is no score, or a score is not finite.

    Example:
        >>> result = bland_altman([1, 2, 2, 4, 3], [1, 3, 2, 5, 3])
        >>> round(result.bias, 2), round(result.low, 2), round(result.high, 2)
        (-0.4, -1.47, 0.67)
    """
    a, b = as_paired_vectors(first, second)
    tail = significance_level(confidence) / 2
    differences = a - b
    n, bias = differences.size, float(differences.mean())
    result = BlandAltmanResult(n=n, bias=bias, confidence=confidence)
    if n < 2:
        return replace(result, reason="limits of agreement need at least two cases")
    sd = float(differences.std(ddof=1))
    z, t = float(ndtri(1 - tail)), float(stdtrit(n - 1, 1 - tail))
    low, high = bias - z * sd, bias + z * sd
    margin, limit_margin = t * sd / math.sqrt(n), t * sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    return replace(
        result,
        sd=sd,
        bias_interval=(bias - margin, bias + margin),
        low=low,
        high=high,
        low_interval=(low - limit_margin, low + limit_margin),
        high_interval=(high - limit_margin, high + limit_margin),
    )
