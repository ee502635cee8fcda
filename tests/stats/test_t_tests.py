"""t-tests against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from f2vbench.stats.effect_sizes import cohens_d_z, hedges_g, hedges_g_z
from f2vbench.stats.t_tests import corrected_resampled_t_test, paired_t_test, prediction_t_test, welch_t_test

FIRST = np.array([0.91, 0.93, 0.95, 0.90, 0.92])
SECOND = np.array([0.90, 0.91, 0.95, 0.88, 0.87])


@pytest.mark.parametrize("size", [2, 5, 200])
def test_the_papers_test_of_predictions_equals_scipy(size):
    draw = np.random.default_rng(size)
    first, second = draw.random(size), draw.random(size) ** 2
    for paired, expected in ((True, stats.ttest_rel(first, second)), (False, stats.ttest_ind(first, second))):
        test = prediction_t_test(first, second, paired=paired)
        assert (test.statistic, test.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-10)
        assert (test.low, test.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-10)
        assert (test.n, test.unit, test.difference) == (size, "images", pytest.approx((first - second).mean()))


def test_the_papers_test_of_predictions_is_no_test_of_the_auroc():
    scores = np.random.default_rng(0).random(60)
    less_confident = 0.5 + 0.4 * (scores - 0.5) - 0.05  # the same order of all images, hence the same AUROC
    assert prediction_t_test(scores, less_confident).p < 0.05
    constant = prediction_t_test(scores, scores - 0.1)
    assert constant.p is None
    assert "same for every image" in constant.reason
    assert "two images" in prediction_t_test([0.5], [0.4]).reason
    assert "prediction of each model" in prediction_t_test([0.5, 0.5], [0.4, 0.4], paired=False).reason


@pytest.mark.parametrize("size", [2, 5, 40])
def test_paired_and_welch_tests_equal_scipy(size):
    draw = np.random.default_rng(size)
    first, second = draw.normal(size=size), draw.normal(0.3, 2, size=size + 1)
    for test, expected in (
        (paired_t_test(first, second[:-1], variation="split"), stats.ttest_rel(first, second[:-1])),
        (welch_t_test(first, second, variation="split"), stats.ttest_ind(first, second, equal_var=False)),
    ):
        assert test.statistic == pytest.approx(expected.statistic, rel=1e-12)
        assert test.p == pytest.approx(expected.pvalue, rel=1e-10)
        assert (test.low, test.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-10)
    assert paired_t_test(first, second[:-1], variation="split").difference == pytest.approx(
        first.mean() - second[:-1].mean()
    )
    assert welch_t_test(first, second, variation="split").difference == pytest.approx(first.mean() - second.mean())


def test_corrected_test_is_the_paired_test_with_a_larger_variance():
    paired = paired_t_test(FIRST, SECOND, variation="split")
    corrected = corrected_resampled_t_test(FIRST, SECOND, train=80, test=20)
    shrinkage = np.sqrt((1 / 5) / (1 / 5 + 20 / 80))
    assert corrected.statistic == pytest.approx(paired.statistic * shrinkage, rel=1e-12)
    assert corrected.p == pytest.approx(2 * stats.t.sf(paired.statistic * shrinkage, 4), rel=1e-12)
    assert (corrected.high - corrected.low) * shrinkage == pytest.approx(paired.high - paired.low, rel=1e-12)
    assert (corrected.low > 0) == (corrected.p < 0.05)
    assert corrected.unit == "splits"
    with pytest.raises(ValueError, match="at least one training"):
        corrected_resampled_t_test(FIRST, SECOND, train=0, test=20)


def test_welch_test_with_one_constant_sample_is_valid_and_does_not_warn(recwarn):
    test = welch_t_test([0.5, 0.5, 0.5], [0.4, 0.6, 0.7], variation="split")
    t = (0.5 - 17 / 30) / np.sqrt(np.var([0.4, 0.6, 0.7], ddof=1) / 3)
    assert test.p == pytest.approx(2 * stats.t.sf(abs(t), 2), rel=1e-12)
    assert not recwarn.list


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: paired_t_test(a, b, variation="head seed"),
        lambda a, b: welch_t_test(a, b, variation="head seed"),
        lambda a, b: corrected_resampled_t_test(a, b, train=10, test=10),
        lambda a, b: cohens_d_z(a, b, variation="head seed"),
        lambda a, b: hedges_g(a, b, variation="head seed"),
        lambda a, b: hedges_g_z(a, b, variation="head seed"),
    ],
)
def test_samples_without_variance_have_a_reason_instead_of_a_p_value(function):
    for first, second in (([1.0], [2.0]), ([0.3, 0.3, 0.1 + 0.2], [0.1, 0.1, 0.1])):
        result = function(first, second)
        assert getattr(result, "p", None) is None
        assert result.low is None
        assert result.reason
    with pytest.raises(ValueError, match="finite"):
        function([1.0, np.inf], [2.0, 3.0])


def test_a_constant_difference_of_varying_values_has_no_test():
    constant = paired_t_test([0.9, 0.8, 0.7], [0.8, 0.7, 0.6], variation="split")
    assert constant.p is None
    assert "the same at every seed" in constant.reason
    assert constant.difference == pytest.approx(0.1)
    with pytest.raises(ValueError, match="equally many"):
        paired_t_test([1.0, 2.0], [1.0], variation="split")
