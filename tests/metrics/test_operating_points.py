"""Operating points, parts of the ROC curve, recalibration and net benefit: scikit-learn, statsmodels and loops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn import metrics as reference

from f2vbench.metrics.operating_points import (
    OperatingPoint,
    calibration_intercept,
    calibration_slope,
    choose_threshold,
    decision_metrics,
    net_benefit,
    partial_auroc,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

EXACT = 1e-12


def simulate(seed: int, n: int = 120, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a positive class and labels; with ties, eighths."""
    draw = np.random.default_rng(seed)
    labels = draw.random(n) < 0.35
    labels[:2] = [True, False]
    p = 1 / (1 + np.exp(-(draw.normal(size=n) + 1.5 * labels - 0.7)))
    return (np.clip(np.round(p * 8), 1, 7) / 8 if ties else p), labels


@pytest.mark.parametrize("seed", range(4))
def test_decision_metrics_equal_scikit_learn(seed):
    p, labels = simulate(seed)
    decisions = p >= 0.4
    expected = {
        "sensitivity": reference.recall_score(labels, decisions),
        "specificity": reference.recall_score(~labels, ~decisions),
        "ppv": reference.precision_score(labels, decisions),
        "npv": reference.precision_score(~labels, ~decisions),
        "f1": reference.f1_score(labels, decisions),
        "mcc": reference.matthews_corrcoef(labels, decisions),
    }
    assert decision_metrics(decisions, labels) == pytest.approx(expected, abs=EXACT)


def test_decision_metrics_without_a_denominator_are_missing():
    none_called = decision_metrics([0, 0, 0], [1, 0, 0])
    assert (none_called["ppv"], none_called["mcc"], none_called["f1"]) == (None, None, 0.0)
    no_positive = decision_metrics([1, 0, 0], [0, 0, 0])
    assert (no_positive["sensitivity"], no_positive["f1"], no_positive["ppv"]) == (None, None, 0.0)


def threshold_by_loop(scores: np.ndarray, labels: np.ndarray, rule: str, target: float) -> float:
    """The best of all thresholds between neighbouring scores, and beyond them, by comparing every one."""
    values = sorted(set(scores.tolist()))
    candidates = [np.inf, *((a + b) / 2 for a, b in pairwise(values)), values[0]]
    best, best_key = np.nan, (-np.inf, -np.inf)
    for threshold in candidates:
        sensitivity = np.mean([score >= threshold for score in scores[labels]])
        specificity = np.mean([score < threshold for score in scores[~labels]])
        if rule == "youden":
            key = (round(sensitivity + specificity, 12), sensitivity)
        else:
            held, other = (sensitivity, specificity) if rule == "sensitivity" else (specificity, sensitivity)
            if held < target - 1e-12:
                continue
            key = (other, held)
        if key > best_key:
            best, best_key = threshold, key
    return best


@pytest.mark.parametrize("text", ["youden", "sensitivity:0.9", "specificity:0.95", "sensitivity:0.8"])
@pytest.mark.parametrize("ties", [False, True])
def test_chosen_thresholds_are_the_best_of_all(text, ties):
    for seed in range(5):
        scores, labels = simulate(seed, 60, ties)
        point = OperatingPoint.parse(text)
        chosen = choose_threshold(scores, labels, point)
        expected = threshold_by_loop(scores, labels, point.rule, point.target or 0.0)
        rates = [
            ((scores[labels] >= threshold).mean(), (scores[~labels] < threshold).mean())
            for threshold in (chosen, expected)
        ]
        assert rates[0] == pytest.approx(rates[1], abs=EXACT)


def test_youden_threshold_reaches_the_largest_index_of_the_roc_curve():
    scores, labels = simulate(9, 400)
    false, true, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    decisions = scores >= choose_threshold(scores, labels, OperatingPoint())
    found = decision_metrics(decisions, labels)
    assert found["sensitivity"] + found["specificity"] - 1 == pytest.approx((true - false).max(), abs=EXACT)


