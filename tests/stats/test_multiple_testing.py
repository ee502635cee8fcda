"""Adjustments of p-values against statsmodels, and the number of replicates of resampling tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from f2vbench.stats.multiple_testing import adjust, benjamini_hochberg, holm, run_with_adaptive_replicates
from f2vbench.stats.t_tests import paired_t_test


@pytest.mark.parametrize(("function", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjustments_equal_statsmodels_and_ignore_missing_tests(function, name):
    p_values = np.array([0.04, 0.001, 0.03, 0.2, 0.011])
    np.testing.assert_allclose(function(p_values), multipletests(p_values, method=name)[1], rtol=1e-12)
    adjusted = function(np.insert(p_values, 2, np.nan))
    assert np.isnan(adjusted[2])
    np.testing.assert_allclose(np.delete(adjusted, 2), function(p_values))
    assert function([]).size == 0
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        function([0.5, 1.5])


@pytest.mark.parametrize(("p", "expected"), [(0.02, [2_000, 5_000]), (0.2, [2_000]), (None, [2_000])])
def test_more_replicates_are_drawn_only_where_the_verdict_may_change(p, expected):
    runs = []

    def test(replicates):
        runs.append(replicates)
        return replace(paired_t_test([1.0, 2.0], [0.5, 2.5], variation="head seed"), p=p, n=replicates)

    assert run_with_adaptive_replicates(test, 5_000).n == expected[-1]
    assert runs == expected
    runs.clear()
    assert run_with_adaptive_replicates(test, 2_000).n == 2_000
    assert runs == [2_000]


def test_the_verdict_of_an_adjusted_comparison_follows_the_adjusted_p():
    second = np.array([0.80, 0.82, 0.81, 0.83, 0.79])
    one = paired_t_test(second + [0.02, 0.01, 0.03, 0.005, 0.02], second, variation="head seed")
    untested = paired_t_test([1.0], [2.0], variation="head seed")
    assert one.verdict() == "better"
    alone = adjust([one, untested])
    assert alone[0].p_adjusted == pytest.approx(one.p)
    assert alone[1] is untested
    family = adjust([one] * 10, "holm")
    assert family[0].p_adjusted == pytest.approx(10 * one.p)
    assert family[0].verdict() == "not significant"
    assert "Holm-adjusted p" in family[0].sentence()
    assert adjust([one] * 10, "benjamini-hochberg")[0].verdict() == "better"
    with pytest.raises(ValueError, match="bonferroni"):
        adjust([one], "bonferroni")
