"""Intervals, tests and corrections against SciPy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from f2vbench.stats.correction import holm
from f2vbench.stats.intervals import normal_interval
from f2vbench.stats.tests import paired_t_test


def test_interval_is_the_mean_and_1_96_standard_errors():
    values = np.array([0.91, 0.93, 0.95, 0.90, 0.92])
    found = normal_interval(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.high - found.mean == pytest.approx(1.96 * stats.sem(values))
    assert found.mean - found.low == pytest.approx(1.96 * stats.sem(values))


def test_one_value_has_no_spread_and_none_is_an_error():
    assert normal_interval(np.array([0.5])).sd is None
    with pytest.raises(ValueError, match="at least one"):
        normal_interval(np.array([]))
    with pytest.raises(ValueError, match="finite"):
        normal_interval(np.array([0.5, np.nan]))


@pytest.mark.parametrize("size", [2, 5, 40])
def test_paired_t_test_equals_scipy(size):
    draw = np.random.default_rng(size)
    first, second = draw.normal(size=size), draw.normal(0.3, size=size)
    found, expected = paired_t_test(first, second), stats.ttest_rel(first, second)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.difference == pytest.approx((first - second).mean())


def test_where_no_test_is_possible_the_reason_is_said():
    assert "one shared seed" in paired_t_test(np.array([1.0]), np.array([2.0])).reason
    same = paired_t_test(np.array([0.9, 0.8, 0.7]), np.array([0.8, 0.7, 0.6]))
    assert same.p is None
    assert "the same at every seed" in same.reason
    with pytest.raises(ValueError, match="as many"):
        paired_t_test(np.array([1.0, 2.0]), np.array([1.0]))


def test_holm_equals_statsmodels_and_leaves_missing_tests_out():
    p_values = np.array([0.04, 0.001, 0.03, 0.2, 0.011])
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], rtol=1e-12)
    with_gap = np.insert(p_values, 2, np.nan)
    found = holm(with_gap)
    assert np.isnan(found[2])
    np.testing.assert_allclose(np.delete(found, 2), holm(p_values))
