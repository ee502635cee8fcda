"""Intraclass correlation of several raters on the same cases."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, fdtri

from f2vbench.stats.citations import INTRACLASS, Method
from f2vbench.stats.validation import significance_level
from f2vbench.utils.text import p_value


@dataclass(frozen=True, kw_only=True)
class IntraclassResult:
    """Intraclass correlation for absolute agreement, two-way random effects.

    Attributes:
        method: The method.
        n: Number of cases that every rater scored.
        raters: Number k of raters.
        single: ICC(2,1), the reliability of one rater; None where it is undefined.
        single_low: Lower bound of its interval, at least −1/(k − 1).
        single_high: Upper bound of its interval.
        average: ICC(2,k), the reliability of the mean of the k raters.
        average_low: Lower bound of its interval; −∞ where that of ICC(2,1) is −1/(k − 1), the smallest possible value.
        average_high: Upper bound of its interval.
        confidence: Confidence level of the intervals.
        statistic: F of cases, with n − 1 and (n − 1)(k − 1) degrees of freedom.
        p: p-value of F, of the hypothesis ICC = 0.
        reason: Why there is no ICC or no interval.
    """

    method: Method = INTRACLASS
    n: int
    raters: int
    single: float | None = None
    single_low: float | None = None
    single_high: float | None = None
    average: float | None = None
    average_low: float | None = None
    average_high: float | None = None
    confidence: float = 0.95
    statistic: float | None = None
    p: float | None = None
    reason: str = ""

    def sentence(self) -> str:
        """Write the result as a sentence.

        Returns:
            A sentence without a full stop.

        Example:
            >>> scores = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
            >>> print(intraclass_correlation(scores).sentence())  # doctest: +NORMALIZE_WHITESPACE
            ICC(2,1) = 0.290 [0.019, 0.761], p = 0.0001 (intraclass correlation, two-way random effects, absolute
            agreement, n = 6, 4 raters)
        """
        basis = f"{self.method.name}, n = {self.n}, {self.raters} raters"
        if self.single is None:
            return f"ICC(2,1) is undefined: {self.reason} ({basis})"
        bounds = (self.single_low, self.single_high)
        interval = "" if None in bounds else f" [{bounds[0]:.3f}, {bounds[1]:.3f}]"
        p = f", {p_value(self.p, equation=True)}" if self.p is not None else ""
        return f"ICC(2,1) = {self.single:.3f}{interval}{p} ({basis})"


def intraclass_correlation(scores: ArrayLike, confidence: float = 0.95) -> IntraclassResult:
    """ICC(2,1) and ICC(2,k) of Shrout & Fleiss (1979): two-way random effects, absolute agreement.

    These are the ICC(A,1) and ICC(A,k) of McGraw & Wong (1996), whose approximate intervals they have. Raters count as
    a sample of all raters, and a constant difference between raters lowers the ICC.

    Args:
        scores: (n, k) scores of n cases by k raters.
        confidence: Confidence level of the intervals.

    Returns:
        Both correlations with intervals, and the F test of cases.

    Raises:
        ValueError: Fewer than two raters, no case, or a score that is missing or not finite.

    Example:
        >>> scores = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
        >>> result = intraclass_correlation(scores)  # the data of Shrout & Fleiss
        >>> round(result.single, 2), round(result.average, 2)
        (0.29, 0.62)
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise ValueError(f"scores must be (cases, raters) with at least two raters, not {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("scores must be finite: leave out the cases that a rater did not score")
    alpha = significance_level(confidence)
    n, k = table.shape
    result = IntraclassResult(n=n, raters=k, confidence=confidence)
    if n < 2:
        return replace(result, reason="a correlation needs at least two cases")
    cases, raters, error = _mean_squares(table)
    scale = 1e-12 * max(1.0, float(np.abs(table).max()) ** 2)
    if max(cases, raters, error) <= scale:
        return replace(result, reason="all scores are equal")
    single = (cases - error) / (cases + (k - 1) * error + k * (raters - error) / n)
    average = (cases - error) / (cases + (raters - error) / n)
    result = replace(result, single=float(single), average=float(average))
    if error <= scale:
        return replace(result, reason="the residual variance is zero, so there is no interval and no test")
    statistic = cases / error
    low, high = _interval(cases, raters, error, n, k, single, alpha)
    smallest = -1 / (k - 1)  # of any intraclass correlation; that of the mean is unbounded there
    return replace(
        result,
        single_low=max(low, smallest),
        single_high=high,
        average_low=_stepped_up(low, k) if low > smallest else -math.inf,
        average_high=_stepped_up(high, k),
        statistic=float(statistic),
        p=float(fdtrc(n - 1, (n - 1) * (k - 1), statistic)),
    )


def _mean_squares(table: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean squares of cases, of raters, and of the residuals of the additive model."""
    n, k = table.shape
    mean, by_case, by_rater = table.mean(), table.mean(axis=1), table.mean(axis=0)
    residuals = table - by_case[:, None] - by_rater + mean
    return (
        float(k * ((by_case - mean) ** 2).sum() / (n - 1)),
        float(n * ((by_rater - mean) ** 2).sum() / (k - 1)),
        float((residuals**2).sum() / ((n - 1) * (k - 1))),
    )


def _interval(
    cases: float, raters: float, error: float, n: int, k: int, single: float, alpha: float
) -> tuple[float, float]:
    """Interval of ICC(2,1) by McGraw & Wong (1996, table 7), with Satterthwaite's degrees of freedom."""
    f_raters = raters / error
    other = n * (1 + (k - 1) * single) - k * single
    v = ((k - 1) * (n - 1) * (k * single * f_raters + other) ** 2) / (
        (n - 1) * k**2 * single**2 * f_raters**2 + other**2
    )
    f_low, f_high = float(fdtri(n - 1, v, 1 - alpha / 2)), float(fdtri(v, n - 1, 1 - alpha / 2))
    rest = k * raters + (k * n - k - n) * error
    low = n * (cases - f_low * error) / (f_low * rest + n * cases)
    high = n * (f_high * cases - error) / (rest + n * f_high * cases)
    return low, high


def _stepped_up(single: float, k: int) -> float:
    """Reliability of the mean of k raters (Spearman–Brown)."""
    return k * single / (1 + (k - 1) * single)
