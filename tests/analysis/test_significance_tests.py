"""Significance tests of two models, compared with SciPy, known standard errors and slow implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import roc_auc_score

from f2vbench import Results
from f2vbench.analysis.comparisons import ModelComparison
from f2vbench.analysis.paired_predictions import PairedCases
from f2vbench.analysis.significance_tests import permute_cases
from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.delong import delong_test_over_seeds
from f2vbench.stats.gee import gee_difference_test
from f2vbench.stats.weighted_metrics import METRICS, make_metric, mean_over_classes, mean_over_seeds
from f2vbench.store.runs import RunFolder
from tests.helpers.stored_runs import grid, unit_record, write_run


def compare_pair(results: Results, metric: str = "auroc") -> ModelComparison:
    """Comparison of the models a and b."""
    return next(each for each in results.comparisons([metric]) if {each.first, each.second} == {"a", "b"})


def values_by_seed(results: Results):
    """AUROC of each encoder by seed."""
    rows = results.frame[results.frame.metric == "auroc"]
    return rows.pivot(index="seed", columns="encoder", values="value")


def test_the_t_test_is_scipys_and_the_corrected_test_accounts_for_overlapping_splits():
    results = Results(grid({"a": 0.8, "b": 0.79, "baseline": 0.7}, baselines=["baseline"], spread=0.03))
    comparison, values = compare_pair(results), values_by_seed(results)
    expected = scipy_stats.ttest_rel(values.a, values.b)
    assert comparison.t_test.p == pytest.approx(expected.pvalue)
    # Half of 20 patients are tested at each seed, so test ÷ train is 1: t shrinks by √((1/5 + 1) ÷ (1/5)).
    corrected = comparison.tests["corrected"]
    assert corrected.statistic == pytest.approx(expected.statistic / np.sqrt((1 / 5 + 1) / (1 / 5)))
    assert comparison.tests["bootstrap"].difference == pytest.approx(comparison.means[0] - comparison.means[1])


def test_further_tests_are_scipys_and_the_effect_size_is_hedges():
    results = Results(grid({"a": 0.8, "b": 0.79}, spread=0.03))
    comparison, values = compare_pair(results), values_by_seed(results)
    difference = values.a - values.b
    tests = comparison.tests
    assert tests["paired"] == comparison.t_test
    assert tests["welch"].p == pytest.approx(scipy_stats.ttest_ind(values.a, values.b, equal_var=False).pvalue)
    assert tests["wilcoxon"].p == pytest.approx(scipy_stats.wilcoxon(values.a, values.b).pvalue)
    assert tests["wilcoxon"].smallest_p == 0.0625
    assert comparison.effect_size.value == pytest.approx(difference.mean() / difference.std() * np.sqrt(2 / np.pi))
    assert "mean over images" in tests["delong"].reason
    per_image = {name: results.per_image.query("encoder == @name and metric == 'auroc'") for name in ("a", "b")}
    of_images = [frame.groupby("image").value.mean() for frame in per_image.values()]
    expected = gee_difference_test(*of_images, patients=of_images[0].index)  # each image is of another patient
    assert tests["gee"].p == pytest.approx(expected.p)
    assert tests["gee"].difference == pytest.approx(expected.difference)
    assert tests["predictions"].reason == "the papers test predictions in classification only"
    assert compare_pair(results, "dice").tests["delong"].reason == "DeLong's test applies to AUROC only"


def test_a_patient_is_drawn_at_all_seeds():
    """With one image per patient and equal test sets, replicates are means over the drawn patients."""
    rng = np.random.default_rng(0)
    images = [f"eye{n}" for n in range(12)]
    values = {name: rng.uniform(0.6, 0.9, (3, 12)) for name in ("a", "b")}
    records = [
        unit_record(
            name,
            seed=seed,
            images={image: {"auroc": float(value)} for image, value in zip(images, of_seed, strict=True)},
            support=[f"s{seed}"],
        )
        for name, of_model in values.items()
        for seed, of_seed in enumerate(of_model)
    ]
    comparison = compare_pair(Results(records))
    difference = (values[comparison.first] - values[comparison.second]).mean(axis=0)
    # The standard error of a bootstrapped mean is known: population deviation ÷ √n.
    interval = comparison.tests["bootstrap"]
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(difference.std() / np.sqrt(12), rel=0.15)
    assert interval.n == 12
    assert comparison.t_test.variation == ("episode", "head seed")
    assert comparison.tests["corrected"].p is None
    assert "same images" in comparison.tests["corrected"].reason


def test_both_eyes_of_a_patient_are_drawn_together():
    rng = np.random.default_rng(3)
    images, patients = [f"eye{n}" for n in range(40)], [f"p{n // 2}" for n in range(40)]
    shift = np.repeat(rng.normal(0.02, 0.05, 20), 2)
    records = [
        unit_record(
            name,
            images={image: {"auroc": float(value)} for image, value in zip(images, values, strict=True)},
            patients=patients,
        )
        for name, values in {"a": 0.8 + shift, "b": np.full(40, 0.8)}.items()
    ]
    interval = compare_pair(Results(records)).tests["bootstrap"]
    assert interval.n == 20
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * shift.std() / np.sqrt(20), rel=0.2)


def test_classification_resamples_stored_probabilities(tmp_path):
    rng = np.random.default_rng(2)
    run = RunFolder(write_run(tmp_path / "run", []))
    images, truth = [f"eye{n:02d}" for n in range(60)], np.tile([0, 1], 30)
    scores: dict[str, list[np.ndarray]] = {"a": [], "b": []}
    for name, signal in {"a": 1.5, "b": 0.3}.items():
        for seed in (0, 1):
            positive = 1 / (1 + np.exp(-(signal * (truth - 0.5) + rng.normal(0, 0.7, 60))))
            probabilities = np.stack([1 - positive, positive], axis=1).astype(np.float32)
            scores[name].append(probabilities[:, 1])
            record = unit_record(
                name,
                family="classification",
                seed=seed,
                images={image: {"correct": 1.0} for image in images},
                metrics={"auroc": roc_auc_score(truth, probabilities[:, 1])},
            )
            targets = np.eye(2)[truth].astype(np.uint8)
            stored = run.put_predictions({"probabilities": probabilities, "targets": targets})
            record["result"] |= {"predictions": stored, "images": images, "label_kind": "binary", "classes": ["x", "y"]}
            run.write(f"{name}-{seed}", record)
    comparison = compare_pair(Results.load(tmp_path / "run"))
    difference = pytest.approx(comparison.means[0] - comparison.means[1], abs=1e-6)
    assert comparison.tests["bootstrap"].n == 60
    assert comparison.tests["bootstrap"].difference == difference
    assert comparison.tests["bootstrap"].low > 0
    assert comparison.tests["bootstrap"].verdict() == "better"
    delong = delong_test_over_seeds(scores["a"], scores["b"], [truth] * 2, patients=[images] * 2)
    assert comparison.tests["delong"].p == pytest.approx(delong.p, rel=1e-6)
    assert comparison.tests["delong"].difference == difference
    assert comparison.tests["permutation"].difference == difference
    assert comparison.tests["permutation"].p < 0.05
    means = {name: np.mean(values, axis=0, dtype=float) for name, values in scores.items()}
    for name, function in (("predictions", scipy_stats.ttest_rel), ("predictions-unpaired", scipy_stats.ttest_ind)):
        test, expected = comparison.tests[name], function(means[comparison.first], means[comparison.second])
        assert (test.n, test.unit) == (60, "images")
        assert (test.statistic, test.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_an_offset_of_the_scores_at_one_seed_does_not_change_the_permutation_test(offset):
    """AUROC depends on the ranks within a seed, so heads with different scales of scores must give the same p."""
    rng, truth = np.random.default_rng(2), np.tile([0, 1], 30)
    first, second = (truth * signal + rng.normal(0, 0.7, (2, 60)) for signal in (2.5, 0.3))
    first[1] += offset
    seeds = np.repeat([0, 1], 60)
    stacked = [np.column_stack([seeds, side.ravel()]) for side in (first, second)]
    patients = np.array([f"p{n}" for n in range(60)] * 2)
    cases = PairedCases(*stacked, np.tile(truth, 2), patients, METRICS["auroc"])
    assert permute_cases(cases, 199).p == pytest.approx(1 / 200)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_bootstrap_of_a_mean_over_classes_equals_a_slow_loop(multi_label):
    """Macro AUROC of three classes, two seeds, and two images per patient."""
    rng = np.random.default_rng(8)
    truth = np.eye(3, dtype=int)[np.arange(48) % 3]
    if multi_label:
        truth = (rng.random((48, 3)) < 0.4).astype(int)
    sides = [truth * signal + rng.normal(0, 1, (2, 48, 3)) for signal in (1.2, 0.9)]
    stacked = [np.column_stack([np.repeat([0, 1], 48), side.reshape(96, 3)]) for side in sides]
    labels, patients = np.concatenate([truth, truth]), np.tile(np.repeat(np.arange(24), 2), 2)

    def auroc(scores, labels):
        difference = scores[labels == 1][:, None] - scores[labels == 0]
        return np.mean(difference > 0) + np.mean(difference == 0) / 2

    def mean_auroc(predictions, labels):
        seeds = [predictions[:, 0] == seed for seed in (0, 1)]
        return np.mean([auroc(predictions[rows, 1 + c], labels[rows, c]) for rows in seeds for c in range(3)])

    fast, slow = (
        paired_bootstrap(*stacked, labels, metric=metric, patients=patients, replicates=199)
        for metric in (mean_over_seeds(mean_over_classes("auroc")), make_metric(mean_auroc))
    )
    assert (fast.difference, fast.low, fast.high, fast.p) == pytest.approx(
        (slow.difference, slow.low, slow.high, slow.p), rel=1e-9
    )


def test_without_a_shared_seed_only_welchs_test_is_possible():
    records = list(grid({"a": 0.8, "b": 0.7}, seeds=4, spread=0.05))
    records = [r for r in records if (r["unit"]["encoder"] == "a") == (r["unit"]["seed"] < 2)]
    comparison = compare_pair(Results(records))
    for name in ("paired", "wilcoxon", "permutation"):
        assert comparison.tests[name].reason == "no seed in common"
    assert comparison.effect_size.value is None
    assert comparison.tests["welch"].p is not None


def test_a_metric_that_is_not_a_mean_and_has_no_predictions_has_no_test_over_patients():
    records = [
        unit_record(
            name,
            seed=seed,
            images={f"eye{n}": {"dice": 0.5 + seed / 10} for n in range(5)},
            metrics={"dice_pooled": 0.9 if name == "a" else 0.8 + seed / 50},
        )
        for name in ("a", "b")
        for seed in (0, 1, 2)
    ]
    comparison = compare_pair(Results(records), "dice_pooled")
    assert comparison.t_test.p is not None
    assert comparison.tests["bootstrap"].p is None
    assert "not a mean over images" in comparison.tests["bootstrap"].reason


def test_one_seed_has_a_test_over_patients_alone():
    comparison = compare_pair(Results(grid({"a": 0.9, "b": 0.8}, seeds=1)))
    assert comparison.t_test.p is None
    assert "at least two shared seeds" in comparison.t_test.reason
    assert comparison.tests["bootstrap"].p < 0.05
    assert comparison.significance == "significant"
    assert comparison.crossed.variation == ("test patients",)
