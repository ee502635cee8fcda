"""Sample sizes that a test needs to detect a difference.

The observed difference is taken as the true one. With few seeds it is uncertain itself, so the sample size is an order
of magnitude, not a plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from f2vbench.stats.degrees_of_freedom import crossed_degrees_of_freedom
from f2vbench.stats.noncentral_t import t_test_power
from f2vbench.stats.result_classes import RequiredSampleSize
from f2vbench.utils.text import plural

MIN_SIGNIFICANT_PAIRS = 6
"""Pairs that a sign or rank test needs: 2/2⁶ is its first p below 0.05."""

_NORMAL_ABOVE = 5_000  # degrees of freedom beyond which Student's t and the normal distribution give the same number
_LARGEST_SHIFT = 100.0  # standard errors; the power beyond is 1 at any degrees of freedom
_MANY_SEEDS = 100_000
_NO_DIFFERENCE = "the observed difference is zero, so no sample size would detect it"


def required_pairs(effect: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Number of pairs (seeds) for a paired t-test.

    Args:
        effect: Cohen's d_z: mean difference ÷ standard deviation of the differences.
        alpha: Significance level of the two-sided test.
        power: Probability of detecting the difference.

    Returns:
        Number of pairs, at least 2.

    Example:
        >>> required_pairs(0.5).n
        34
    """
    return _smallest_n(effect, lambda n: (n, n - 1), alpha, power)