def test_a_threshold_needs_both_classes_and_a_readable_rule():
    with pytest.raises(ValueError, match="all 2 cases are positive"):
        choose_threshold([0.1, 0.2], [1, 1], OperatingPoint())
    for text in ("yuden", "sensitivity", "sensitivity:2", "specificity:x", "youden:0.5"):
        with pytest.raises(ValueError, match=text):
            OperatingPoint.parse(text)
    assert str(OperatingPoint.parse(" Specificity:0.90 ")) == "specificity:0.9"


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("max_fpr", [0.05, 0.1, 0.5, 1.0])
def test_partial_auroc_equals_scikit_learn(ties, max_fpr):
    for seed in range(4):
        scores, labels = simulate(seed, 90, ties)
        expected = reference.roc_auc_score(labels, scores, max_fpr=max_fpr)
        if max_fpr == 1.0:  # scikit-learn does not standardise the whole area; McClish's formula leaves it unchanged
            expected = reference.roc_auc_score(labels, scores)
        assert partial_auroc(scores, labels, max_fpr) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_rates_at_fixed_rates_are_those_of_the_roc_curve(ties, target):
    for seed in range(4):
        scores, labels = simulate(seed, 90, ties)
        false, true, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
        at_specificity = max(t for f, t in zip(false, true, strict=True) if 1 - f >= target - 1e-12)
        at_sensitivity = max(1 - f for f, t in zip(false, true, strict=True) if t >= target - 1e-12)
        assert sensitivity_at_specificity(scores, labels, target) == pytest.approx(at_specificity, abs=EXACT)
        assert specificity_at_sensitivity(scores, labels, target) == pytest.approx(at_sensitivity, abs=EXACT)
    assert sensitivity_at_specificity([0.1, 0.2], [1, 1], 0.9) is None
    assert partial_auroc([0.1, 0.2], [0, 0]) is None


@pytest.mark.parametrize("seed", range(4))
def test_recalibration_equals_the_logistic_regression_of_statsmodels(seed):
    p, labels = simulate(seed, 80, ties=seed == 3)
    x, y = np.log(p / (1 - p)), labels.astype(float)
    slope = sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12).params[1]
    intercept = sm.GLM(y, np.ones((len(y), 1)), family=sm.families.Binomial(), offset=x).fit(tol=1e-12).params[0]
    assert calibration_slope(p, labels) == pytest.approx(slope, abs=1e-7)
    assert calibration_intercept(p, labels) == pytest.approx(intercept, abs=1e-7)


def test_recalibration_of_extreme_probabilities():
    separated = [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]
    assert calibration_slope(*separated) is None
    assert calibration_intercept(*separated) == pytest.approx(0.0, abs=1e-9)
    votes = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 0.5]), np.array([0, 0, 1, 1, 0, 1])
    x, y = np.log(np.clip(votes[0], 1e-8, 1 - 1e-8) / (1 - np.clip(votes[0], 1e-8, 1 - 1e-8))), votes[1]
    expected = sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12).params[1]
    assert calibration_slope(*votes) == pytest.approx(expected, abs=1e-7)
    assert calibration_slope([0.3, 0.4], [1, 1]) is None
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        calibration_slope([0.3, 1.4], [1, 0])


def net_benefit_by_loop(p: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    true = sum(1 for score, label in zip(p, labels, strict=True) if score >= threshold and label)
    false = sum(1 for score, label in zip(p, labels, strict=True) if score >= threshold and not label)
    return true / len(p) - false / len(p) * threshold / (1 - threshold)


@pytest.mark.parametrize("ties", [False, True])
def test_net_benefit_follows_its_definition(ties):
    p, labels = simulate(2, 50, ties)
    thresholds = np.array([0.05, 0.125, 0.3, 0.5, 0.875, 0.99])
    expected = [net_benefit_by_loop(p, labels, t) for t in thresholds]
    assert net_benefit(p, labels, thresholds) == pytest.approx(expected, abs=EXACT)
    prevalence = labels.mean()
    everyone = prevalence - (1 - prevalence) * thresholds / (1 - thresholds)
    assert net_benefit(np.ones(50), labels, thresholds) == pytest.approx(everyone, abs=EXACT)
    with pytest.raises(ValueError, match="between 0 and 1"):
        net_benefit(p, labels, [0.0, 1.0])
