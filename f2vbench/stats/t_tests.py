"""t-tests of differences between two models over seeds."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

from numpy.typing import ArrayLike
from scipy import stats

from f2vbench.stats.citations import CORRECTED_T, PAIRED_T, WELCH_T
from f2vbench.stats.power import required_pairs, required_per_group, required_splits
from f2vbench.stats.result_classes import Comparison, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import finite, is_constant, level, magnitude, pairs

SAME_EVERYWHERE = "the difference is the same at every seed: no test possible"


def paired_t_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Comparison:
    """Student's paired t-test on (n,) values of the same seeds, with Student's interval of the mean difference.

    It takes the seeds as independent. Seeds that share images are not: see `corrected_resampled_t_test`.

    Raises:
        ValueError: the two differ in length, are empty, or hold a number that is not finite.
    """
    a, b = pairs(first, second)
    level(confidence)
    names = as_variation(variation)
    n, unit = a.size, sampling_unit(names)
    result = Comparison(
        method=PAIRED_T, variation=names, n=n, unit=unit, difference=float((a - b).mean()), confidence=confidence
    )
    if n < 2:
        return replace(result, reason="one shared seed: no test possible")
    if is_constant(a - b, magnitude(a, b)):
        return replace(result, reason=SAME_EVERYWHERE)
    found = stats.ttest_rel(a, b)
    interval = found.confidence_interval(confidence)
    return replace(
        result,
        statistic=float(found.statistic),
        p=float(found.pvalue),
        low=float(interval.low),
        high=float(interval.high),
        required=required_pairs(float((a - b).mean() / (a - b).std(ddof=1))),
    )


def welch_t_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Comparison:
    """Welch's t-test on (n,) and (m,) values of seeds that are not shared. ``n`` of the result is the smaller side.

    Raises:
        ValueError: one is empty, or holds a number that is not finite.
    """
    a, b = finite(first, "first"), finite(second, "second")
    level(confidence)
    names = as_variation(variation)
    n = min(a.size, b.size)
    result = Comparison(
        method=WELCH_T,
        variation=names,
        n=n,
        unit=sampling_unit(names),
        difference=float(a.mean() - b.mean()),
        confidence=confidence,
        note=f"{a.size} and {b.size} of them, not paired",
    )
    if n < 2:
        return replace(result, reason="one seed on a side: no test possible")
    scale = magnitude(a, b)
    if is_constant(a, scale) and is_constant(b, scale):
        return replace(result, reason="neither side varies from seed to seed: no test possible")
    with warnings.catch_warnings():
        # SciPy warns of a side without spread; the other side has some, and the test needs no more.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        found = stats.ttest_ind(a, b, equal_var=False)
    interval = found.confidence_interval(confidence)
    common = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    return replace(
        result,
        statistic=float(found.statistic),
        p=float(found.pvalue),
        low=float(interval.low),
        high=float(interval.high),
        required=required_per_group(float(a.mean() - b.mean()) / common),
    )


def corrected_resampled_t_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    train: int,
    test: int,
    variation: VariationLike = "split",
    confidence: float = 0.95,
) -> Comparison:
    """Nadeau and Bengio's t-test for (n,) values of n random splits of the *same* images.

    The splits overlap, so their values are correlated, and the plain t-test finds differences where there are none.
    Here the variance of the mean, s²/n, becomes s²·(1/n + test/train): t = mean ÷ √of it, n − 1 degrees of freedom
    (equation 15 of the paper).

    Args:
        train, test: images (better: patients) in the training and in the test part of a split.

    Raises:
        ValueError: the two differ in length, are empty, or not finite; a size below 1.
    """
    a, b = pairs(first, second)
    if min(train, test) < 1:
        raise ValueError(f"a split has at least one training and one test image, not {train} and {test}")
    names = as_variation(variation)
    n, mean, spread = a.size, float((a - b).mean()), a - b
    result = Comparison(
        method=CORRECTED_T,
        variation=names,
        n=n,
        unit="splits",
        difference=mean,
        confidence=confidence,
        note=f"splits of {train:,} to train and {test:,} to test",
    )
    half = level(confidence) / 2
    if n < 2:
        return replace(result, reason="one shared split: no test possible")
    if is_constant(spread, magnitude(a, b)):
        return replace(result, reason="the difference is the same at every split: no test possible")
    sd = float(spread.std(ddof=1))
    se = sd * math.sqrt(1 / n + test / train)
    reach = float(stats.t.ppf(1 - half, n - 1)) * se
    return replace(
        result,
        statistic=mean / se,
        p=float(2 * stats.t.sf(abs(mean) / se, n - 1)),
        low=mean - reach,
        high=mean + reach,
        required=required_splits(mean / sd, test / train),
    )
