"""t-tests of the difference between two models over seeds."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

from numpy.typing import ArrayLike
from scipy import stats

from f2vbench.stats.citations import CORRECTED_T, PAIRED_T, WELCH_T
from f2vbench.stats.power import required_pairs, required_per_group, required_splits
from f2vbench.stats.result_classes import Comparison, VariationLike, as_variation, sampling_unit
from f2vbench.stats.validation import as_finite_vector, as_paired_vectors, is_constant, max_abs, significance_level


def paired_t_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    variation: VariationLike,
    confidence: float = 0.95,
) -> Comparison:
    """Student's paired t-test over seeds that both models share.

    The test assumes independent seeds. Seeds that share images are not: see `corrected_resampled_t_test`.

    Args:
        first: (n,) values of the first model.
        second: (n,) values of the second model at the same seeds.
        variation: What differs between seeds.
        confidence: Confidence level of the interval.

    Returns:
        Mean difference, t, p and Student's interval.

    Raises:
        ValueError: The lengths differ, there is no value, or a value is not finite.

    Example:
        >>> test = paired_t_test([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], variation="split")
        >>> round(test.difference, 4), round(test.statistic, 2), round(test.p, 4)
        (0.0117, 7.0, 0.0198)
    """
    a, b = as_paired_vectors(first, second)
    significance_level(confidence)
    sources = as_variation(variation)
    n, unit = a.size, sampling_unit(sources)
    result = Comparison(
        method=PAIRED_T, variation=sources, n=n, unit=unit, difference=float((a - b).mean()), confidence=confidence
    )
    if n < 2:
        return replace(result, reason="a test needs at least two shared seeds")
    if is_constant(a - b, max_abs(a, b)):
        return replace(result, reason="the difference is the same at every seed, so its variance is zero")
    test = stats.ttest_rel(a, b)
    interval = test.confidence_interval(confidence)
    return replace(
        result,
        statistic=float(test.statistic),
        p=float(test.pvalue),
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
    """Welch's t-test over seeds that the models do not share.

    Args:
        first: (n,) values of the first model.
        second: (m,) values of the second model.
        variation: What differs between seeds.
        confidence: Confidence level of the interval.

    Returns:
        Difference of means, t, p and interval; ``n`` is the smaller sample size.

    Raises:
        ValueError: A model has no value, or a value is not finite.

    Example:
        >>> test = welch_t_test([0.91, 0.93, 0.95], [0.88, 0.90, 0.89, 0.91], variation="split")
        >>> round(test.difference, 4), round(test.statistic, 2), round(test.p, 4)
        (0.035, 2.65, 0.0714)
    """
    a, b = as_finite_vector(first, "first"), as_finite_vector(second, "second")
    significance_level(confidence)
    sources = as_variation(variation)
    n = min(a.size, b.size)
    result = Comparison(
        method=WELCH_T,
        variation=sources,
        n=n,
        unit=sampling_unit(sources),
        difference=float(a.mean() - b.mean()),
        confidence=confidence,
        note=f"{a.size} and {b.size} values, unpaired",
    )
    if n < 2:
        return replace(result, reason="a test needs at least two seeds of each model")
    scale = max_abs(a, b)
    if is_constant(a, scale) and is_constant(b, scale):
        return replace(result, reason="the variance over seeds is zero for both models")
    with warnings.catch_warnings():
        # SciPy warns of a sample without variance; the test is valid if the other sample has some.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        test = stats.ttest_ind(a, b, equal_var=False)
    interval = test.confidence_interval(confidence)
    pooled_sd = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    return replace(
        result,
        statistic=float(test.statistic),
        p=float(test.pvalue),
        low=float(interval.low),
        high=float(interval.high),
        required=required_per_group(float(a.mean() - b.mean()) / pooled_sd),
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
    """Nadeau and Bengio's corrected resampled t-test over random splits of one data set.

    The splits overlap, so their values are correlated, and the plain t-test is anti-conservative. The variance of the
    mean, s²/n, is replaced by s²·(1/n + test/train), with n − 1 degrees of freedom (Nadeau & Bengio 2003, eq. 15).

    Args:
        first: (n,) values of the first model, one for each split.
        second: (n,) values of the second model at the same splits.
        train: Number of training patients (or images, where each patient has one) of a split.
        test: Number of test patients of a split.
        variation: What differs between seeds.
        confidence: Confidence level of the interval.

    Returns:
        Mean difference, corrected t, p and interval.

    Raises:
        ValueError: The lengths differ, there is no value, a value is not finite, or a size is below 1.

    Example:
        >>> test = corrected_resampled_t_test([0.91, 0.93, 0.95], [0.90, 0.915, 0.94], train=80, test=20)
        >>> round(test.difference, 4), round(test.statistic, 2), round(test.p, 4)
        (0.0117, 5.29, 0.0339)
    """
    a, b = as_paired_vectors(first, second)
    if min(train, test) < 1:
        raise ValueError(f"a split needs at least one training and one test patient, not {train} and {test}")
    sources = as_variation(variation)
    n, mean, differences = a.size, float((a - b).mean()), a - b
    result = Comparison(
        method=CORRECTED_T,
        variation=sources,
        n=n,
        unit="splits",
        difference=mean,
        confidence=confidence,
        note=f"splits of {train:,} for training and {test:,} for testing",
    )
    half = significance_level(confidence) / 2
    if n < 2:
        return replace(result, reason="a test needs at least two shared splits")
    if is_constant(differences, max_abs(a, b)):
        return replace(result, reason="the difference is the same at every split, so its variance is zero")
    sd = float(differences.std(ddof=1))
    se = sd * math.sqrt(1 / n + test / train)
    margin = float(stats.t.ppf(1 - half, n - 1)) * se
    return replace(
        result,
        statistic=mean / se,
        p=float(2 * stats.t.sf(abs(mean) / se, n - 1)),
        low=mean - margin,
        high=mean + margin,
        required=required_splits(mean / sd, test / train),
    )
