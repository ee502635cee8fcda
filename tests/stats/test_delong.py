"""DeLong's method against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.delong import delong_interval, delong_test, delong_test_over_seeds, delong_test_unpaired
from f2vbench.stats.weighted_metrics import METRICS, mean_over_seeds


def pair_wins(scores, labels):
    """(positives, negatives): 1 where the positive scores higher, ½ where they tie."""
    return np.array([[float(p > n) + 0.5 * (p == n) for n in scores[~labels]] for p in scores[labels]])


def covariance_by_loops(models, labels, patients):
    """Obuchowski's covariance of AUROCs, by loops over pairs and patients."""
    names = sorted(set(patients))
    m, n = labels.sum(), (~labels).sum()
    x, y = [], []
    for scores in models:
        wins = pair_wins(scores, labels)
        auroc = wins.mean()
        x.append([sum(wins.mean(1)[patients[labels] == name] - auroc) for name in names])
        y.append([sum(wins.mean(0)[patients[~labels] == name] - auroc) for name in names])
    positive_patients = len(set(patients[labels]))
    negative_patients = len(set(patients[~labels]))
    all_patients = len(names)
    covariance = np.zeros((len(models), len(models)))
    for i in range(len(models)):
        for j in range(len(models)):
            s10 = positive_patients / ((positive_patients - 1) * m) * np.dot(x[i], x[j])
            s01 = negative_patients / ((negative_patients - 1) * n) * np.dot(y[i], y[j])
            s11 = all_patients / (all_patients - 1) * (np.dot(x[i], y[j]) + np.dot(x[j], y[i]))
            covariance[i, j] = s10 / m + s01 / n + s11 / (m * n)
    return covariance


def draw_cases(seed, n=70, rounding=1.0):
    draw = np.random.default_rng(seed)
    labels = draw.random(n) < 0.4
    first = np.round((labels + draw.normal(size=n)) / rounding) * rounding
    return labels, first, 0.5 * first + draw.normal(size=n), np.array([f"p{i}" for i in draw.integers(0, 40, n)])


@pytest.mark.parametrize("rounding", [1e-9, 0.5])
def test_variance_equals_the_loop_over_pairs(rounding):
    labels, first, second, _ = draw_cases(1, rounding=rounding)
    one_image_each = np.arange(70).astype(str)
    covariance = covariance_by_loops([first, second], labels, one_image_each)
    result = delong_interval(first, labels, transform="none")
    assert result.value == pytest.approx(roc_auc_score(labels, first), rel=1e-12)
    assert result.se**2 == pytest.approx(covariance[0, 0], rel=1e-9)
    test = delong_test(first, second, labels)
    assert test.statistic == pytest.approx(
        test.difference / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), rel=1e-9
    )
    assert (test.n, test.unit) == (70, "images")


@pytest.mark.parametrize("rounding", [1e-9, 0.5])
def test_clustered_variance_equals_obuchowskis_formula(rounding):
    labels, first, second, patients = draw_cases(2, rounding=rounding)
    covariance = covariance_by_loops([first, second], labels, patients)
    test = delong_test(first, second, labels, patients=patients)
    assert test.statistic == pytest.approx(
        test.difference / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), rel=1e-9
    )
    assert (test.n, test.unit) == (len(set(patients)), "patients")
    assert "clustered by patient" in test.method.name


def test_a_second_equal_image_of_each_patient_adds_no_information():
    labels, first, second, _ = draw_cases(3)
    once = delong_test(first, second, labels)
    twice = [np.tile(values, 2) for values in (first, second, labels)]
    clustered = delong_test(*twice, patients=np.tile(np.arange(70), 2))
    assert clustered.p == pytest.approx(once.p, rel=1e-9)
    assert delong_test(*twice).p < once.p  # without patients the test is anti-conservative


def test_the_unpaired_test_adds_the_variances():
    labels, first, second, patients = draw_cases(4)
    result = delong_test_unpaired(first[:30], labels[:30], second[30:], labels[30:])
    errors = [delong_interval(s, y).se for s, y in ((first[:30], labels[:30]), (second[30:], labels[30:]))]
    assert result.statistic == pytest.approx(result.difference / np.hypot(*errors), rel=1e-12)
    assert result.n == 30
    clustered = delong_test_unpaired(
        first[:30], labels[:30], second[30:], labels[30:], first_patients=patients[:30], second_patients=patients[30:]
    )
    assert clustered.unit == "patients"


def test_the_logit_interval_stays_between_zero_and_one():
    labels = np.array([0] * 10 + [1] * 10, dtype=bool)
    scores = np.arange(20.0)
    scores[9] = 10.5
    plain, bounded = (delong_interval(scores, labels, transform=t) for t in ("none", "logit"))
    assert plain.high > 1
    assert 0 < bounded.low < bounded.value < bounded.high < 1
    # On the logit scale the interval is symmetric.
    low, middle, high = (np.log(a / (1 - a)) for a in (bounded.low, bounded.value, bounded.high))
    assert middle - low == pytest.approx(high - middle, rel=1e-9)


