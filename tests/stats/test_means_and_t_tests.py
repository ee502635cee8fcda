"""Intervals of means, t-tests, effects and needed numbers against SciPy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.power import TTestIndPower, TTestPower

from f2vbench.stats.effect_sizes import cliffs_delta, cohens_d_z, hedges_g, hedges_g_z
from f2vbench.stats.intervals import normal_interval, student_interval
from f2vbench.stats.noncentral_t import noncentral_t_cdf
from f2vbench.stats.power import at_least, required_cases, required_pairs, required_per_group, required_splits
from f2vbench.stats.t_tests import corrected_resampled_t_test, paired_t_test, welch_t_test

VALUES = np.array([0.91, 0.93, 0.95, 0.90, 0.92])


def test_interval_is_the_mean_and_1_96_standard_errors():
    found = normal_interval(VALUES, variation=("episode", "head seed"))
    assert found.value == pytest.approx(VALUES.mean())
    assert found.sd == pytest.approx(np.std(VALUES, ddof=1))
    assert found.se == pytest.approx(stats.sem(VALUES))
    assert found.high - found.value == pytest.approx(1.96 * stats.sem(VALUES))
    assert found.value - found.low == pytest.approx(1.96 * stats.sem(VALUES))
    assert "episode and head seed vary" in found.sentence("AUROC")


def test_students_interval_equals_scipy():
    found = student_interval(VALUES, variation="split", confidence=0.9)
    expected = stats.t.interval(0.9, 4, VALUES.mean(), stats.sem(VALUES))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-12)


def test_what_has_no_spread_has_no_interval_and_none_is_an_error():
    one = normal_interval([0.5], variation="split")
    assert (one.value, one.sd, one.low) == (0.5, None, None)
    assert "no spread" in one.reason
    same = normal_interval([0.1 + 0.2, 0.3, 0.3], variation="split")
    assert (same.sd, same.low, same.high) == (0.0, None, None)
    assert "all values are the same" in same.reason
    assert "without an interval" in same.sentence()
    with pytest.raises(ValueError, match="at least one"):
        normal_interval([], variation="split")
    with pytest.raises(ValueError, match=r"1 of 2 are not \(at 1\)"):
        normal_interval([0.5, np.nan], variation="split")
    with pytest.raises(ValueError, match="say what varies"):
        normal_interval([0.5, 0.6], variation="weather")
    with pytest.raises(ValueError, match="confidence"):
        student_interval([0.5, 0.6], variation="split", confidence=95)


@pytest.mark.parametrize("size", [2, 5, 40])
def test_paired_and_welch_equal_scipy(size):
    draw = np.random.default_rng(size)
    first, second = draw.normal(size=size), draw.normal(0.3, 2, size=size + 1)
    for found, expected in (
        (paired_t_test(first, second[:-1], variation="split"), stats.ttest_rel(first, second[:-1])),
        (welch_t_test(first, second, variation="split"), stats.ttest_ind(first, second, equal_var=False)),
    ):
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
        assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-10)
    assert found.difference == pytest.approx(first.mean() - second.mean())


def test_corrected_t_is_the_plain_one_with_a_larger_variance():
    first, second = VALUES, np.array([0.90, 0.91, 0.95, 0.88, 0.87])
    plain = paired_t_test(first, second, variation="split")
    corrected = corrected_resampled_t_test(first, second, train=80, test=20)
    shrink = np.sqrt((1 / 5) / (1 / 5 + 20 / 80))
    assert corrected.statistic == pytest.approx(plain.statistic * shrink, rel=1e-12)
    assert corrected.p == pytest.approx(2 * stats.t.sf(plain.statistic * shrink, 4), rel=1e-12)
    assert (corrected.high - corrected.low) * shrink == pytest.approx(plain.high - plain.low, rel=1e-12)
    assert (corrected.low > 0) == (corrected.p < 0.05)
    assert corrected.unit == "splits"
    with pytest.raises(ValueError, match="at least one training"):
        corrected_resampled_t_test(first, second, train=0, test=20)


def test_welch_with_a_side_without_spread_is_told_without_a_warning(recwarn):
    found = welch_t_test([0.5, 0.5, 0.5], [0.4, 0.6, 0.7], variation="split")
    t = (0.5 - 17 / 30) / np.sqrt(np.var([0.4, 0.6, 0.7], ddof=1) / 3)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 2), rel=1e-12)
    assert not recwarn.list


@pytest.mark.parametrize(
    "test",
    [
        lambda a, b: paired_t_test(a, b, variation="head seed"),
        lambda a, b: welch_t_test(a, b, variation="head seed"),
        lambda a, b: corrected_resampled_t_test(a, b, train=10, test=10),
        lambda a, b: cohens_d_z(a, b, variation="head seed"),
        lambda a, b: hedges_g(a, b, variation="head seed"),
        lambda a, b: hedges_g_z(a, b, variation="head seed"),
    ],
)
def test_where_nothing_varies_the_reason_is_said(test):
    for first, second in (([1.0], [2.0]), ([0.3, 0.3, 0.1 + 0.2], [0.1, 0.1, 0.1])):
        found = test(first, second)
        assert getattr(found, "p", None) is None
        assert found.low is None
        assert found.reason
    with pytest.raises(ValueError, match="finite"):
        test([1.0, np.inf], [2.0, 3.0])


def test_a_constant_difference_of_varying_values_is_no_test():
    same = paired_t_test([0.9, 0.8, 0.7], [0.8, 0.7, 0.6], variation="split")
    assert same.p is None
    assert "the same at every seed" in same.reason
    assert same.difference == pytest.approx(0.1)
    with pytest.raises(ValueError, match="as many"):
        paired_t_test([1.0, 2.0], [1.0], variation="split")


def test_hedges_g_equals_statsmodels():
    draw = np.random.default_rng(1)
    first, second = draw.normal(1, 1, 9), draw.normal(0, 2, 14)
    expected, _ = effectsize_smd(first.mean(), first.std(ddof=1), 9, second.mean(), second.std(ddof=1), 14)
    found = hedges_g(first, second, variation="head seed")
    # statsmodels has the usual approximation of the correction, 1 − 3/(4ν − 1).
    assert found.value == pytest.approx(expected, rel=2e-3)
    assert found.low < found.value < found.high


def test_hedges_g_z_is_cohens_d_z_without_its_bias():
    first, second = np.array([0.3, 0.5, 0.1, 0.4, 0.2]), np.zeros(5)
    found = hedges_g_z(first, second, variation="head seed")
    # d_z = 0.3 ÷ √0.025; with four degrees of freedom the correction is Γ(2) ÷ (√2·Γ(3/2)) = √(2/π).
    assert found.value == pytest.approx(0.3 / np.sqrt(0.025) * np.sqrt(2 / np.pi), rel=1e-12)
    wide = cohens_d_z(first, second, variation="head seed")
    assert (found.low, found.high) == pytest.approx((wide.low * np.sqrt(2 / np.pi), wide.high * np.sqrt(2 / np.pi)))
    assert "no degree of freedom" in hedges_g_z([0.1, 0.2], [0.0, 0.0], variation="split").reason


def test_interval_of_an_effect_holds_it_as_often_as_it_says():
    draw = np.random.default_rng(2)
    held = [
        (found := cohens_d_z(draw.normal(0.8, 1, 6), np.zeros(6), variation="split")).low < 0.8 < found.high
        for _ in range(400)
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_cliffs_delta_counts_pairs():
    draw = np.random.default_rng(3)
    first, second = draw.integers(0, 6, 11), draw.integers(1, 8, 17)
    won = sum(np.sign(int(a) - int(b)) for a in first for b in second)
    found = cliffs_delta(first, second, variation="head seed")
    assert found.value == pytest.approx(won / (11 * 17))
    assert -1 <= found.low < found.value < found.high <= 1
    apart = cliffs_delta([3.0, 4.0], [1.0, 2.0], variation="head seed")
    assert apart.value == 1
    assert "no interval" in apart.reason


@pytest.mark.parametrize("freedom", [1, 4, 30])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 2.5])
def test_noncentral_t_equals_scipy_where_scipy_has_it(freedom, shift):
    for t in (-3.0, 0.5, 6.0):
        assert noncentral_t_cdf(t, freedom, shift) == pytest.approx(stats.nct.cdf(t, freedom, shift), abs=1e-9)


@pytest.mark.parametrize(("t", "freedom", "shift"), [(12.7, 1, 14.0), (12.7, 1, 40.0), (2.8, 4, 12.9)])
def test_noncentral_t_where_scipy_gives_up(t, freedom, shift):
    def inner(s):
        return stats.norm.cdf(t * s - shift) * stats.chi.pdf(s * np.sqrt(freedom), freedom) * np.sqrt(freedom)

    turn = shift / t  # where the integrand's step is
    expected = sum(
        integrate.quad(inner, *ends, epsabs=1e-12)[0] for ends in ((0, turn), (turn, turn + 1), (turn + 1, 50))
    )
    assert noncentral_t_cdf(t, freedom, shift) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("effect", [0.05, 0.5, -1.3, 2.0])
def test_needed_is_the_first_number_with_the_power_of_statsmodels(effect):
    for needed, power in (
        (required_pairs(effect).n, TTestPower().power),
        (required_per_group(effect).n, TTestIndPower().power),
    ):
        assert power(abs(effect), needed, 0.05) >= 0.8 - 1e-4
        assert power(abs(effect), needed - 1, 0.05) < 0.8


def test_a_huge_effect_needs_the_fewest():
    assert required_pairs(60.0).n == 2
    assert required_per_group(60.0).n == 2


def test_more_splits_of_the_same_images_may_never_do():
    ratio = 1.0
    never = required_splits(0.5, ratio)
    assert never.n is None
    assert "more images" in never.sentence("splits")
    found = required_splits(4.0, ratio)

    def power(n):
        shift, freedom = 4.0 / np.sqrt(1 / n + ratio), n - 1
        bound = stats.t.ppf(0.975, freedom)
        return stats.nct.sf(bound, freedom, shift) + stats.nct.cdf(-bound, freedom, shift)

    assert power(found.n) >= 0.8 > power(found.n - 1)


def test_patients_needed_follow_the_square_root():
    # Twice the standard error is 2.8 differences at 4·n: half the error, so z = 2.8 there and power is 80 %.
    found = required_cases(100, 0.02, 0.02 * 2 / 2.8016)
    assert found.n == pytest.approx(400, abs=1)
    assert required_cases(100, 0.0, 0.1).n is None
    assert "zero" in required_cases(100, 0.0, 0.1).sentence("patients")
    assert at_least(required_pairs(9.0), 6).n == 6
