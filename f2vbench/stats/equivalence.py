"""Equivalence and non-inferiority of two models with a margin, from a test with a standard error.

A difference that is not significant is no evidence of equal performance. Equivalence is: the difference lies within
± margin, by two one-sided tests (TOST). Non-inferiority is one of them: a model is worse by less than the margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from f2vbench.stats.citations import NON_INFERIORITY, TOST, Method
from f2vbench.stats.result_classes import Comparison

EquivalenceVerdict = Literal[
    "equivalent", "first not inferior", "second not inferior", "neither is inferior", "not shown", "no test"
]


@dataclass(frozen=True, kw_only=True)
class EquivalenceResult:
    """Tests of equivalence and of non-inferiority.

    Attributes:
        margin: Largest difference that does not matter, in units of the metric.
        difference: First − second.
        p_equivalence: p of the two one-sided tests, the larger of both; None without a test.
        p_first: One-sided p of "the first is worse by the margin or more"; small where the first is not inferior.
        p_second: One-sided p of "the second is worse by the margin or more".
        low: Lower end of the 1 − 2α interval of the difference, which lies within ± margin where p_equivalence < α.
        high: Upper end.
        alpha: Significance level of the equivalence; a test of non-inferiority has half of it, as its 95 % interval.
        required: Patients at which models without a difference would be shown to be equivalent with 80 % power, if the
            standard error decreases as 1/√n; None without a test.
        unit: What ``required`` counts.
        reason: Why there is no test.
        method: The test of equivalence.
        one_sided_method: The test of non-inferiority.
    """

    margin: float
    difference: float | None
    p_equivalence: float | None = None
    p_first: float | None = None
    p_second: float | None = None
    low: float | None = None
    high: float | None = None
    alpha: float = 0.05
    required: int | None = None
    unit: str = "patients"
    reason: str = ""
    method: Method = TOST
    one_sided_method: Method = NON_INFERIORITY

    @property
    def verdict(self) -> EquivalenceVerdict:
        """What the unadjusted tests show.

        Example:
            >>> from f2vbench.stats.t_tests import paired_t_test
            >>> test = paired_t_test([0.91, 0.93, 0.95], [0.90, 0.92, 0.945], variation="split")
            >>> equivalence_test(test, margin=0.05).verdict, equivalence_test(test, margin=0.005).verdict
            ('equivalent', 'first not inferior')
        """
        return equivalence_verdict(self.p_equivalence, self.p_first, self.p_second, self.alpha)


def equivalence_verdict(
    p_equivalence: float | None, p_first: float | None, p_second: float | None, alpha: float = 0.05
) -> EquivalenceVerdict:
    """What p-values of equivalence and non-inferiority show.

    Args:
        p_equivalence: p of the two one-sided tests.
        p_first: p of the non-inferiority of the first model.
        p_second: p of the non-inferiority of the second model.
        alpha: Level of the equivalence; non-inferiority has half of it.

    Returns:
        The strongest statement; ``no test`` where a p is None.

    Example:
        >>> equivalence_verdict(0.2, 0.001, 0.2), equivalence_verdict(0.2, 0.3, 0.4)
        ('first not inferior', 'not shown')
    """
    if p_equivalence is None or p_first is None or p_second is None:
        return "no test"
    if p_equivalence < alpha:
        return "equivalent"
    first, second = p_first < alpha / 2, p_second < alpha / 2
    if first and second:
        return "neither is inferior"
    return "first not inferior" if first else "second not inferior" if second else "not shown"


def equivalence_test(
    comparison: Comparison, margin: float, *, alpha: float = 0.05, higher_is_better: bool = True
) -> EquivalenceResult:
    """Test whether two models are equivalent, and whether either is not inferior, with a margin.

    Args:
        comparison: A test with a standard error, such as `crossed.crossed_test` (other patients and other heads),
            `gee.gee_difference_test` or `t_tests.paired_t_test`.
        margin: Largest difference that does not matter, in units of the metric, above 0; chosen before the results are
            seen.
        alpha: Significance level.
        higher_is_better: Direction of the metric.

    Returns:
        p-values and the 1 − 2α interval.

    Raises:
        ValueError: The margin is not above 0.

    Example:
        >>> from f2vbench.stats.t_tests import paired_t_test
        >>> test = paired_t_test([0.91, 0.93, 0.95], [0.90, 0.92, 0.945], variation="split")
        >>> result = equivalence_test(test, margin=0.02)
        >>> round(result.p_equivalence, 4), round(result.low, 4), round(result.high, 4)
        (0.0099, 0.0035, 0.0132)
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"the margin must be above 0, not {margin}")
    difference, se, df = comparison.difference, comparison.se, comparison.df
    if difference is None or se is None or df is None:
        reason = comparison.reason or f"{comparison.method.name} has no standard error"
        return EquivalenceResult(margin=margin, difference=difference, alpha=alpha, unit=comparison.unit, reason=reason)
    above, below = _tail(df, (difference + margin) / se), _tail(df, (margin - difference) / se)
    quantile = float(stdtrit(df, 1 - alpha) if math.isfinite(df) else ndtri(1 - alpha))
    shift = float(ndtri(1 - alpha) + ndtri(0.9))  # 80 % power of both tests together at a difference of 0
    return EquivalenceResult(
        margin=margin,
        difference=difference,
        p_equivalence=max(above, below),
        p_first=above if higher_is_better else below,
        p_second=below if higher_is_better else above,
        low=difference - quantile * se,
        high=difference + quantile * se,
        alpha=alpha,
        required=max(2, math.ceil(comparison.n * (shift * se / margin) ** 2)),
        unit=comparison.unit,
    )


def _tail(df: float, statistic: float) -> float:
    """Probability of a larger statistic if the true difference is at the margin."""
    return float(stdtr(df, -statistic) if math.isfinite(df) else ndtr(-statistic))