def required_per_group(effect: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Number of values in each of two groups for an unpaired t-test.

    Args:
        effect: Cohen's d: difference of means ÷ pooled standard deviation.
        alpha: Significance level of the two-sided test.
        power: Probability of detecting the difference.

    Returns:
        Number of values in each group, at least 2.

    Example:
        >>> required_per_group(0.5).n
        64
    """
    return _smallest_n(effect, lambda n: (n / 2, 2 * n - 2), alpha, power)


def required_splits(effect: float, ratio: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Number of random splits for the corrected resampled t-test.

    The standard error never falls below √ratio standard deviations, so small differences cannot be detected by more
    splits, only by more patients.

    Args:
        effect: Mean difference over splits ÷ its standard deviation.
        ratio: Number of test patients ÷ number of training patients.
        alpha: Significance level of the two-sided test.
        power: Probability of detecting the difference.

    Returns:
        Number of splits, at least 2; None where no number suffices.

    Example:
        >>> required_splits(2.0, 0.25).n
        9
        >>> required_splits(0.5, 0.25).n is None
        True
    """
    largest_shift = abs(effect) / math.sqrt(ratio)
    if effect and largest_shift <= _normal_shift(alpha, power):
        reason = "no number of splits of these images would detect the observed difference; more images might"
        return RequiredSampleSize(None, power, alpha, reason)
    return _smallest_n(effect, lambda n: (1 / (1 / n + ratio), n - 1), alpha, power)


def required_cases(n: int, difference: float, se: float, alpha: float = 0.05, power: float = 0.8) -> RequiredSampleSize:
    """Number of patients (or images) for a test whose standard error decreases as 1/√n.

    Args:
        n: Number of patients of the present sample.
        difference: Observed difference.
        se: Standard error of the difference in the present sample.
        alpha: Significance level of the two-sided test.
        power: Probability of detecting the difference.

    Returns:
        Number of patients, at least 2.

    Example:
        >>> required_cases(100, difference=0.02, se=0.014).n
        385
    """
    if difference == 0:
        return RequiredSampleSize(None, power, alpha, _NO_DIFFERENCE)
    return RequiredSampleSize(max(2, math.ceil(n * (_normal_shift(alpha, power) * se / difference) ** 2)), power, alpha)


def required_patients_and_seeds(
    difference: float,
    *,
    patients: int,
    seeds: int,
    between_seeds: float,
    of_patients: float,
    within_seeds: float,
    split_ratio: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> RequiredSampleSize:
    """Number of patients for a test over patients and seeds (`crossed.crossed_test`), at the present number of seeds.

    Args:
        difference: Observed difference.
        patients: Present number of test patients.
        seeds: Present number of seeds.
        between_seeds: Variance over seeds.
        of_patients: Covariance of two seeds by their common test patients; inverse to the number of patients.
        within_seeds: Variance of the value of one seed by its test patients.
        split_ratio: Test ÷ training patients of random splits, else 0.
        alpha: Significance level of the two-sided test.
        power: Probability of detecting the difference.

    Returns:
        Number of patients. Where no number suffices, because the heads vary too much, the reason states the number of
        seeds that would suffice with the present patients, if any does.

    Example:
        >>> variances = {"between_seeds": 4e-4, "of_patients": 2e-4, "within_seeds": 3e-4}
        >>> required_patients_and_seeds(0.03, patients=60, seeds=5, **variances).n
        1734
        >>> required_patients_and_seeds(0.02, patients=60, seeds=5, **variances).reason
        'no number of patients would detect the observed difference with 5 seeds; more seeds and patients might'
    """
    if difference == 0:
        return RequiredSampleSize(None, power, alpha, _NO_DIFFERENCE)

    def suffices(patient_factor: float, seed_count: int) -> bool:
        se, df = scaled_crossed_error(
            patient_factor,
            seed_count,
            between_seeds=between_seeds,
            of_patients=of_patients,
            within_seeds=within_seeds,
            split_ratio=split_ratio,
            estimated_from=seeds,
        )
        if se == 0:
            return True
        shift = abs(difference) / se
        return shift >= _normal_shift(alpha, power) and (
            df > _NORMAL_ABOVE or t_test_power(min(shift, _LARGEST_SHIFT), df, alpha) >= power
        )

    if suffices(0.0, seeds):
        return RequiredSampleSize(first_true(lambda n: suffices(patients / n, seeds), 2), power, alpha)
    none = f"no number of patients would detect the observed difference with {plural(seeds, 'seed')}"
    if seeds < 2 or not suffices(1.0, _MANY_SEEDS):
        return RequiredSampleSize(None, power, alpha, f"{none}; more seeds and patients might")
    more = first_true(lambda n: suffices(1.0, n), seeds)
    return RequiredSampleSize(None, power, alpha, f"{none}; about {more:,} seeds would")


def scaled_crossed_error(
    patient_factor: float,
    seed_count: int,
    *,
    between_seeds: float,
    of_patients: float,
    within_seeds: float,
    split_ratio: float = 0.0,
    estimated_from: int,
) -> tuple[float, float]:
    """Standard error and degrees of freedom of `crossed.crossed_test` with other numbers of patients and seeds.

    Args:
        patient_factor: Present ÷ planned number of patients; 0 for infinitely many.
        seed_count: Planned number of seeds.
        between_seeds: Variance over seeds.
        of_patients: Covariance of two seeds by their common test patients; inverse to the number of patients.
        within_seeds: Variance of the value of one seed by its test patients.
        split_ratio: Test ÷ training patients of random splits, else 0.
        estimated_from: Number of seeds from which the variances were estimated.

    Returns:
        Standard error, and degrees of freedom (infinite where seeds do not vary).

    Example:
        >>> se, df = scaled_crossed_error(
        ...     0.5, 5, between_seeds=4e-4, of_patients=2e-4, within_seeds=3e-4, estimated_from=5
        ... )
        >>> round(se, 4), round(df, 1)
        (0.013, 10.1)
    """
    # The variance between seeds contains what each head owes to its own errors on the patients, which more average out.
    own_patients = min(between_seeds, max(0.0, within_seeds - of_patients)) if estimated_from > 1 else 0.0
    of_seeds = between_seeds - own_patients + own_patients * patient_factor
    of_seeds *= 1 / seed_count + split_ratio / 2
    variance = of_seeds + of_patients * patient_factor
    if variance == 0:
        return 0.0, math.inf
    return math.sqrt(variance), crossed_degrees_of_freedom(of_seeds, of_patients * patient_factor, seed_count)


def difference_power(difference: float, se: float, df: float = math.inf, alpha: float = 0.05) -> float:
    """Power of a two-sided test that compares a difference with its standard error.

    Args:
        difference: True difference.
        se: Standard error of the estimated difference.
        df: Degrees of freedom of Student's t; infinite for the normal distribution.
        alpha: Significance level.

    Returns:
        Probability of a significant result.

    Example:
        >>> round(difference_power(0.05, se=0.02), 4), round(difference_power(0.05, se=0.02, df=10), 4)
        (0.7054, 0.6165)
    """
    shift = min(abs(difference) / se, _LARGEST_SHIFT)
    if df > _NORMAL_ABOVE:
        critical = float(ndtri(1 - alpha / 2))
        return float(ndtr(shift - critical) + ndtr(-shift - critical))
    return t_test_power(shift, df, alpha)


def detectable_difference(se: float, df: float = math.inf, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true difference that a two-sided test detects with a given power.

    Args:
        se: Standard error of the estimated difference.
        df: Degrees of freedom of Student's t; infinite for the normal distribution.
        alpha: Significance level.
        power: Probability of a significant result.

    Returns:
        The difference, above 0.

    Example:
        >>> round(detectable_difference(0.02), 4), round(detectable_difference(0.02, df=10), 4)
        (0.056, 0.0622)
    """
    return float(brentq(lambda shift: difference_power(shift, 1.0, df, alpha) - power, 0.0, _LARGEST_SHIFT)) * se


def scale_sample_size(required: RequiredSampleSize, factor: float = 1.0, minimum: int = 2) -> RequiredSampleSize:
    """Convert a sample size of the t-test to that of a less efficient test.

    Args:
        required: Sample size of the t-test.
        factor: Relative number of values that the other test needs.
        minimum: Smallest sample size at which the other test can be significant.

    Returns:
        Sample size of the other test, at least ``minimum``.

    Example:
        >>> scale_sample_size(RequiredSampleSize(4), factor=1.5, minimum=7).n
        7
    """
    return required if required.n is None else replace(required, n=max(minimum, math.ceil(required.n * factor)))


def _normal_shift(alpha: float, power: float) -> float:
    """Difference ÷ standard error at which a normal test has the power."""
    return float(ndtri(1 - alpha / 2) + ndtri(power))


def _smallest_n(
    effect: float, design: Callable[[int], tuple[float, int]], alpha: float, power: float
) -> RequiredSampleSize:
    """Smallest n ≥ 2 with the power; ``design`` maps n to (effective n, degrees of freedom)."""
    if effect == 0:
        return RequiredSampleSize(None, power, alpha, _NO_DIFFERENCE)

    def normal_test_suffices(n: int) -> bool:
        return abs(effect) * math.sqrt(design(n)[0]) >= _normal_shift(alpha, power)

    def t_test_suffices(n: int) -> bool:
        effective_n, df = design(n)
        return t_test_power(abs(effect) * math.sqrt(effective_n), df, alpha) >= power

    n = first_true(normal_test_suffices, 2)
    return RequiredSampleSize(n if design(n)[1] > _NORMAL_ABOVE else first_true(t_test_suffices, n), power, alpha)


def first_true(condition: Callable[[int], bool], start: int) -> int:
    """Smallest n ≥ 2 that fulfils a condition which all larger n fulfil too; the search begins at ``start``.

    Example:
        >>> first_true(lambda n: n * n > 200, 2)
        15
    """
    step, low, high = 1, 1, start
    while not condition(high):
        low, high, step = high, high + step, 2 * step
    step = 1
    while high - low > 1:
        # Search downwards in growing steps until a number fails, then bisect.
        middle = max(low + 1, high - step) if low == 1 and step < (high - low) // 2 else (low + high) // 2
        low, high = (low, middle) if condition(middle) else (middle, high)
        step *= 2
    return high
