"""The crossed test against slow formulas of Obuchowski, Rockette and Hillis, and a mixed model of statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from sklearn.metrics import roc_auc_score

from f2vbench.stats.crossed import crossed_interval, crossed_test, max_t_adjusted
from f2vbench.stats.jackknife import JackknifeScores, SeedCases, jackknife_scores
from f2vbench.stats.multiple_testing import holm
from f2vbench.stats.noncentral_t import t_test_power
from f2vbench.stats.power import required_patients_and_seeds
from f2vbench.stats.t_tests import corrected_resampled_t_test


def study(seed: int, models: int = 2, seeds: int = 4, patients: int = 40, positives: int = 20, gap: float = 0.0):
    """Scores (models, seeds, patients) and labels; models and seeds share what is hard about a patient."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(patients) < positives).astype(int)
    common, own = rng.normal(size=patients), rng.normal(size=(models, 1, patients))
    head = 1 + 0.1 * rng.normal(size=(models, seeds, 1))
    shift = 1.2 + gap * (np.arange(models) == 0)[:, None, None]
    return shift * head * labels + common + 0.6 * own + 0.2 * rng.normal(size=(models, seeds, patients)), labels


def auroc_scores(scores: np.ndarray, labels: np.ndarray) -> list[JackknifeScores]:
    patients = np.arange(len(labels))
    return [jackknife_scores("auroc", [SeedCases(own, labels, patients) for own in model]) for model in scores]


def obuchowski_rockette(scores: np.ndarray, labels: np.ndarray):
    """Difference, F, denominator degrees of freedom and p of the multi-reader multi-case analysis, in slow loops."""
    models, readers, cases = scores.shape
    value = np.array([[roc_auc_score(labels, own) for own in model] for model in scores])
    without = np.empty((models, readers, cases))
    for case in range(cases):
        kept = np.arange(cases) != case
        for model in range(models):
            for reader in range(readers):
                without[model, reader, case] = roc_auc_score(labels[kept], scores[model, reader, kept])

    def covariance(a, b):
        return (cases - 1) / cases * np.sum((without[a] - without[a].mean()) * (without[b] - without[b].mean()))

    cells = [(model, reader) for model in range(models) for reader in range(readers)]
    same_reader = [covariance(a, b) for a in cells for b in cells if a[0] != b[0] and a[1] == b[1]]
    same_model = [covariance(a, b) for a in cells for b in cells if a[0] == b[0] and a[1] != b[1]]
    neither = [covariance(a, b) for a in cells for b in cells if a[0] != b[0] and a[1] != b[1]]
    assert len(same_reader) == readers * models * (models - 1)
    grand, of_model, of_reader = value.mean(), value.mean(axis=1), value.mean(axis=0)
    ms_model = readers * np.sum((of_model - grand) ** 2) / (models - 1)
    residual = value - of_model[:, None] - of_reader[None, :] + grand
    ms_interaction = np.sum(residual**2) / ((models - 1) * (readers - 1))
    of_cases, own = max(0.0, readers * (np.mean(same_model) - np.mean(neither))), (models - 1) * (readers - 1)
    f = ms_model / (ms_interaction + of_cases)
    # Hillis' degrees of freedom, with the upper confidence bound of 80 % of the mean square.
    upper = ms_interaction * own / stats.chi2.ppf(0.2, own)
    df = (upper + of_cases) ** 2 / (upper**2 / own)
    return of_model[0] - of_model[1], f, df, stats.f.sf(f, models - 1, df)


@pytest.mark.parametrize("seed", range(4))
def test_the_test_of_two_models_is_obuchowskis_and_rockettes(seed):
    scores, labels = study(seed)
    difference, f, _, p = obuchowski_rockette(scores, labels)
    test = crossed_test(*auroc_scores(scores, labels))
    assert test.difference == pytest.approx(difference, abs=1e-12)
    assert test.statistic**2 == pytest.approx(f, rel=1e-9)
    assert test.p == pytest.approx(p, rel=1e-9)
    assert (test.n, test.seeds) == (40, 4)
    assert test.low < test.difference < test.high
    assert (test.p < 0.05) == (test.low * test.high > 0)


