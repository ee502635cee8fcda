"""t-tests of the difference between two models over seeds, and the papers' t-test on predictions."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

from numpy.typing import ArrayLike
from scipy import stats

from f2vbench.stats.citations import CORRECTED_T, PAIRED_T, PREDICTIONS_T, WELCH_T
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
        se=float((a - b).std(ddof=1)) / math.sqrt(n),
        df=float(n - 1),
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
        se=math.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size),
        df=float(test.df),
    )


def prediction_t_test(first: ArrayLike, second: ArrayLike, *, paired: bool = True) -> Comparison:
    """Student's t-test of the predictions of two models for the same images, as for Figure 4 of the paper.

    It asks whether the models predict the same probability on average. It is no test of AUROC or of another metric: two
    models that rank all images alike differ "significantly" if one is more confident, and models of different quality
    need not differ. Images of one patient count as independent. Use `f2vbench.stats.crossed.crossed_test` for the
    question which model is better.

    Args:
        first: (n,) predictions of the first model, one for each image.
        second: (n,) predictions of the second model for the same images.
        paired: Whether to test the differences by image (`scipy.stats.ttest_rel`), or the two samples as independent
            ones of equal variance (`scipy.stats.ttest_ind`). The paper does not say which.

    Returns:
        Mean difference of the predictions, t, p and interval; ``n`` is the number of images.

    Raises:
        ValueError: The lengths differ, there is no value, or a value is not finite.

    Example:
        >>> test = prediction_t_test([0.9, 0.8, 0.3, 0.2], [0.8, 0.6, 0.2, 0.1])
        >>> round(test.difference, 4), round(test.statistic, 2), round(test.p, 4)
        (0.125, 5.0, 0.0154)
        >>> round(prediction_t_test([0.9, 0.8, 0.3, 0.2], [0.8, 0.6, 0.2, 0.1], paired=False).p, 4)
        0.6227
    """
    a, b = as_paired_vectors(first, second)
    result = Comparison(
        method=PREDICTIONS_T,
        variation=("test patients",),
        n=a.size,
        unit="images",
        difference=float((a - b).mean()),
        note="tests mean predictions, not the metric, with images as if independent",
    )
    if a.size < 2:
        return replace(result, reason="a test needs at least two images")
    scale = max_abs(a, b)
    if is_constant(a - b, scale) if paired else is_constant(a, scale) and is_constant(b, scale):
        what = "difference of the predictions" if paired else "prediction of each model"
        return replace(result, reason=f"the {what} is the same for every image, so its variance is zero")
    test = stats.ttest_rel(a, b) if paired else stats.ttest_ind(a, b)
    interval = test.confidence_interval(result.confidence)
    return replace(
        result,
        statistic=float(test.statistic),
        p=float(test.pvalue),
        low=float(interval.low),
        high=float(interval.high),
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
