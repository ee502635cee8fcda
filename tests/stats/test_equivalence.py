"""Equivalence and non-inferiority against statsmodels, intervals, and calibration at the margin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from f2vbench.stats.crossed import crossed_test
from f2vbench.stats.equivalence import equivalence_test, equivalence_verdict
from f2vbench.stats.jackknife import SeedCases, jackknife_scores
from f2vbench.stats.result_classes import Comparison
from f2vbench.stats.t_tests import paired_t_test, welch_t_test


@pytest.mark.parametrize("margin", [0.005, 0.02, 0.1])
def test_two_one_sided_tests_equal_those_of_statsmodels(margin):
    draw = np.random.default_rng(1)
    first, second = draw.normal(0.9, 0.02, 12), draw.normal(0.895, 0.03, 12)
    paired = equivalence_test(paired_t_test(first, second, variation="split"), margin)
    expected, lower, upper = ttost_paired(first, second, -margin, margin)
    assert paired.p_equivalence == pytest.approx(expected, rel=1e-9)
    assert (paired.p_first, paired.p_second) == pytest.approx((lower[1], upper[1]), rel=1e-9)
    unpaired = equivalence_test(welch_t_test(first, second, variation="split"), margin)
    assert unpaired.p_equivalence == pytest.approx(ttost_ind(first, second, -margin, margin, "unequal")[0], rel=1e-9)


def test_the_crossed_test_of_one_seed_and_a_mean_is_a_normal_test_of_image_differences():
    draw = np.random.default_rng(2)
    first, second = draw.normal(0.8, 0.1, 40), draw.normal(0.8, 0.1, 40)
    scores = [jackknife_scores("mean", [SeedCases(values, None, range(40))]) for values in (first, second)]
    result = equivalence_test(crossed_test(*scores), 0.05)
    difference = first - second
    se = difference.std(ddof=1) / np.sqrt(40)
    expected = norm.sf((0.05 - abs(difference.mean())) / se)
    assert result.p_equivalence == pytest.approx(expected, rel=1e-6)
    assert result.high - result.low == pytest.approx(2 * norm.ppf(0.95) * se, rel=1e-6)
    assert result.required == np.ceil(40 * ((norm.ppf(0.95) + norm.ppf(0.9)) * se / 0.05) ** 2)


def test_p_and_interval_agree_and_lower_is_better_exchanges_the_models():
    draw = np.random.default_rng(3)
    for margin in np.linspace(0.005, 0.08, 16):
        test = paired_t_test(draw.normal(0.9, 0.03, 8), draw.normal(0.9, 0.03, 8), variation="split")
        result = equivalence_test(test, float(margin))
        assert (result.p_equivalence < 0.05) == (-margin < result.low and result.high < margin)
        assert (result.p_first < 0.025) == (test.low > -margin), "non-inferiority agrees with the 95 % interval"
        turned = equivalence_test(test, float(margin), higher_is_better=False)
        assert (turned.p_first, turned.p_second) == (result.p_second, result.p_first)


def test_models_that_differ_by_the_margin_are_equivalent_in_five_percent_of_studies():
    equivalent, inferior = 0, 0
    for seed in range(400):
        draw = np.random.default_rng(seed)
        second = draw.normal(0.9, 0.02, 20)
        test = paired_t_test(second - 0.02 + draw.normal(0, 0.01, 20), second, variation="split")
        result = equivalence_test(test, 0.02)
        equivalent += result.p_equivalence < 0.05
        inferior += result.p_first < 0.025
    assert 8 <= equivalent <= 33, "20 ± 4.4 of 400"
    assert 2 <= inferior <= 20, "10 ± 3.1 of 400"


def test_verdicts_and_reasons():
    assert equivalence_verdict(0.01, 0.2, 0.2) == "equivalent"
    assert equivalence_verdict(0.06, 0.01, 0.02) == "neither is inferior"
    assert equivalence_verdict(0.3, 0.4, 0.001) == "second not inferior"
    none = paired_t_test([0.9], [0.8], variation="split")
    result = equivalence_test(none, 0.02)
    assert (result.verdict, result.reason) == ("no test", "a test needs at least two shared seeds")
    without = Comparison(method=none.method, variation=("split",), n=3, unit="seeds", difference=0.1, p=0.1)
    assert "has no standard error" in equivalence_test(without, 0.02).reason
    for margin in (0.0, -0.1, float("inf")):
        with pytest.raises(ValueError, match="must be above 0"):
            equivalence_test(none, margin)
