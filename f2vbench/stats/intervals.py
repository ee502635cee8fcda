"""Means and their intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from numpy.typing import ArrayLike
from scipy.special import stdtrit

from f2vbench.stats.citations import NORMAL_INTERVAL, STUDENT_INTERVAL, Method
from f2vbench.stats.result_classes import Estimate, Variation, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import finite, is_constant, level, magnitude


def normal_interval(values: ArrayLike, *, variation: VariationLike) -> Estimate:
    """The papers' interval over (n,) values: mean ± 1.96 standard errors.

    With five seeds it is narrower than Student's (2.78 standard errors) and covers 88 %, not 95 %; and seeds that share
    images are not independent: it describes these runs, and promises less than 95 % of new ones.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    return _interval(values, NORMAL_INTERVAL, as_variation(variation), 0.95, lambda freedom: 1.96)


def student_interval(values: ArrayLike, *, variation: VariationLike, confidence: float = 0.95) -> Estimate:
    """Student's interval of the mean of (n,) independent, roughly normal values: it covers what it says at any n.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    half = level(confidence) / 2
    return _interval(
        values, STUDENT_INTERVAL, as_variation(variation), confidence, lambda freedom: float(stdtrit(freedom, 1 - half))
    )


def _interval(
    values: ArrayLike,
    method: Method,
    variation: Variation,
    confidence: float,
    factor: Callable[[int], float],
) -> Estimate:
    """Mean ± factor(degrees of freedom) standard errors."""
    held = finite(values)
    n, mean = held.size, float(held.mean())
    unit = sampling_unit(variation)
    found = Estimate(method=method, variation=variation, n=n, unit=unit, value=mean, confidence=confidence)
    if n < 2:
        return replace(found, reason=f"one of {unit} only, so there is no spread")
    if is_constant(held, magnitude(held)):
        return replace(found, sd=0.0, reason="all values are the same: there is no spread to make an interval of")
    sd = float(held.std(ddof=1))
    se = sd / math.sqrt(n)
    reach = factor(n - 1) * se
    return replace(found, sd=sd, se=se, low=mean - reach, high=mean + reach)
