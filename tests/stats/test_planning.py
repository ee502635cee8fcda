"""Power and sample size against pROC, PowerTOST's formula, statsmodels, the crossed test, and simulated studies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal, nct, norm, t
from statsmodels.stats.power import NormalIndPower, TTestPower

from f2vbench.stats.delong import delong_test
from f2vbench.stats.delong_variance import compute_auroc_components
from f2vbench.stats.planning import AssumedStudy, ObservedStudy, auroc_variance, required_patients, study_power
from f2vbench.stats.power import detectable_difference, difference_power, required_patients_and_seeds


class KnownStudy:
    """A study whose standard error is 1 ÷ √patients."""

    def __init__(self, df: float = math.inf):
        self.df = df

    def error(self, patients: int, seeds: int) -> tuple[float, float]:
        return 1 / math.sqrt(patients), self.df


def test_the_variance_of_an_auroc_gives_the_power_of_the_example_of_proc():
    """pROC 1.18: power.roc.test(ncases=41, ncontrols=72, auc=0.73) is 0.9897453."""
    null, alternative = (auroc_variance(auroc, 41, 72, "obuchowski") for auroc in (0.5, 0.73))
    power = ndtr((0.23 - ndtri(0.975) * math.sqrt(null)) / math.sqrt(alternative))
    assert power == pytest.approx(0.9897453, abs=1e-6)
    with pytest.raises(ValueError, match="both classes"):
        auroc_variance(0.8, 0, 10)


@pytest.mark.parametrize("auroc", [0.6, 0.8, 0.95])
def test_the_binormal_variance_is_that_of_simulated_studies(auroc):
    draw = np.random.default_rng(0)
    positive, negative = draw.normal(math.sqrt(2) * ndtri(auroc), 1, (4000, 15)), draw.normal(0, 1, (4000, 25))
    aurocs = (positive[:, :, None] > negative[:, None, :]).mean(axis=(1, 2))
    assert auroc_variance(auroc, 15, 25) == pytest.approx(aurocs.var(), rel=0.07)
    both = multivariate_normal(cov=[[1, 0.5], [0.5, 1]]).cdf([ndtri(auroc)] * 2)
    expected = (auroc * (1 - auroc) + 38 * (both - auroc**2)) / (15 * 25)
    assert auroc_variance(auroc, 15, 25) == pytest.approx(expected, rel=1e-4)


def test_power_of_a_difference_equals_that_of_statsmodels():
    expected = NormalIndPower(ddof=0).power(0.3, 60, 0.05, ratio=0)
    assert study_power(KnownStudy(), 0.3, patients=60) == pytest.approx(expected, abs=1e-9)
    expected = TTestPower().power(0.3, 61, 0.05, df=60)
    assert study_power(KnownStudy(60), 0.3, patients=61) == pytest.approx(expected, abs=1e-6)
    assert difference_power(detectable_difference(0.02, 7), 0.02, 7) == pytest.approx(0.8, abs=1e-9)


@pytest.mark.parametrize("df", [6.0, 40.0, math.inf])
def test_power_of_non_inferiority_and_equivalence_follow_their_formulas(df):
    def cdf(x: float, shift: float) -> float:
        return norm.cdf(x - shift) if math.isinf(df) else nct.cdf(x, df, shift)

    def quantile(p: float) -> float:
        return norm.ppf(p) if math.isinf(df) else t.ppf(p, df)

    study, patients, se = KnownStudy(df), 100, 0.1
    for difference in (0.0, 0.1, -0.1):
        found = study_power(study, difference, patients=patients, aim="non-inferiority", margin=0.3)
        assert found == pytest.approx(1 - cdf(quantile(0.975), (difference + 0.3) / se), abs=1e-6)
        found = study_power(study, difference, patients=patients, aim="equivalence", margin=0.4)
        critical = quantile(0.95)
        expected = cdf(-critical, (difference - 0.4) / se) - cdf(critical, (difference + 0.4) / se)
        assert found == pytest.approx(max(0, expected), abs=1e-6)
    with pytest.raises(ValueError, match="needs a margin"):
        study_power(study, 0.0, patients=10, aim="equivalence")


def test_required_patients_are_the_smallest_number_with_the_power():
    study = AssumedStudy(value=0.9, difference=0.04, prevalence=0.2, between_models=0.6)
    needed = required_patients(study, 0.04).n
    assert study_power(study, 0.04, patients=needed) >= 0.8 > study_power(study, 0.04, patients=needed - 1)
    varying = AssumedStudy(value=0.9, difference=0.04, prevalence=0.2, seed_sd=0.05)
    none = required_patients(varying, 0.04, seeds=3)
    assert (none.n, none.reason) == (None, "no number of patients reaches this power with 3 seeds")
    assert required_patients(varying, 0.04, seeds=40).n is not None
    with pytest.raises(ValueError, match="needs its standard deviation"):
        AssumedStudy(metric="dice").error(100, 1)


def test_a_study_like_a_run_needs_as_many_patients_as_its_comparison_says():
    variances = {"between_seeds": 4e-4, "of_patients": 2e-4, "within_seeds": 3e-4}
    study = ObservedStudy(patients=60, seeds=5, **variances)
    expected = required_patients_and_seeds(0.03, patients=60, seeds=5, **variances).n
    assert abs(required_patients(study, 0.03, seeds=5).n - expected) <= 1


def draw_study(seed: int, patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of two models with AUROC 0.88 and 0.80, labels and patients; two eyes a patient, equally labelled."""
    draw = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), 2)
    labels = (draw.random(patients) < 0.3)[codes]
    common = draw.normal(size=patients)[codes] * math.sqrt(0.4) + draw.normal(size=2 * patients) * math.sqrt(0.2)
    scores = [
        common + math.sqrt(0.4) * draw.normal(size=2 * patients) + math.sqrt(2) * ndtri(auroc) * labels
        for auroc in (0.88, 0.80)
    ]
    return scores[0], scores[1], labels, codes


def test_simulated_studies_are_significant_as_often_as_planned():
    """Correlations are measured once in a large sample, as a planner would take them from an earlier study."""
    first, second, labels, codes = draw_study(0, 20_000)
    clustered = compute_auroc_components([first, second], labels, codes, 20_000)
    single = compute_auroc_components([first, second], labels, np.arange(40_000), 40_000)
    variances = [clustered.standard_error(*contrast) ** 2 for contrast in ((1, 0), (0, 1), (1, -1))]
    between = (variances[0] + variances[1] - variances[2]) / (2 * math.sqrt(variances[0] * variances[1]))
    within = variances[0] / single.standard_error(1, 0) ** 2 - 1
    study = AssumedStudy(value=0.88, difference=0.08, prevalence=0.3, within_patient=within, between_models=between)
    planned = study_power(study, 0.08, patients=60)
    significant = 0
    for seed in range(1, 301):
        first, second, labels, codes = draw_study(seed, 60)
        p = delong_test(first, second, labels, patients=codes).p
        significant += p is not None and p < 0.05
    assert 0.3 < planned < 0.95
    assert abs(significant / 300 - planned) < 0.07, "0.026 is a standard error of the simulation"
