"""Ranks over tasks against a published example and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from f2vbench.stats.ranks import (
    WinTieLoss,
    average_ranks,
    critical_difference,
    friedman_test,
    nemenyi_test,
    wilcoxon_holm_test,
    win_tie_loss,
)
from f2vbench.stats.signed_rank import wilcoxon_test

# Demšar (2006), table 6: AUROC of four variants of a tree on 14 data sets. The 0.97501 is printed as 0.975,
# equal to its neighbour, but has the better rank.
TREES = ("plain", "m", "cf", "m+cf")
AUROCS = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_average_ranks_and_critical_difference_equal_demsars():
    np.testing.assert_allclose(average_ranks(AUROCS), [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(1.12, abs=0.005)


def test_friedman_test_equals_scipy_and_f_follows_from_it():
    result = friedman_test(AUROCS, TREES)
    expected = stats.friedmanchisquare(*AUROCS.T)
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    f = 13 * result.statistic / (14 * 3 - result.statistic)
    assert result.f_statistic == pytest.approx(f)
    assert result.f_p == pytest.approx(stats.f.sf(f, 3, 39))
    assert "average ranks differ significantly" in result.sentence()
    assert "n = 14 tasks" in result.sentence()


def test_nemenyi_test_is_significant_beyond_the_critical_difference():
    result = nemenyi_test(AUROCS, TREES, alpha=0.1)
    gaps = np.abs(np.subtract.outer(result.average_ranks, result.average_ranks))
    np.testing.assert_array_equal(result.p < 0.1, gaps > result.critical_difference)
    # Demšar: at 0.10 the plain tree is worse than m and than m+cf; no other pair differs.
    assert result.groups == (("m+cf", "m", "cf"), ("cf", "plain"))


def test_wilcoxon_holm_test_adjusts_the_test_of_each_pair_over_all_pairs():
    result = wilcoxon_holm_test(AUROCS, TREES)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    raw = [wilcoxon_test(AUROCS[:, i], AUROCS[:, j], variation="tasks").p for i, j in pairs]
    adjusted = multipletests(raw, method="holm")[1]
    for (i, j), p in zip(pairs, adjusted, strict=True):
        assert result.p[i, j] == result.p[j, i] == pytest.approx(p)
    assert result.critical_difference is None
    twins = wilcoxon_holm_test(AUROCS[:, [0, 1, 0]], ["a", "b", "twin"])
    assert np.isnan(twins.p[0, 2])
    assert twins.reasons == (("a", "twin", "every difference is zero, so there is no test"),)


def test_groups_are_the_maximal_runs_of_models_without_a_significant_difference():
    # Over 30 tasks, a and b are equally good, c and d equally bad.
    draw = np.random.default_rng(0)
    scores = draw.normal(size=(30, 4)) * 0.1 + np.array([1, 1, 0, 0])
    for test in (nemenyi_test, wilcoxon_holm_test):
        groups = test(scores, list("abcd")).groups
        assert {frozenset(group) for group in groups} == {frozenset("ab"), frozenset("cd")}


def test_ranks_without_a_test_have_a_reason():
    names = ["a", "b", "c"]
    assert "two models" in friedman_test(AUROCS[:, :2], names[:2]).reason
    assert "at least two tasks" in friedman_test(AUROCS[:1, :3], names).reason
    tied = friedman_test(np.ones((5, 3)), names)
    assert tied.p is None
    assert "all models tie" in tied.reason
    assert "cannot be tested" in tied.sentence()
    equal = friedman_test(np.arange(3.0) + np.zeros((5, 1)), names)
    assert equal.p < 0.05
    assert equal.f_p is None
    assert "infinite" in equal.reason
    with pytest.raises(ValueError, match="task 2, model 1"):
        average_ranks(np.where(np.arange(9).reshape(3, 3) == 7, np.nan, 1.0))
    with pytest.raises(ValueError, match="4 different names"):
        nemenyi_test(AUROCS, ["a", "a", "b", "c"])
    with pytest.raises(ValueError, match="two models"):
        critical_difference(1, 5)


def test_wins_ties_and_losses_are_counted():
    result = win_tie_loss([0.9, 0.8, 0.7, 0.6], [0.8, 0.8, 0.5, 0.61], margin=0.02)
    assert (result.win, result.tie, result.loss) == (2, 2, 0)
    assert result.p == pytest.approx(0.5)
    assert win_tie_loss([0.1 + 0.2], [0.3]) == WinTieLoss(0, 1, 0, None)
    counted = WinTieLoss.from_verdicts(["better", "better", "worse", "not significant", "no test"])
    assert (counted.win, counted.tie, counted.loss, counted.p) == (2, 2, 1, 1.0)
