"""Confidence intervals of a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from numpy.typing import ArrayLike
from scipy.special import expit, logit, stdtrit

from f2vbench.stats.citations import NORMAL_INTERVAL, SCALED_STUDENT_INTERVAL, STUDENT_INTERVAL, Method
from f2vbench.stats.result_classes import Estimate, Variation, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import as_finite_vector, is_constant, max_abs, significance_level

SeedInterval = Literal["student", "papers"]
"""Interval of a mean over seeds: Student's within the range of the metric, or the papers' mean ± 1.96 standard errors.
"""

MeanInterval = Literal["crossed", SeedInterval]
"""`crossed.crossed_interval`, for other patients and other heads, or an interval over seeds only."""

Bounds = tuple[float | None, float | None]
"""Smallest and largest possible value of a metric; None where there is none."""

UNBOUNDED: Bounds = (None, None)


def seed_interval(
    values: ArrayLike, *, variation: VariationLike, bounds: Bounds = (None, None), kind: SeedInterval = "student"
) -> Estimate:
    """Interval of a mean over seeds, of the kind that a report uses.

    Args:
        values: (n,) values, one for each seed.
        variation: What differs between the values.
        bounds: Range of the metric; the papers' interval does not use it, and may leave it.
        kind: ``student`` (`scaled_student_interval`) or ``papers`` (`normal_interval`).

    Returns:
        Mean, standard deviation (n − 1), standard error and 95 % interval.

    Raises:
        ValueError: No value, or a value that is not finite or, for ``student``, outside the bounds.

    Example:
        >>> values, bounds = [0.25, 0.62, 0.98, 0.40, 0.95], (0.0, 1.0)
        >>> for kind in ("student", "papers"):
        ...     interval = seed_interval(values, variation="split", bounds=bounds, kind=kind)
        ...     print(f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
        0.64 [0.24, 0.91]
        0.64 [0.36, 0.92]
    """
    if kind == "papers":
        return normal_interval(values, variation=variation)
    return scaled_student_interval(values, variation=variation, bounds=bounds)


def scaled_student_interval(
    values: ArrayLike, *, variation: VariationLike, bounds: Bounds, confidence: float = 0.95
) -> Estimate:
    """Student's interval of a mean that stays within the range of the metric.

    The interval is symmetric on the logit scale of the range, or on the log scale of the distance from a single bound:
    g(mean) ± t·SE·g'(mean) (delta method), transformed back. Without bounds it is `student_interval`. Values at a
    bound are allowed.

    Args:
        values: (n,) values, one for each seed.
        variation: What differs between the values.
        bounds: Smallest and largest possible value.
        confidence: Confidence level.

    Returns:
        Mean, standard deviation (n − 1), standard error and interval.

    Raises:
        ValueError: No value, or a value that is not finite or outside the bounds; a confidence outside (0, 1).

    Example:
        >>> aurocs = [0.98, 0.99, 1.0, 0.95, 1.0]
        >>> interval = scaled_student_interval(aurocs, variation="split", bounds=(0.0, 1.0))
        >>> round(interval.value, 4), round(interval.low, 4), round(interval.high, 4)
        (0.984, 0.923, 0.9968)
        >>> student_interval(aurocs, variation="split").high > 1
        True
    """
    plain = student_interval(values, variation=variation, confidence=confidence)
    low, high = bounds
    sample = as_finite_vector(values)
    if (low is not None and sample.min() < low) or (high is not None and sample.max() > high):
        raise ValueError(f"values must be between {low} and {high}, not {sample.min()} to {sample.max()}")
    if bounds == (None, None) or plain.value is None or plain.low is None or plain.se is None:
        return plain
    ends = scaled_ends(plain.value, plain.value - plain.low, bounds)
    return replace(plain, method=SCALED_STUDENT_INTERVAL, low=ends[0], high=ends[1])


def scaled_ends(value: float, margin: float, bounds: Bounds) -> tuple[float, float]:
    """Ends of an interval that stays within the range of a metric.

    The interval is symmetric on the logit scale of the range, or on the log scale of the distance from a single bound:
    g(value) ± margin·g'(value) (delta method), transformed back.

    Args:
        value: The estimate, strictly within the bounds.
        margin: Half of the width of the symmetric interval.
        bounds: Smallest and largest possible value.

    Returns:
        Lower and upper end; value ± margin without bounds.

    Example:
        >>> low, high = scaled_ends(0.9, 0.1, (0.0, 1.0))
        >>> round(low, 3), round(high, 3)
        (0.748, 0.965)
    """
    low, high = bounds
    if low is not None and high is not None:
        position, width = (value - low) / (high - low), high - low
        half = margin / width / (position * (1 - position))
        first, second = (low + width * float(expit(logit(position) + sign * half)) for sign in (-1, 1))
        return first, second
    if low is None and high is None:
        return value - margin, value + margin
    origin, sign = (low, 1) if low is not None else (float(high or 0), -1)
    distance = sign * (value - origin)
    first, second = sorted(origin + sign * distance * math.exp(step * margin / distance) for step in (-1, 1))
    return first, second


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

    Near an end of the range of a metric it may leave the range: see `scaled_student_interval`.

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
