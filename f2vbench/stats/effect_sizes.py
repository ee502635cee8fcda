"""Effect sizes with confidence intervals.

The difference of two AUROCs with its interval is `f2vbench.stats.delong.delong_test`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import gammaln

from f2vbench.stats.citations import CLIFF_DELTA, COHEN_D_Z, HEDGES_G, HEDGES_G_Z
from f2vbench.stats.delong import delong_interval
from f2vbench.stats.noncentral_t import noncentral_t_cdf
from f2vbench.stats.result_classes import Estimate, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import as_finite_vector, as_paired_vectors, is_constant, max_abs, significance_level


def cohens_d_z(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Cohen's d_z of paired values: mean difference ÷ standard deviation of the differences.

    Args:
        first: (n,) values of the first model.
        second: (n,) values of the second model at the same seeds.
        variation: What differs between seeds.
        confidence: Confidence level of the interval, which follows from the noncentral t distribution.

    Returns:
        d_z and its interval.

    Raises:
        ValueError: The lengths differ, there is no value, or a value is not finite.

    Example:
        >>> effect = cohens_d_z([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split")
        >>> round(effect.value, 2), round(effect.low, 2), round(effect.high, 2)
        (4.04, 0.38, 7.9)
    """
    a, b = as_paired_vectors(first, second)
    alpha, sources = significance_level(confidence), as_variation(variation)
    n = a.size
    result = Estimate(
        method=COHEN_D_Z, variation=sources, n=n, unit=sampling_unit(sources), value=None, confidence=confidence
    )
    if n < 2:
        return replace(result, reason="a standard deviation needs at least two pairs")
    if is_constant(a - b, max_abs(a, b)):
        return replace(result, reason="all differences are equal, so their standard deviation is zero")
    value = float((a - b).mean() / (a - b).std(ddof=1))
    low, high = _noncentral_t_interval(value, math.sqrt(n), n - 1, alpha)
    return replace(result, value=value, low=low, high=high)


def hedges_g_z(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Hedges' g_z of paired values: bias-corrected Cohen's d_z, which is a quarter too large at n = 5.

    Args:
        first: (n,) values of the first model.
        second: (n,) values of the second model at the same seeds.
        variation: What differs between seeds.
        confidence: Confidence level of the interval.

    Returns:
        g_z and its interval; no value for fewer than three pairs.

    Raises:
        ValueError: The lengths differ, there is no value, or a value is not finite.

    Example:
        >>> effect = hedges_g_z([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split")
        >>> round(effect.value, 2), round(effect.low, 2), round(effect.high, 2)
        (2.28, 0.21, 4.46)
    """
    result = replace(cohens_d_z(first, second, variation=variation, confidence=confidence), method=HEDGES_G_Z)
    if result.value is None or result.low is None or result.high is None or result.n < 3:
        reason = result.reason or "two pairs leave no degree of freedom for the bias correction"
        return replace(result, value=None, low=None, high=None, reason=reason)
    correction = _bias_correction(result.n - 1)
    return replace(result, value=result.value * correction, low=result.low * correction, high=result.high * correction)


def hedges_g(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Hedges' g of unpaired values: difference of means ÷ pooled standard deviation, bias-corrected.

    Args:
        first: (n,) values of the first model.
        second: (m,) values of the second model.
        variation: What differs between seeds.
        confidence: Confidence level of the interval, which follows from the noncentral t distribution.

    Returns:
        g and its interval; ``n`` is the smaller sample size.

    Raises:
        ValueError: A model has no value, or a value is not finite.

    Example:
        >>> effect = hedges_g([0.91, 0.93, 0.95], [0.88, 0.90, 0.89, 0.91], variation="split")
        >>> round(effect.value, 2), round(effect.low, 2), round(effect.high, 2)
        (1.82, 0.11, 3.45)
    """
    a, b = as_finite_vector(first, "first"), as_finite_vector(second, "second")
    alpha, sources = significance_level(confidence), as_variation(variation)
    df = a.size + b.size - 2
    result = Estimate(
        method=HEDGES_G,
        variation=sources,
        n=min(a.size, b.size),
        unit=sampling_unit(sources),
        value=None,
        confidence=confidence,
        note=f"{a.size} and {b.size} values, unpaired",
    )
    if min(a.size, b.size) < 2:
        return replace(result, reason="a standard deviation needs at least two values of each model")
    scale = max_abs(a, b)
    if is_constant(a, scale) and is_constant(b, scale):
        return replace(result, reason="the standard deviation is zero for both models")
    pooled_sd = math.sqrt(((a.size - 1) * a.var(ddof=1) + (b.size - 1) * b.var(ddof=1)) / df)
    d = float(a.mean() - b.mean()) / pooled_sd
    correction = _bias_correction(df)
    low, high = _noncentral_t_interval(d, math.sqrt(a.size * b.size / (a.size + b.size)), df, alpha)
    return replace(result, value=d * correction, low=low * correction, high=high * correction)


def cliffs_delta(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Cliff's delta of unpaired values: P(first > second) − P(first < second).

    It equals 2·AUROC − 1 with the first values as positives; the interval is DeLong's on the logit scale.

    Args:
        first: (n,) values of the first model.
        second: (m,) values of the second model.
        variation: What differs between seeds.
        confidence: Confidence level of the interval.

    Returns:
        Delta in [−1, 1] and its interval; ``n`` is the smaller sample size.

    Raises:
        ValueError: A model has no value, or a value is not finite.

    Example:
        >>> effect = cliffs_delta([3, 5, 6, 7], [1, 2, 4, 6], variation="head seed")
        >>> round(effect.value, 4), round(effect.low, 2), round(effect.high, 2)
        (0.5625, -0.39, 0.93)
    """
    a, b = as_finite_vector(first, "first"), as_finite_vector(second, "second")
    sources = as_variation(variation)
    labels = np.r_[np.ones(a.size, dtype=bool), np.zeros(b.size, dtype=bool)]
    auroc = delong_interval(np.r_[a, b], labels, confidence=confidence)
    assert auroc.value is not None
    result = Estimate(
        method=CLIFF_DELTA,
        variation=sources,
        n=min(a.size, b.size),
        unit=sampling_unit(sources),
        value=2 * auroc.value - 1,
        confidence=confidence,
        note=f"{a.size} and {b.size} values, unpaired",
    )
    if auroc.low is None or auroc.high is None or auroc.se is None:
        few = min(a.size, b.size) < 2
        reason = "a model has one value" if few else "the values of the two models do not overlap, or are all equal"
        return replace(result, reason=f"{reason}: no interval")
    return replace(result, se=2 * auroc.se, low=2 * auroc.low - 1, high=2 * auroc.high - 1)


def _bias_correction(df: int) -> float:
    """Hedges' exact correction factor of a standardized difference with at least two degrees of freedom."""
    return math.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / math.sqrt(df / 2)


def _noncentral_t_interval(effect: float, factor: float, df: int, alpha: float) -> tuple[float, float]:
    """Interval of an effect size by inversion of the noncentral t distribution with noncentrality effect · factor."""
    t = effect * factor
    search_range = 8 + 4 * abs(t)

    def limit(probability: float) -> float:
        nc = brentq(
            lambda nc: noncentral_t_cdf(t, df, nc) - probability, t - search_range, t + search_range, xtol=1e-10
        )
        return float(nc) / factor

    return limit(1 - alpha / 2), limit(alpha / 2)
