"""Bootstrap intervals and tests against SciPy, and under changes that must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from f2vbench.stats.bootstrap import bootstrap_interval, paired_bootstrap
from f2vbench.stats.weighted_metrics import METRICS

DRAW = np.random.default_rng(0)
LABELS = DRAW.random(80) < 0.4
SCORES = np.round(LABELS + DRAW.normal(size=80), 1)
OTHER_SCORES = SCORES + np.random.default_rng(1).normal(size=80)


@pytest.mark.parametrize(("kind", "scipy_method"), [("percentile", "percentile"), ("bca", "BCa")])
def test_intervals_of_a_skewed_mean_equal_scipy(kind, scipy_method):
    values = np.random.default_rng(3).exponential(size=25)
    interval = bootstrap_interval(values, metric="mean", kind=kind, replicates=20_000, seed=5)
    expected = stats.bootstrap((values,), np.mean, method=scipy_method, n_resamples=20_000, random_state=1)
    width = interval.high - interval.low
    assert interval.low == pytest.approx(expected.confidence_interval.low, abs=0.02 * width)
    assert interval.high == pytest.approx(expected.confidence_interval.high, abs=0.02 * width)
    assert interval.se == pytest.approx(expected.standard_error, rel=0.03)


@pytest.mark.parametrize("kind", ["bca", "percentile"])
def test_p_and_interval_agree(kind):
    verdicts = []
    for seed in range(25):
        draw = np.random.default_rng(seed)
        values = draw.exponential(size=20) - draw.uniform(0.2, 1)
        test = paired_bootstrap(values, np.zeros(20), metric="mean", replicates=400, kind=kind, seed=seed)
        if abs(test.p - 0.05) > 0.005:  # between two replicates either verdict is possible
            assert (test.p < 0.05) == (test.low > 0 or test.high < 0)
            verdicts.append(test.verdict())
    assert {"better", "not significant"} <= set(verdicts)


def test_any_function_of_predictions_and_labels_is_a_metric():
    def auroc_of_pairs(scores, labels):
        won = np.sign(scores[labels][:, None] - scores[~labels])
        return float(won.mean() / 2 + 0.5) if labels.any() and not labels.all() else None

    function = paired_bootstrap(SCORES, OTHER_SCORES, LABELS, metric=auroc_of_pairs, replicates=200)
    named = paired_bootstrap(SCORES, OTHER_SCORES, LABELS, metric="auroc", replicates=200)
    assert (function.low, function.high, function.p) == pytest.approx((named.low, named.high, named.p), rel=1e-9)


def test_the_seed_matters_and_the_order_of_images_does_not():
    patients = np.array([f"p{i:02d}" for i in np.arange(80) // 2])
    whole = paired_bootstrap(SCORES, OTHER_SCORES, LABELS, patients=patients, replicates=300, seed=("rite", 3))
    order = np.random.default_rng(2).permutation(80)
    shuffled = paired_bootstrap(
        SCORES[order], OTHER_SCORES[order], LABELS[order], patients=patients[order], replicates=300, seed=("rite", 3)
    )
    assert (shuffled.low, shuffled.high, shuffled.p) == pytest.approx((whole.low, whole.high, whole.p), rel=1e-12)
    other_seed = paired_bootstrap(SCORES, OTHER_SCORES, LABELS, patients=patients, replicates=300, seed=4)
    assert other_seed.low != whole.low


def test_repeated_images_of_a_patient_add_no_information():
    draw = np.random.default_rng(4)
    values = draw.normal(0.2, 1, 40)
    once = bootstrap_interval(values, metric="mean", patients=np.arange(40), replicates=500)
    thrice = bootstrap_interval(np.tile(values, 3), metric="mean", patients=np.tile(np.arange(40), 3), replicates=500)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), rel=1e-12)
    without_patients = bootstrap_interval(np.tile(values, 3), metric="mean", replicates=500)
    assert without_patients.high - without_patients.low < 0.7 * (once.high - once.low)


def test_strata_preserve_a_rare_class():
    labels = np.zeros(60, dtype=bool)
    labels[:2] = True
    scores = labels + np.random.default_rng(7).normal(size=60)
    unstratified = bootstrap_interval(scores, labels, replicates=500, kind="percentile")
    assert unstratified.low is None
    assert "too few patients of a class" in unstratified.reason
    stratified = bootstrap_interval(scores, labels, strata=labels, replicates=500, kind="percentile")
    assert 0 <= stratified.low < stratified.high <= 1
    assert stratified.note == ""
    with pytest.raises(ValueError, match="1 patients have images in more than one stratum"):
        bootstrap_interval(scores, labels, strata=labels, patients=np.r_[np.arange(59), 0])


def test_a_few_undefined_replicates_are_counted():
    labels = np.zeros(40, dtype=bool)
    labels[:4] = True
    interval = bootstrap_interval(labels + np.random.default_rng(7).normal(size=40), labels, replicates=2_000)
    assert interval.low is not None
    count = int(interval.note.split()[0])
    # No positive among 40 draws: 0.9⁴⁰ = 1.5 %.
    assert count / 2_000 == pytest.approx(0.9**40, abs=0.01)


def test_an_interval_that_does_not_exist_has_a_reason():
    one_class = paired_bootstrap(SCORES, -SCORES, np.ones(80))
    assert (one_class.difference, one_class.p) == (None, None)
    assert "undefined" in one_class.reason
    equal = paired_bootstrap(SCORES, 2 * SCORES, LABELS, replicates=100)
    assert equal.difference == 0
    assert "every replicate has the same value" in equal.reason
    assert equal.verdict() == "no test"
    perfect = bootstrap_interval(LABELS.astype(float), LABELS, replicates=100)
    assert (perfect.value, perfect.low) == (1.0, None)
    one_patient = bootstrap_interval(SCORES, LABELS, patients=np.zeros(80))
    assert "at least two patients" in one_patient.reason
    one_positive = bootstrap_interval(SCORES, np.arange(80) == 3, strata=np.arange(80) == 3, replicates=100)
    assert "use kind='percentile'" in one_positive.reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "aurc"}, "unknown metric 'aurc'"),
        ({"kind": "basic"}, "bca or percentile"),
        ({"replicates": 10}, "at least 100"),
        ({"metric": "ratio"}, r"\(n, 2\)"),
        ({"metric": "macro_auroc"}, "macro metric"),
        ({"metric": "dice"}, "bool, or 0 and 1"),
        ({"labels": None}, r"\(n,\) labels"),
        ({"labels": LABELS[:5]}, "labels"),
        ({"first": np.full(80, np.nan)}, "80 of 80 are not"),
        ({"first": SCORES[:9]}, "same cases"),
    ],
)
def test_invalid_input_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(**{"first": SCORES, "second": SCORES[::-1], "labels": LABELS} | arguments)


def test_replicates_are_computed_in_large_batches():
    """2,000 replicates of 1,000 images need a few calls of the metric, not one for each replicate."""
    draw = np.random.default_rng(8)
    labels = draw.random(1_000) < 0.3
    first, second = labels + draw.normal(size=1_000), labels + draw.normal(size=1_000)
    batches = []

    def prepare(predictions, truth):
        compute = METRICS["auroc"].prepare(predictions, truth)

        def count_and_compute(weights):
            batches.append(len(weights))
            return compute(weights)

        return count_and_compute

    metric = replace(METRICS["auroc"], prepare=prepare)
    paired_bootstrap(first, second, labels, metric=metric, patients=np.arange(1_000) // 2, replicates=2_000)
    assert sum(batches) == 2 * (1 + 2_000)  # both models: all cases once, then every replicate
    assert len(batches) <= 2 * (1 + 20)