def test_the_test_of_a_mean_is_a_mixed_model_with_crossed_random_effects():
    rng = np.random.default_rng(3)
    seeds, patients = 6, 150
    values = 0.05 + 0.12 * rng.normal(size=(seeds, 1)) + 0.5 * rng.normal(size=(1, patients))
    values = values + 0.4 * rng.normal(size=(seeds, patients))
    table = pd.DataFrame(
        {
            "value": values.ravel(),
            "seed": np.repeat(np.arange(seeds), patients),
            "patient": np.tile(np.arange(patients), seeds),
            "all": 1,
        }
    )
    model = smf.mixedlm(
        "value ~ 1",
        table,
        groups="all",
        re_formula="0",
        vc_formula={"seed": "0 + C(seed)", "patient": "0 + C(patient)"},
    ).fit(reml=True)
    names = np.arange(patients)
    first = jackknife_scores("mean", [SeedCases(own, None, names) for own in values])
    second = jackknife_scores("mean", [SeedCases(np.zeros(patients), None, names)] * seeds)
    test = crossed_test(first, second)
    assert test.difference == pytest.approx(model.fe_params["Intercept"], abs=1e-6)
    assert test.difference / test.statistic == pytest.approx(model.bse_fe["Intercept"], rel=0.01)


def test_the_order_of_the_models_changes_the_sign_alone():
    first, second = auroc_scores(*study(5, gap=0.5))
    one, other = crossed_test(first, second), crossed_test(second, first)
    assert (other.difference, other.statistic) == (-one.difference, -one.statistic)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert other.p == one.p


def test_equal_values_at_all_seeds_are_as_one_seed():
    scores, labels = study(6, seeds=1)
    one = crossed_test(*auroc_scores(scores, labels))
    three = crossed_test(*auroc_scores(np.repeat(scores, 3, axis=1), labels))
    assert one.variation == three.variation == ("test patients",)
    assert three.p == pytest.approx(one.p)


@pytest.mark.parametrize(
    ("patients", "labels", "scores", "reason"),
    [
        (2, None, [0.1, 0.4], "2 test patients: at least 5 are needed"),
        (6, None, [0.5] * 6, "all values are equal"),
        (6, [1, 0, 0, 0, 0, 0], [0.9, 0.1, 0.2, 0.3, 0.1, 0.2], "a class has a single patient"),
        (6, [0, 0, 0, 0, 0, 0], [0.9, 0.1, 0.2, 0.3, 0.1, 0.2], "undefined at a seed"),
    ],
)
def test_without_a_valid_test_there_is_a_reason_and_no_number(patients, labels, scores, reason):
    cases = SeedCases(scores, labels, np.arange(patients))
    model = jackknife_scores("mean" if labels is None else "auroc", [cases] * 3)
    interval, test = crossed_interval(model), crossed_test(model, model)
    assert reason in interval.reason
    assert interval.low is None
    assert test.p is test.required is None
    assert test.reason
    assert not test.note
    assert max_t_adjusted([model, model], [(0, 1)]) == [None]


def test_few_patients_of_a_class_are_a_warning():
    first, second = auroc_scores(*study(7, patients=100, positives=7))
    test = crossed_test(first, second)
    assert test.p is not None
    assert test.note == ("only 7 test patients with (or without) the rarest class: interval and p are rough below 10")
    assert not crossed_test(*auroc_scores(*study(7))).note


