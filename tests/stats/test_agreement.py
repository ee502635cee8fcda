"""Agreement of raters: statsmodels, scikit-learn, R's psych, and published examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from f2vbench.stats.bland_altman import bland_altman
from f2vbench.stats.intraclass import intraclass_correlation
from f2vbench.stats.kappa import cohens_kappa

SCALE = (1, 2, 3, 4, 5)
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
R = json.loads((Path(__file__).parent / "r_reference" / "agreement.json").read_text())


def two_raters(seed: int, n: int = 50) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    first = draw.integers(1, 6, n)
    return first, np.clip(first + draw.integers(-1, 2, n), 1, 5)


@pytest.mark.parametrize("weights", ["unweighted", "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(4))
def test_kappa_equals_statsmodels_and_scikit_learn(seed, weights):
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    first, second = two_raters(seed, n=12 + 20 * seed)
    result = cohens_kappa(first, second, SCALE, weights)
    table = np.zeros((5, 5))
    np.add.at(table, (first - 1, second - 1), 1)
    kind = None if weights == "unweighted" else weights
    reference = inter_rater.cohens_kappa(table, wt=kind)
    assert result.kappa == pytest.approx(reference.kappa, rel=1e-12)
    assert result.kappa == pytest.approx(cohen_kappa_score(first, second, labels=SCALE, weights=kind), rel=1e-12)
    assert result.se == pytest.approx(reference.std_kappa, rel=1e-9)
    assert result.se_null == pytest.approx(reference.std_kappa0, rel=1e-9)
    assert result.p == pytest.approx(reference.pvalue_two_sided, rel=1e-9, abs=1e-300)
    assert [result.low, result.high] == pytest.approx([reference.kappa_low, min(reference.kappa_upp, 1)], rel=1e-6)


@pytest.mark.parametrize("case", R["kappa"], ids=lambda case: f"n={len(case['first'])}")
def test_kappa_equals_psych(case):
    for weights in ("unweighted", "linear", "quadratic"):
        result = cohens_kappa(case["first"], case["second"], SCALE, weights)
        assert result.kappa == pytest.approx(case[weights]["kappa"], rel=1e-9)
        if weights == "unweighted":  # psych 2.2.9 sums the weights of the columns by the wrong margin
            assert result.se**2 == pytest.approx(case[weights]["variance"], rel=1e-9)


@pytest.mark.parametrize("weights", ["unweighted", "linear", "quadratic"])
def test_the_standard_error_is_that_of_the_delta_method(weights):
    first, second = two_raters(9, n=40)
    shares = np.zeros((5, 5))
    np.add.at(shares, (first - 1, second - 1), 1 / 40)
    distance = np.abs(np.subtract.outer(range(5), range(5))) / 4
    penalty = {"unweighted": distance > 0, "linear": distance, "quadratic": distance**2}[weights]

    def kappa(table: np.ndarray) -> float:
        table = table / table.sum()
        return 1 - (penalty * table).sum() / (penalty * np.outer(table.sum(1), table.sum(0))).sum()

    step = 1e-6
    units = np.eye(25).reshape(25, 5, 5) * step
    gradient = np.array([(kappa(shares + unit) - kappa(shares - unit)) / (2 * step) for unit in units])
    p = shares.ravel()
    variance = (p @ gradient**2 - (p @ gradient) ** 2) / 40
    assert cohens_kappa(first, second, SCALE, weights).se == pytest.approx(variance**0.5, rel=1e-6)


def test_kappa_of_the_example_of_fleiss_1981():
    # Diagnoses of 100 patients by two raters: Fleiss, Statistical Methods for Rates and Proportions, ch. 13.
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    first, second = np.repeat(np.indices((3, 3)).reshape(2, -1), table.ravel(), axis=1)
    result = cohens_kappa(first, second, (0, 1, 2), "unweighted")
    assert [round(value, 3) for value in (result.kappa, result.se, result.se_null)] == [0.676, 0.088, 0.076]


def test_kappa_without_variation_has_a_reason():
    constant = cohens_kappa([2, 2, 2], [2, 2, 2], SCALE)
    assert constant.kappa is None
    assert "same score to every case" in constant.reason
    one_constant = cohens_kappa([2, 2, 2, 2], [2, 2, 1, 2], SCALE)
    for weights in ("unweighted", "linear", "quadratic"):
        one_constant = cohens_kappa([5, 4, 5, 5], [5, 5, 5, 5], SCALE, weights)
        assert (one_constant.kappa, one_constant.p, one_constant.low) == (0, None, None)
    assert "no test" in one_constant.reason
    equal = cohens_kappa([1, 2, 3, 3], [1, 2, 3, 3], SCALE)
    assert (equal.kappa, equal.low) == (1.0, None)
    assert equal.p < 0.05
    assert "agree on every case" in equal.reason


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [([1, 2], [1], "one score for each case"), ([1, 6], [1, 2], "scores must be of"), ([], [], "one score")],
)
def test_kappa_refuses_other_scores(first, second, message):
    with pytest.raises(ValueError, match=message):
        cohens_kappa(first, second, SCALE)


def test_icc_equals_the_published_values_of_shrout_and_fleiss():
    result = intraclass_correlation(SHROUT_FLEISS)
    assert (round(result.single, 2), round(result.average, 2)) == (0.29, 0.62)
    # Intervals and p: ICC(A,1) and ICC(A,k) of pingouin 0.7.0 on the same data.
    assert [round(bound, 2) for bound in (result.single_low, result.single_high)] == [0.02, 0.76]
    assert [round(bound, 2) for bound in (result.average_low, result.average_high)] == [0.07, 0.93]
    assert (result.statistic, result.p) == pytest.approx((11.027248, 0.000135), rel=5e-3)


@pytest.mark.parametrize("case", R["icc"], ids=lambda case: f"{len(case['scores'])} cases")
def test_icc_equals_psych(case):
    result = intraclass_correlation(case["scores"])
    ours = [result.single, result.single_low, result.single_high, result.statistic, result.p]
    assert ours == pytest.approx(case["single"], rel=1e-8)
    assert [result.average, result.average_low, result.average_high] == pytest.approx(case["average"], rel=1e-8)


def test_icc_of_equal_raters_and_of_equal_scores():
    equal = intraclass_correlation([[1, 1], [2, 2], [4, 4]])
    assert (equal.single, equal.average, equal.single_low) == (1, 1, None)
    assert "residual variance" in equal.reason
    assert intraclass_correlation([[2, 2], [2, 2]]).single is None


def test_bounds_of_the_icc_of_opposed_raters_are_possible_values():
    result = intraclass_correlation([[1, 2], [2, 1], [1, 2], [2, 1], [1, 1]])
    assert result.single < 0
    assert result.single_low == -1
    assert result.average_low == -np.inf
    assert -1 < result.single_high < 1


def test_a_constant_difference_between_raters_lowers_the_icc():
    shifted = intraclass_correlation([[1, 2], [2, 3], [3, 4.1]])
    assert shifted.single < 0.75


def test_limits_of_agreement_of_bland_and_altman_1999():
    # Systolic blood pressure by observer and machine: n = 85, mean difference −16.29, sd 19.61 mmHg.
    differences = np.random.default_rng(0).normal(size=85)
    differences = (differences - differences.mean()) / differences.std(ddof=1) * 19.61 - 16.29
    result = bland_altman(differences, np.zeros(85))
    assert (result.low, result.high) == pytest.approx((-54.7, 22.1), abs=0.06)
    assert result.low_interval == pytest.approx((-61.9, -47.5), abs=0.1)
    assert result.high_interval == pytest.approx((14.9, 29.3), abs=0.11)


def test_the_limits_hold_95_of_100_normal_differences():
    draw = np.random.default_rng(3)
    result = bland_altman(draw.normal(size=4000), draw.normal(size=4000))
    inside = np.abs(draw.normal(scale=2**0.5, size=20_000) - result.bias) < (result.high - result.low) / 2
    assert inside.mean() == pytest.approx(0.95, abs=0.01)


def test_one_case_has_no_limits():
    assert bland_altman([1], [2]).low is None
