"""DeLong's method against slow loops over all pairs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.delong import delong_interval, delong_test, delong_test_over_seeds, delong_test_unpaired
from f2vbench.stats.weighted_metrics import METRICS, mean_over_seeds


def _pairs(scores, labels):
    """(positives, negatives): 1 where the positive scores higher, ½ where they tie."""
    return np.array([[float(p > n) + 0.5 * (p == n) for n in scores[~labels]] for p in scores[labels]])


def _slow_covariance(models, labels, patients):
    """Obuchowski's covariance of AUROCs, by loops over pairs and patients."""
    names = sorted(set(patients))
    m, n = labels.sum(), (~labels).sum()
    x, y = [], []
    for scores in models:
        won = _pairs(scores, labels)
        area = won.mean()
        x.append([sum(won.mean(1)[patients[labels] == name] - area) for name in names])
        y.append([sum(won.mean(0)[patients[~labels] == name] - area) for name in names])
    with_m = len(set(patients[labels]))
    with_n = len(set(patients[~labels]))
    whole = len(names)
    covariance = np.zeros((len(models), len(models)))
    for i in range(len(models)):
        for j in range(len(models)):
            s10 = with_m / ((with_m - 1) * m) * np.dot(x[i], x[j])
            s01 = with_n / ((with_n - 1) * n) * np.dot(y[i], y[j])
            s11 = whole / (whole - 1) * (np.dot(x[i], y[j]) + np.dot(x[j], y[i]))
            covariance[i, j] = s10 / m + s01 / n + s11 / (m * n)
    return covariance


def _cases(seed, n=70, grain=1.0):
    draw = np.random.default_rng(seed)
    labels = draw.random(n) < 0.4
    first = np.round((labels + draw.normal(size=n)) / grain) * grain
    return labels, first, 0.5 * first + draw.normal(size=n), np.array([f"p{i}" for i in draw.integers(0, 40, n)])


@pytest.mark.parametrize("grain", [1e-9, 0.5])
def test_variance_equals_the_loop_over_pairs(grain):
    labels, first, second, _ = _cases(1, grain=grain)
    alone = np.arange(70).astype(str)
    slow = _slow_covariance([first, second], labels, alone)
    found = delong_interval(first, labels, transform="none")
    assert found.value == pytest.approx(roc_auc_score(labels, first), rel=1e-12)
    assert found.se**2 == pytest.approx(slow[0, 0], rel=1e-9)
    test = delong_test(first, second, labels)
    assert test.statistic == pytest.approx(
        test.difference / np.sqrt(slow[0, 0] + slow[1, 1] - 2 * slow[0, 1]), rel=1e-9
    )
    assert (test.n, test.unit) == (70, "images")


@pytest.mark.parametrize("grain", [1e-9, 0.5])
def test_clustered_variance_equals_obuchowskis_by_loops(grain):
    labels, first, second, patients = _cases(2, grain=grain)
    slow = _slow_covariance([first, second], labels, patients)
    test = delong_test(first, second, labels, patients=patients)
    assert test.statistic == pytest.approx(
        test.difference / np.sqrt(slow[0, 0] + slow[1, 1] - 2 * slow[0, 1]), rel=1e-9
    )
    assert (test.n, test.unit) == (len(set(patients)), "patients")
    assert "clustered by patient" in test.method.name


def test_a_second_equal_image_of_each_patient_adds_nothing():
    labels, first, second, _ = _cases(3)
    once = delong_test(first, second, labels)
    twice = [np.tile(values, 2) for values in (first, second, labels)]
    clustered = delong_test(*twice, patients=np.tile(np.arange(70), 2))
    assert clustered.p == pytest.approx(once.p, rel=1e-9)
    assert delong_test(*twice).p < once.p  # taken for other patients, the copies make it too sure


def test_unpaired_adds_the_variances():
    labels, first, second, patients = _cases(4)
    found = delong_test_unpaired(first[:30], labels[:30], second[30:], labels[30:])
    errors = [delong_interval(s, y).se for s, y in ((first[:30], labels[:30]), (second[30:], labels[30:]))]
    assert found.statistic == pytest.approx(found.difference / np.hypot(*errors), rel=1e-12)
    assert found.n == 30
    clustered = delong_test_unpaired(
        first[:30], labels[:30], second[30:], labels[30:], first_patients=patients[:30], second_patients=patients[30:]
    )
    assert clustered.unit == "patients"


def test_logit_interval_stays_within_bounds():
    labels = np.array([0] * 10 + [1] * 10, dtype=bool)
    scores = np.arange(20.0)
    scores[9] = 10.5
    plain, bounded = (delong_interval(scores, labels, transform=t) for t in ("none", "logit"))
    assert plain.high > 1
    assert 0 < bounded.low < bounded.value < bounded.high < 1
    # On the logit scale the interval is symmetric.
    low, middle, high = (np.log(a / (1 - a)) for a in (bounded.low, bounded.value, bounded.high))
    assert middle - low == pytest.approx(high - middle, rel=1e-9)