def test_adjusted_p_values_are_between_the_unadjusted_ones_and_bonferronis():
    models = auroc_scores(*study(8, models=5, gap=0.8))
    pairs = [(i, j) for i in range(5) for j in range(i)]
    p = np.array([crossed_test(models[i], models[j]).p for i, j in pairs])
    adjusted = np.array(max_t_adjusted(models, pairs))
    assert (adjusted >= p).all()
    assert (adjusted <= holm(p) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert adjusted[p.argmin()] < p.min() * len(pairs)
    assert max_t_adjusted(models, [(0, 1)]) == [crossed_test(models[0], models[1]).p]


def test_the_adjusted_p_is_that_of_independent_normal_maxima():
    """Three disjoint pairs of independent models: max-T is Šidák's adjustment, step by step."""
    rng = np.random.default_rng(9)
    names = np.arange(200)
    models = [jackknife_scores("mean", [SeedCases(rng.normal(size=200), None, names)]) for _ in range(6)]
    pairs = [(0, 1), (2, 3), (4, 5)]
    p = np.sort([crossed_test(models[i], models[j]).p for i, j in pairs])
    sidak = np.maximum.accumulate(1 - (1 - p) ** np.array([3, 2, 1]))
    # The estimated correlations of independent models are not exactly zero, and 10,000 draws have an error of 0.005.
    assert np.sort(max_t_adjusted(models, pairs)) == pytest.approx(sidak, abs=0.03)


def test_six_equal_models_rarely_have_a_significant_pair():
    pairs = [(i, j) for i in range(6) for j in range(i)]
    smallest = []
    for seed in range(150):
        models = auroc_scores(*study(1000 + seed, models=6))
        smallest.append(min(max_t_adjusted(models, pairs)))
    # 5 % of 150 studies are 7.5; two standard errors are 5.3.
    assert 1 <= np.sum(np.array(smallest) < 0.05) <= 14


def test_few_shot_heads_of_random_halves_need_a_smaller_correction_than_fully_trained_ones():
    """Heads of eight support images are hardly correlated by training; the corrected t-test overestimates it.

    The number of images really trained on, in place of the training half, makes the corrected t-test worse.
    """
    patients, support = 60, 8
    rejected = dict.fromkeys(("corrected", "corrected, support", "crossed"), 0)
    labels = np.arange(patients) % 2
    for number in range(150):
        rng = np.random.default_rng([number, 4])
        features = rng.normal(size=(2, patients, 8)) + 0.35 * labels[:, None]
        seeds: list[list[SeedCases]] = [[], []]
        for _ in range(5):
            halves = [rng.permutation(np.flatnonzero(labels == each)) for each in (0, 1)]
            tested = np.concatenate([half[:15] for half in halves])
            for model, x in enumerate(features):
                direction = x[halves[1][15:19]].mean(axis=0) - x[halves[0][15:19]].mean(axis=0)
                seeds[model].append(SeedCases(x[tested] @ direction, labels[tested], tested))
        models = [jackknife_scores("auroc", own) for own in seeds]
        values = [model.values for model in models]
        ratio = 2 * support / (patients - support)
        tests = {
            "corrected": corrected_resampled_t_test(*values, train=30, test=30, variation="split"),
            "corrected, support": corrected_resampled_t_test(*values, train=support, test=30, variation="split"),
            "crossed": crossed_test(*models, split_ratio=ratio),
        }
        for name, test in tests.items():
            rejected[name] += test.p < 0.05
    assert rejected["corrected, support"] <= rejected["corrected"] <= 4
    assert 2 <= rejected["crossed"] <= 15


def test_required_patients_have_the_power_and_no_fewer_have_it():
    variances = {"between_seeds": 4e-4, "of_patients": 2e-4, "within_seeds": 3e-4}
    n = required_patients_and_seeds(0.03, patients=60, seeds=5, **variances).n

    def power(count):
        of_seeds = (3e-4 + 1e-4 * 60 / count) / 5
        variance = of_seeds + 2e-4 * 60 / count
        upper = of_seeds * 4 / stats.chi2.ppf(0.2, 4)
        return t_test_power(0.03 / variance**0.5, 4 * ((upper + variance - of_seeds) / upper) ** 2, 0.05)

    assert power(n) >= 0.8 > power(n - 1)


def test_where_heads_vary_more_seeds_are_required():
    required = required_patients_and_seeds(
        0.02, patients=60, seeds=5, between_seeds=9e-4, of_patients=1e-5, within_seeds=3e-5
    )
    assert required.n is None
    assert "with 5 seeds; about 24 seeds would" in required.reason
    assert required_patients_and_seeds(0.0, patients=60, seeds=5, **_NO_VARIANCE).n is None


_NO_VARIANCE = {"between_seeds": 0.0, "of_patients": 0.0, "within_seeds": 0.0}