def test_an_interval_or_test_that_does_not_exist_has_a_reason():
    labels = np.array([0, 0, 1, 1])
    scores = np.array([1.0, 2.0, 3.0, 4.0])
    one_class = delong_interval(scores, np.ones(4))
    assert (one_class.value, one_class.low) == (None, None)
    assert "all 4 labels are positive" in one_class.reason
    assert "has no value" in one_class.sentence("AUROC")
    assert "all 4 labels are negative" in delong_test(scores, -scores, np.zeros(4)).reason
    perfect = delong_interval(scores, labels)
    assert (perfect.value, perfect.low) == (1.0, None)
    assert "variance is zero" in perfect.reason
    all_tied = delong_interval(np.ones(4), labels)
    assert (all_tied.value, all_tied.low) == (0.5, None)
    one_positive = delong_interval(scores, [0, 0, 0, 1])
    assert one_positive.value == 1.0
    assert "one patient has a positive image" in one_positive.reason
    one_patient = delong_test(scores, -scores, [0, 0, 1, 1], patients=["a", "b", "c", "c"])
    assert "one patient has a positive image" in one_patient.reason
    noisy = np.array([1.0, 3.0, 2.0, 4.0])
    equal = delong_test(noisy, 10 * noisy - 3, labels)
    assert equal.difference == 0
    assert "no test" in equal.reason
    assert equal.verdict() == "no test"


@pytest.mark.parametrize(
    ("scores", "labels", "patients", "message"),
    [
        ([0.1, np.nan], [0, 1], None, r"1 of 2 are not \(at 1\)"),
        ([0.1, 0.2], [0, 2], None, "bool, or 0 and 1"),
        ([0.1, 0.2], [0, 1, 1], None, r"labels must have shape \(2,\)"),
        ([0.1, 0.2], [0, 1], ["a"], r"patients must have shape \(2,\)"),
        ([0.1, 0.2], [0, 1], ["a", None], "no patient"),
        ([0.1, 0.2], [0, 1], [1.0, np.nan], "no patient"),
        ([], [], None, "at least one"),
    ],
)
def test_invalid_input_is_an_error(scores, labels, patients, message):
    with pytest.raises(ValueError, match=message):
        delong_interval(scores, labels, patients=patients)


def test_a_hundred_thousand_cases_are_tested_without_a_table_of_pairs():
    """A table of all pairs would have 2.4·10⁹ entries."""
    labels, first, second, _ = draw_cases(5, n=100_000)
    expected = roc_auc_score(labels, first) - roc_auc_score(labels, second)
    assert delong_test(first, second, labels).difference == pytest.approx(expected, rel=1e-9)


def test_means_over_seeds_on_the_same_cases_are_a_contrast_of_all_aurocs():
    """The contrast has 1/seeds for the first model and −1/seeds for the second."""
    draw = np.random.default_rng(4)
    labels, _, _, patients = draw_cases(4)
    first, second = (labels * shift + draw.normal(size=(3, 70)) for shift in (1.2, 0.8))
    covariance = covariance_by_loops([*first, *second], labels, patients)
    contrast = np.repeat([1 / 3, -1 / 3], 3)
    result = delong_test_over_seeds(first, second, [labels] * 3, patients=[patients] * 3)
    means = [np.mean([roc_auc_score(labels, s) for s in scores]) for scores in (first, second)]
    assert result.difference == pytest.approx(means[0] - means[1], rel=1e-12)
    assert result.statistic == pytest.approx(result.difference / np.sqrt(contrast @ covariance @ contrast), rel=1e-9)
    assert (result.n, result.unit) == (len(set(patients)), "patients")


def test_one_seed_is_the_plain_test_and_the_same_seed_twice_adds_no_information():
    labels, first, second, patients = draw_cases(5)
    once = delong_test(first, second, labels, patients=patients)
    for seeds in (1, 2):
        result = delong_test_over_seeds(
            [first] * seeds, [second] * seeds, [labels] * seeds, patients=[patients] * seeds
        )
        assert (result.difference, result.statistic) == pytest.approx((once.difference, once.statistic), rel=1e-12)
        assert result.n == once.n


def test_a_patient_who_is_tested_at_several_seeds_counts_once():
    """Overlapping test sets have the standard error of a bootstrap over patients; disjoint ones add variances."""
    draw = np.random.default_rng(6)
    patients = np.arange(240)
    truth = draw.random(240) < 0.4
    scores = [truth * 1.0 + draw.normal(size=240) for _ in range(2)]
    tested = [np.sort(draw.permutation(240)[:160]) for _ in range(4)]
    models = [[side[own] for own in tested] for side in scores]
    labels, names = [truth[own] for own in tested], [patients[own].astype(str) for own in tested]
    result = delong_test_over_seeds(*models, labels, patients=names)
    stacked = [np.column_stack([np.repeat(np.arange(4), 160), np.concatenate(side)]) for side in models]
    resampled = paired_bootstrap(
        *stacked,
        np.concatenate(labels),
        metric=mean_over_seeds(METRICS["auroc"]),
        patients=np.concatenate(names),
        replicates=600,
    )
    assert result.difference == pytest.approx(resampled.difference, rel=1e-9)
    assert result.high - result.low == pytest.approx(resampled.high - resampled.low, rel=0.12)
    halves = [patients[:120], patients[120:]]
    separate = [delong_test(*(side[own] for side in scores), truth[own], patients=own) for own in halves]
    both = delong_test_over_seeds(
        *[[side[own] for own in halves] for side in scores], [truth[own] for own in halves], patients=halves
    )
    errors = [one.difference / one.statistic for one in separate]
    assert both.difference / both.statistic == pytest.approx(np.hypot(*errors) / 2, rel=1e-9)


def test_a_seed_without_a_class_leaves_no_test_over_seeds():
    labels, first, second, patients = draw_cases(7)
    result = delong_test_over_seeds(
        [first, first], [second, second], [labels, np.ones(70, bool)], patients=[patients] * 2
    )
    assert result.p is None
    assert result.reason == "at one of the seeds, all 70 labels are positive, so AUROC is undefined"
