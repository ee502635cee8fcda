"""Weighted metrics against scikit-learn; the bootstrap against SciPy, and under changes that must not matter."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from f2vbench.stats.bootstrap import bootstrap_interval, paired_bootstrap
from f2vbench.stats.weighted_metrics import METRICS, make_metric

DRAW = np.random.default_rng(0)
LABELS = DRAW.random(80) < 0.4
SCORES = np.round(LABELS + DRAW.normal(size=80), 1)
WEIGHTS = DRAW.multinomial(80, np.full(80, 1 / 80), size=6)
CLASSES = DRAW.integers(0, 3, 80)
CLASS_SCORES = DRAW.dirichlet(np.ones(3), 80) + np.eye(3)[CLASSES] / 3
CALLS = SCORES > 0.5

BY_SKLEARN = {
    "auroc": (SCORES, LABELS, lambda w: metrics.roc_auc_score(LABELS, SCORES, sample_weight=w)),
    "average_precision": (SCORES, LABELS, lambda w: metrics.average_precision_score(LABELS, SCORES, sample_weight=w)),
    "macro_auroc": (
        CLASS_SCORES,
        CLASSES,
        lambda w: metrics.roc_auc_score(np.eye(3)[CLASSES], CLASS_SCORES, average="macro", sample_weight=w),
    ),
    "macro_average_precision": (
        CLASS_SCORES,
        CLASSES,
        lambda w: metrics.average_precision_score(np.eye(3)[CLASSES], CLASS_SCORES, sample_weight=w),
    ),
    "accuracy": (CALLS, LABELS, lambda w: metrics.accuracy_score(LABELS, CALLS, sample_weight=w)),
    "balanced_accuracy": (CALLS, LABELS, lambda w: metrics.balanced_accuracy_score(LABELS, CALLS, sample_weight=w)),
    "sensitivity": (CALLS, LABELS, lambda w: metrics.recall_score(LABELS, CALLS, sample_weight=w)),
    "specificity": (CALLS, LABELS, lambda w: metrics.recall_score(~LABELS, ~CALLS, sample_weight=w)),
    "dice": (CALLS, LABELS, lambda w: metrics.f1_score(LABELS, CALLS, sample_weight=w)),
    "mean": (SCORES, None, lambda w: np.average(SCORES, weights=w)),
    "ratio": (np.abs(CLASS_SCORES[:, :2]), None, lambda w: np.divide(*(w @ np.abs(CLASS_SCORES[:, :2])))),
    "mean_of_ratios": (
        np.column_stack([SCORES * (CLASSES == 0), SCORES * (CLASSES == 1), CLASSES == 0, CLASSES == 1]),
        None,
        lambda w: np.mean([np.average(SCORES[group == CLASSES], weights=w[group == CLASSES]) for group in (0, 1)]),
    ),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_weights_is_scikit_learns(name):
    predictions, labels, of = BY_SKLEARN[name]
    found = METRICS[name].prepare(predictions, labels)(WEIGHTS.astype(float))
    np.testing.assert_allclose(found, [of(w) for w in WEIGHTS], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].rank_based])
def test_a_metric_of_many_pairs_is_the_same_by_sums(name, monkeypatch):
    predictions, labels, _ = BY_SKLEARN[name]
    weights = WEIGHTS * np.arange(6)[:, None]  # a resample without any case as well
    by_pairs = METRICS[name].prepare(predictions, labels)(weights.astype(float))
    monkeypatch.setattr("f2vbench.stats.weighted_metrics._PAIRS_A_CASE", 0)
    by_sums = METRICS[name].prepare(predictions, labels)(weights.astype(float))
    assert np.isnan(by_sums[0])
    np.testing.assert_allclose(by_pairs, by_sums, rtol=1e-14)


def test_any_function_of_predictions_and_labels_is_a_metric():
    def by_pairs(scores, labels):
        won = np.sign(scores[labels][:, None] - scores[~labels])
        return float(won.mean() / 2 + 0.5) if labels.any() and not labels.all() else None

    fast = METRICS["auroc"].prepare(SCORES, LABELS)(WEIGHTS.astype(float))
    np.testing.assert_allclose(make_metric(by_pairs).prepare(SCORES, LABELS)(WEIGHTS.astype(float)), fast, rtol=1e-12)
    second = SCORES + np.random.default_rng(1).normal(size=80)
    slow = paired_bootstrap(SCORES, second, LABELS, metric=by_pairs, replicates=200)
    named = paired_bootstrap(SCORES, second, LABELS, metric="auroc", replicates=200)
    assert (slow.low, slow.high, slow.p) == pytest.approx((named.low, named.high, named.p), rel=1e-9)


@pytest.mark.parametrize(("kind", "scipys"), [("percentile", "percentile"), ("bca", "BCa")])
def test_intervals_of_a_skewed_mean_equal_scipys(kind, scipys):
    values = np.random.default_rng(3).exponential(size=25)
    found = bootstrap_interval(values, metric="mean", kind=kind, replicates=20_000, seed=5)
    expected = stats.bootstrap((values,), np.mean, method=scipys, n_resamples=20_000, random_state=1)
    width = found.high - found.low
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.02 * width)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.02 * width)
    assert found.se == pytest.approx(expected.standard_error, rel=0.03)


@pytest.mark.parametrize("kind", ["bca", "percentile"])
def test_p_and_interval_never_disagree(kind):
    verdicts = []
    for seed in range(25):
        draw = np.random.default_rng(seed)
        values = draw.exponential(size=20) - draw.uniform(0.2, 1)
        found = paired_bootstrap(values, np.zeros(20), metric="mean", replicates=400, kind=kind, seed=seed)
        if abs(found.p - 0.05) > 0.005:  # between two replicates either may be
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
            verdicts.append(found.verdict())
    assert {"better", "not significant"} <= set(verdicts)


def test_the_order_of_images_does_not_matter_and_the_seed_does():
    patients = np.array([f"p{i:02d}" for i in np.arange(80) // 2])
    second = SCORES + np.random.default_rng(1).normal(size=80)
    whole = paired_bootstrap(SCORES, second, LABELS, patients=patients, replicates=300, seed=("rite", 3))
    order = np.random.default_rng(2).permutation(80)
    shuffled = paired_bootstrap(
        SCORES[order], second[order], LABELS[order], patients=patients[order], replicates=300, seed=("rite", 3)
    )
    assert (shuffled.low, shuffled.high, shuffled.p) == pytest.approx((whole.low, whole.high, whole.p), rel=1e-12)
    assert paired_bootstrap(SCORES, second, LABELS, patients=patients, replicates=300, seed=4).low != whole.low


def test_copies_of_a_patients_image_add_nothing():
    draw = np.random.default_rng(4)
    values = draw.normal(0.2, 1, 40)
    once = bootstrap_interval(values, metric="mean", patients=np.arange(40), replicates=500)
    thrice = bootstrap_interval(np.tile(values, 3), metric="mean", patients=np.tile(np.arange(40), 3), replicates=500)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), rel=1e-12)
    fooled = bootstrap_interval(np.tile(values, 3), metric="mean", replicates=500)
    assert fooled.high - fooled.low < 0.7 * (once.high - once.low)


def test_strata_keep_a_rare_class():
    labels = np.zeros(60, dtype=bool)
    labels[:2] = True
    scores = labels + np.random.default_rng(7).normal(size=60)
    loose = bootstrap_interval(scores, labels, replicates=500, kind="percentile")
    assert loose.low is None
    assert "too few patients of a class" in loose.reason
    kept = bootstrap_interval(scores, labels, strata=labels, replicates=500, kind="percentile")
    assert 0 <= kept.low < kept.high <= 1
    assert kept.note == ""
    with pytest.raises(ValueError, match="1 patients have images in several strata"):
        bootstrap_interval(scores, labels, strata=labels, patients=np.r_[np.arange(59), 0])


def test_a_few_undefined_replicates_are_counted():
    labels = np.zeros(40, dtype=bool)
    labels[:4] = True
    found = bootstrap_interval(labels + np.random.default_rng(7).normal(size=40), labels, replicates=2_000)
    assert found.low is not None
    count = int(found.note.split()[0])
    # No positive among 40 draws: 0.9⁴⁰ = 1.5 %.
    assert count / 2_000 == pytest.approx(0.9**40, abs=0.01)


def test_what_cannot_be_had_is_said():
    absent = paired_bootstrap(SCORES, -SCORES, np.ones(80))
    assert (absent.difference, absent.p) == (None, None)
    assert "undefined" in absent.reason
    same = paired_bootstrap(SCORES, 2 * SCORES, LABELS, replicates=100)
    assert same.difference == 0
    assert "every replicate gives the same value" in same.reason
    assert same.verdict() == "no test"
    perfect = bootstrap_interval(LABELS.astype(float), LABELS, replicates=100)
    assert (perfect.value, perfect.low) == (1.0, None)
    lone = bootstrap_interval(SCORES, LABELS, patients=np.zeros(80))
    assert "one patient only" in lone.reason
    one_positive = bootstrap_interval(SCORES, np.arange(80) == 3, strata=np.arange(80) == 3, replicates=100)
    assert "kind='percentile' goes on" in one_positive.reason


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"metric": "aurc"}, "no metric 'aurc'"),
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
def test_wrong_arrays_are_refused(words, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(**{"first": SCORES, "second": SCORES[::-1], "labels": LABELS} | words)


def test_two_thousand_replicates_of_a_thousand_images_take_less_than_two_seconds():
    draw = np.random.default_rng(8)
    labels = draw.random(1_000) < 0.3
    first, second = labels + draw.normal(size=1_000), labels + draw.normal(size=1_000)
    started = time.process_time()
    paired_bootstrap(first, second, labels, patients=np.arange(1_000) // 2, replicates=2_000)
    assert time.process_time() - started < 2
