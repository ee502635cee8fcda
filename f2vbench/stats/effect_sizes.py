"""Effect sizes with intervals. (The difference of two AUROCs with its interval is `delong.delong_test`.)"""

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
from f2vbench.stats.validation import finite, is_constant, level, magnitude, pairs


def cohens_d_z(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Cohen's d_z of (n,) pairs: mean difference ÷ standard deviation of the differences; what power depends on.

    Raises:
        ValueError: the two differ in length, are empty, or hold a number that is not finite.
    """
    a, b = pairs(first, second)
    alpha, names = level(confidence), as_variation(variation)
    n = a.size
    result = Estimate(
        method=COHEN_D_Z, variation=names, n=n, unit=sampling_unit(names), value=None, confidence=confidence
    )
    if n < 2:
        return replace(result, reason="one pair has no spread")
    if is_constant(a - b, magnitude(a, b)):
        return replace(result, reason="the difference is the same everywhere: it has no spread to be measured by")
    value = float((a - b).mean() / (a - b).std(ddof=1))
    low, high = _by_noncentral_t(value, math.sqrt(n), n - 1, alpha)
    return replace(result, value=value, low=low, high=high)


def hedges_g_z(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Hedges' g_z of (n,) pairs: `cohens_d_z` freed of its bias, which at n = 5 makes it a quarter too large.

    Raises:
        ValueError: as `cohens_d_z`.
    """
    found = replace(cohens_d_z(first, second, variation=variation, confidence=confidence), method=HEDGES_G_Z)
    if found.value is None or found.low is None or found.high is None or found.n < 3:
        reason = found.reason or "two pairs leave no degree of freedom to remove the bias with"
        return replace(found, value=None, low=None, high=None, reason=reason)
    unbiased = _unbiased(found.n - 1)
    return replace(found, value=found.value * unbiased, low=found.low * unbiased, high=found.high * unbiased)


def hedges_g(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Hedges' g of (n,) and (m,) unpaired values: difference of means ÷ pooled standard deviation, freed of its bias.

    Raises:
        ValueError: one is empty, or holds a number that is not finite.
    """
    a, b = finite(first, "first"), finite(second, "second")
    alpha, names = level(confidence), as_variation(variation)
    freedom = a.size + b.size - 2
    result = Estimate(
        method=HEDGES_G,
        variation=names,
        n=min(a.size, b.size),
        unit=sampling_unit(names),
        value=None,
        confidence=confidence,
        note=f"{a.size} and {b.size} of them, not paired",
    )
    if min(a.size, b.size) < 2:
        return replace(result, reason="one value on a side has no spread")
    scale = magnitude(a, b)
    if is_constant(a, scale) and is_constant(b, scale):
        return replace(result, reason="neither side varies: there is no spread to measure the difference by")
    pooled = math.sqrt(((a.size - 1) * a.var(ddof=1) + (b.size - 1) * b.var(ddof=1)) / freedom)
    d = float(a.mean() - b.mean()) / pooled
    unbiased = _unbiased(freedom)
    low, high = _by_noncentral_t(d, math.sqrt(a.size * b.size / (a.size + b.size)), freedom, alpha)
    return replace(result, value=d * unbiased, low=low * unbiased, high=high * unbiased)


def cliffs_delta(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Estimate:
    """Cliff's delta of (n,) and (m,) unpaired values: P(first > second) − P(first < second), in [−1, 1].

    It is 2·AUROC − 1 with the first as positives, and so is its interval (DeLong's, on the logit).

    Raises:
        ValueError: one is empty, or holds a number that is not finite.
    """
    a, b = finite(first, "first"), finite(second, "second")
    names = as_variation(variation)
    labels = np.r_[np.ones(a.size, dtype=bool), np.zeros(b.size, dtype=bool)]
    area = delong_interval(np.r_[a, b], labels, confidence=confidence)
    assert area.value is not None
    result = Estimate(
        method=CLIFF_DELTA,
        variation=names,
        n=min(a.size, b.size),
        unit=sampling_unit(names),
        value=2 * area.value - 1,
        confidence=confidence,
        note=f"{a.size} and {b.size} of them, not paired",
    )
    if area.low is None or area.high is None or area.se is None:
        why = "one value on a side has no spread" if min(a.size, b.size) < 2 else "the sides do not overlap, or all tie"
        return replace(result, reason=f"{why}: no interval")
    return replace(result, se=2 * area.se, low=2 * area.low - 1, high=2 * area.high - 1)


def _unbiased(freedom: int) -> float:
    """Hedges' correction of a standardized difference with so many degrees of freedom, two at least."""
    return math.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)


def _by_noncentral_t(effect: float, factor: float, freedom: int, alpha: float) -> tuple[float, float]:
    """Effects at whose noncentral t distribution (noncentrality effect · factor) the one seen is an end of 1 − α."""
    t = effect * factor
    reach = 8 + 4 * abs(t)

    def end(share: float) -> float:
        found = brentq(lambda shift: noncentral_t_cdf(t, freedom, shift) - share, t - reach, t + reach, xtol=1e-10)
        return float(found) / factor

    return end(1 - alpha / 2), end(alpha / 2)
