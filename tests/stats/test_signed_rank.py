"""Wilcoxon's signed-rank test against enumeration and SciPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from f2vbench.stats.permutation import sign_flip_test
from f2vbench.stats.signed_rank import wilcoxon_test


def p_by_enumeration(differences: np.ndarray) -> float:
    """Two-sided exact p of the signed-rank sum: all sign patterns, midranks, without zeros."""
    nonzero = differences[differences != 0]
    ranks = stats.rankdata(np.abs(nonzero))
    observed = ranks[nonzero > 0].sum()
    sums = np.array([ranks[np.array(signs) == 1].sum() for signs in product((0, 1), repeat=nonzero.size)])
    return min(1.0, 2 * min((sums <= observed + 1e-9).mean(), (sums >= observed - 1e-9).mean()))


@pytest.mark.parametrize("seed", range(4))
def test_p_is_exact_with_ties_and_zeros(seed):
    draw = np.random.default_rng(seed)
    differences = draw.integers(-3, 6, 11).astype(float)
    test = wilcoxon_test(differences, np.zeros(11), variation="tasks")
    assert test.p == pytest.approx(p_by_enumeration(differences), rel=1e-9)
    assert test.unit == "tasks"


def test_rounding_does_not_break_ties():
    first = np.array([0.9, 0.8, 0.7, 0.35, 0.6])
    second = np.array([0.8, 0.7, 0.6, 0.45, 0.6])  # ±0.1 four times with rounding errors, and a zero
    test = wilcoxon_test(first, second, variation="split")
    assert test.p == pytest.approx(p_by_enumeration(np.array([1.0, 1, 1, -1, 0])))
    assert "1 of 5 differences are zero" in test.note


@pytest.mark.parametrize("size", [8, 120, 350])
def test_p_equals_scipy_without_ties(size):
    draw = np.random.default_rng(size)
    first, second = draw.normal(0.1, 1, size), draw.normal(size=size)
    method = "exact" if size <= 200 else "approx"
    expected = stats.wilcoxon(first - second, method=method, correction=method == "approx")
    assert wilcoxon_test(first, second, variation="split").p == pytest.approx(expected.pvalue, rel=1e-8)


@pytest.mark.parametrize("size", [9, 260])
def test_the_interval_contains_the_shifts_that_the_test_does_not_reject(size):
    draw = np.random.default_rng(5)
    first, second = draw.exponential(size=size), draw.exponential(size=size)
    test = wilcoxon_test(first, second, variation="split")
    step = 1e-7
    for limit, inward in ((test.low, 1), (test.high, -1)):
        assert wilcoxon_test(first, second + limit + inward * step, variation="split").p > 0.05
        assert wilcoxon_test(first, second + limit - inward * step, variation="split").p <= 0.0505


@pytest.mark.parametrize("function", [wilcoxon_test, sign_flip_test])
def test_five_seeds_are_never_significant_and_the_sentence_says_so(function):
    first, second = np.array([0.9, 0.91, 0.93, 0.92, 0.95]), np.array([0.8, 0.8, 0.81, 0.8, 0.8])
    test = function(first, second, variation="head seed")
    assert test.p == pytest.approx(0.0625)
    assert test.smallest_p == pytest.approx(0.0625)
    assert test.low is None
    assert "too few" in test.reason
    assert test.required.n == 6
    sentence = test.sentence("a", "b", "AUROC")
    assert "smallest possible p is 0.0625" in sentence
    assert "about 6 seeds would be needed" in sentence


@pytest.mark.parametrize("function", [wilcoxon_test, sign_flip_test])
def test_one_pair_or_equal_pairs_have_no_test(function):
    assert "at least two pairs" in function([1.0], [2.0], variation="split").reason
    equal = function([0.3, 0.4, 0.5], [0.1 + 0.2, 0.4, 0.5], variation="split")
    assert equal.p is None
    assert "every difference is zero" in equal.reason
    with pytest.raises(ValueError, match="finite"):
        function([np.nan, 1.0], [1.0, 2.0], variation="split")