def test_what_cannot_be_had_is_said():
    labels = np.array([0, 0, 1, 1])
    scores = np.array([1.0, 2.0, 3.0, 4.0])
    absent = delong_interval(scores, np.ones(4))
    assert (absent.value, absent.low) == (None, None)
    assert "all 4 labels are positive" in absent.reason
    assert "has no value" in absent.sentence("AUROC")
    assert "all 4 labels are negative" in delong_test(scores, -scores, np.zeros(4)).reason
    perfect = delong_interval(scores, labels)
    assert (perfect.value, perfect.low) == (1.0, None)
    assert "variance is zero" in perfect.reason
    ties = delong_interval(np.ones(4), labels)
    assert (ties.value, ties.low) == (0.5, None)
    lone = delong_interval(scores, [0, 0, 0, 1])
    assert lone.value == 1.0
    assert "one patient with a positive image" in lone.reason
    one_patient = delong_test(scores, -scores, [0, 0, 1, 1], patients=["a", "b", "c", "c"])
    assert "one patient with a positive image" in one_patient.reason
    noisy = np.array([1.0, 3.0, 2.0, 4.0])
    alike = delong_test(noisy, 10 * noisy - 3, labels)
    assert alike.difference == 0
    assert "no test possible" in alike.reason
    assert alike.verdict() == "no test"


@pytest.mark.parametrize(
    ("scores", "labels", "patients", "message"),
    [
        ([0.1, np.nan], [0, 1], None, r"1 of 2 are not \(at 1\)"),
        ([0.1, 0.2], [0, 2], None, "bool, or 0 and 1"),
        ([0.1, 0.2], [0, 1, 1], None, r"\(2,\) labels"),
        ([0.1, 0.2], [0, 1], ["a"], r"\(2,\) patients"),
        ([0.1, 0.2], [0, 1], ["a", None], "no patient"),
        ([0.1, 0.2], [0, 1], [1.0, np.nan], "no patient"),
        ([], [], None, "at least one"),
    ],
)
def test_wrong_arrays_are_refused(scores, labels, patients, message):
    with pytest.raises(ValueError, match=message):
        delong_interval(scores, labels, patients=patients)


def test_a_hundred_thousand_cases_take_less_than_a_second():
    labels, first, second, _ = _cases(5, n=100_000)
    started = time.process_time()
    delong_test(first, second, labels)
    assert time.process_time() - started < 1


def test_means_over_seeds_on_the_same_cases_are_delongs_contrast_of_all_areas():
    """By the slow covariance matrix of 2·seeds areas: contrast 1/seeds for the first, −1/seeds for the second."""
    draw = np.random.default_rng(4)
    labels, _, _, patients = _cases(4)
    first, second = (labels * shift + draw.normal(size=(3, 70)) for shift in (1.2, 0.8))
    slow = _slow_covariance([*first, *second], labels, patients)
    contrast = np.repeat([1 / 3, -1 / 3], 3)
    found = delong_test_over_seeds(first, second, [labels] * 3, patients=[patients] * 3)
    means = [np.mean([roc_auc_score(labels, s) for s in scores]) for scores in (first, second)]
    assert found.difference == pytest.approx(means[0] - means[1], rel=1e-12)
    assert found.statistic == pytest.approx(found.difference / np.sqrt(contrast @ slow @ contrast), rel=1e-9)
    assert (found.n, found.unit) == (len(set(patients)), "patients")


def test_one_seed_is_the_plain_test_and_the_same_seed_twice_adds_nothing():
    labels, first, second, patients = _cases(5)
    once = delong_test(first, second, labels, patients=patients)
    for seeds in (1, 2):
        found = delong_test_over_seeds([first] * seeds, [second] * seeds, [labels] * seeds, patients=[patients] * seeds)
        assert (found.difference, found.statistic) == pytest.approx((once.difference, once.statistic), rel=1e-12)
        assert found.n == once.n


def test_seeds_that_share_patients_are_not_taken_for_more_patients():
    """Overlapping test sets: near the standard error of a bootstrap of patients; disjoint ones: variances add."""
    draw = np.random.default_rng(6)
    whole = np.arange(240)
    truth = draw.random(240) < 0.4
    scores = [truth * 1.0 + draw.normal(size=240) for _ in range(2)]
    tested = [np.sort(draw.permutation(240)[:160]) for _ in range(4)]
    sides = [[side[own] for own in tested] for side in scores]
    labels, names = [truth[own] for own in tested], [whole[own].astype(str) for own in tested]
    found = delong_test_over_seeds(*sides, labels, patients=names)
    stacked = [np.column_stack([np.repeat(np.arange(4), 160), np.concatenate(side)]) for side in sides]
    resampled = paired_bootstrap(
        *stacked,
        np.concatenate(labels),
        metric=mean_over_seeds(METRICS["auroc"]),
        patients=np.concatenate(names),
        replicates=600,
    )
    assert found.difference == pytest.approx(resampled.difference, rel=1e-9)
    assert found.high - found.low == pytest.approx(resampled.high - resampled.low, rel=0.12)
    halves = [whole[:120], whole[120:]]
    apart = [delong_test(*(side[own] for side in scores), truth[own], patients=own) for own in halves]
    both = delong_test_over_seeds(
        *[[side[own] for own in halves] for side in scores], [truth[own] for own in halves], patients=halves
    )
    errors = [one.difference / one.statistic for one in apart]
    assert both.difference / both.statistic == pytest.approx(np.hypot(*errors) / 2, rel=1e-9)


def test_a_seed_without_a_class_leaves_no_test_over_seeds():
    labels, first, second, patients = _cases(7)
    found = delong_test_over_seeds(
        [first, first], [second, second], [labels, np.ones(70, bool)], patients=[patients] * 2
    )
    assert found.p is None
    assert found.reason == "at a seed, all 70 labels are positive: AUROC is undefined"
