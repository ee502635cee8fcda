"""Confidence intervals of a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from numpy.typing import ArrayLike
from scipy.special import stdtrit

from f2vbench.stats.citations import NORMAL_INTERVAL, STUDENT_INTERVAL, Method
from f2vbench.stats.result_classes import Estimate, Variation, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import as_finite_vector, is_constant, max_abs, significance_level


def normal_interval(values: ArrayLike, *, variation: VariationLike) -> Estimate:
    """Mean ± 1.96 standard errors, the interval of the Fundus2Video papers.

    With five seeds it is narrower than Student's interval (2.78 standard errors) and covers 88 % instead of 95 %. Seeds
    that share images are not independent, so the coverage for new runs is lower still.

    Args:
        values: (n,) values, one for each seed.
        variation: What differs between the values.

    Returns:
        Mean, standard deviation (n − 1), standard error and 95 % interval.

    Raises:
        ValueError: No value, or a value that is not finite.

    Example:
        >>> interval = normal_interval([0.91, 0.93, 0.95, 0.90, 0.92], variation="split")
        >>> round(interval.value, 4), round(interval.low, 4), round(interval.high, 4)
        (0.922, 0.9051, 0.9389)
    """
    return _mean_interval(values, NORMAL_INTERVAL, as_variation(variation), 0.95, lambda df: 1.96)


def student_interval(values: ArrayLike, *, variation: VariationLike, confidence: float = 0.95) -> Estimate:
    """Student's interval of a mean, with correct coverage at any n for independent, normally distributed values.

    Args:
        values: (n,) values, one for each seed.
        variation: What differs between the values.
        confidence: Confidence level.

    Returns:
        Mean, standard deviation (n − 1), standard error and interval.

    Raises:
        ValueError: No value, or a value that is not finite; a confidence outside (0, 1).

    Example:
        >>> interval = student_interval([0.91, 0.93, 0.95, 0.90, 0.92], variation="split")
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.8981, 0.9459)
    """
    half = significance_level(confidence) / 2
    return _mean_interval(
        values, STUDENT_INTERVAL, as_variation(variation), confidence, lambda df: float(stdtrit(df, 1 - half))
    )


def _mean_interval(
    values: ArrayLike,
    method: Method,
    variation: Variation,
    confidence: float,
    factor: Callable[[int], float],
) -> Estimate:
    """Mean ± factor(degrees of freedom) standard errors."""
    sample = as_finite_vector(values)
    n, mean = sample.size, float(sample.mean())
    unit = sampling_unit(variation)
    result = Estimate(method=method, variation=variation, n=n, unit=unit, value=mean, confidence=confidence)
    if n < 2:
        return replace(result, reason="a standard deviation needs at least two values")
    if is_constant(sample, max_abs(sample)):
        return replace(result, sd=0.0, reason="all values are equal: the standard deviation is zero")
    sd = float(sample.std(ddof=1))
    se = sd / math.sqrt(n)
    margin = factor(n - 1) * se
    return replace(result, sd=sd, se=se, low=mean - margin, high=mean + margin)
