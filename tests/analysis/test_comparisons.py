"""Comparisons between models: which pairs, over what, and when a difference is called sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from f2vbench import Results
from f2vbench.analysis.comparisons import ModelPair, select_key_pairs
from f2vbench.analysis.paired_predictions import PairedCases
from f2vbench.analysis.significance_tests import permute_cases
from f2vbench.errors import SettingsError
from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.delong import delong_test_over_seeds
from f2vbench.stats.multiple_testing import bootstrap_replicates
from f2vbench.stats.procedure import Procedure
from f2vbench.stats.weighted_metrics import METRICS, make_metric, mean_over_classes, mean_over_seeds
from f2vbench.store.runs import RunFolder
from f2vbench.utils.progress import Silent
from tests.helpers.stored_runs import grid, unit_record, write_run


def by_pair(results, metric="auroc", **words):
    return {(each.first, each.second): each for each in results.comparisons([metric], **words)}


def test_the_papers_test_is_scipys_and_the_corrected_one_is_wider_by_the_overlap():
    results = Results(grid({"a": 0.8, "b": 0.79, "baseline": 0.7}, baselines=["baseline"], spread=0.03))
    each = by_pair(results)["a", "b"]
    values = results.frame[results.frame.metric == "auroc"].pivot(index="seed", columns="encoder", values="value")
    expected = scipy_stats.ttest_rel(values.a, values.b)
    assert each.t_test.p == pytest.approx(expected.pvalue)
    # Half of 20 patients are tested at each seed, so test ÷ train is 1: t shrinks by √((1/5 + 1) ÷ (1/5)).
    assert each.tests["corrected"].statistic == pytest.approx(expected.statistic / np.sqrt((1 / 5 + 1) / (1 / 5)))
    assert each.over_patients.difference == pytest.approx(each.means[0] - each.means[1])


def test_patients_are_resampled_together_over_all_seeds():
    """With one image a patient and the same test set at every seed, replicates are means over drawn patients."""
    draw = np.random.default_rng(0)
    images = [f"eye{n}" for n in range(12)]
    records = []
    values = {name: draw.uniform(0.6, 0.9, (3, 12)) for name in ("a", "b")}
    for name, held in values.items():
        for seed in range(3):
            one = {image: {"auroc": float(v)} for image, v in zip(images, held[seed], strict=True)}
            records.append(unit_record(name, seed=seed, images=one, support=[f"s{seed}"]))
    each = next(iter(by_pair(Results(records)).values()))
    difference = (values[each.first] - values[each.second]).mean(axis=0)
    # The standard error of a bootstrapped mean is known: population deviation ÷ √n.
    expected = difference.std() / np.sqrt(12)
    assert (each.over_patients.high - each.over_patients.low) / (2 * 1.96) == pytest.approx(expected, rel=0.15)
    assert each.over_patients.n == 12
    assert each.t_test.variation == ("episode", "head seed")
    assert each.tests["corrected"].p is None
    assert "same images" in each.tests["corrected"].reason


def test_two_eyes_of_a_patient_are_drawn_together():
    draw = np.random.default_rng(3)
    images = [f"eye{n}" for n in range(40)]
    shared = np.repeat(draw.normal(0.02, 0.05, 20), 2)
    records = []
    for name, values in {"a": 0.8 + shared, "b": np.full(40, 0.8)}.items():
        one = {image: {"auroc": float(v)} for image, v in zip(images, values, strict=True)}
        records += [unit_record(name, images=one, patients=[f"p{n // 2}" for n in range(40)])]
    each = next(iter(by_pair(Results(records)).values()))
    assert each.over_patients.n == 20
    width = each.over_patients.high - each.over_patients.low
    assert width == pytest.approx(2 * 1.96 * shared.std() / np.sqrt(20), rel=0.2)


def test_classification_resamples_stored_probabilities(tmp_path):
    draw = np.random.default_rng(2)
    folder = write_run(tmp_path / "run", [])
    run = RunFolder(folder)
    images = [f"eye{n:02d}" for n in range(60)]
    truth = np.tile([0, 1], 30)
    for name, signal in {"a": 1.5, "b": 0.3}.items():
        for seed in (0, 1):
            scores = 1 / (1 + np.exp(-(signal * (truth - 0.5) + draw.normal(0, 0.7, 60))))
            stored = np.stack([1 - scores, scores], axis=1).astype(np.float32)
            record = unit_record(
                name,
                family="classification",
                seed=seed,
                images={image: {"correct": 1.0} for image in images},
                metrics={"auroc": roc_auc_score(truth, stored[:, 1])},
            )
            kept = run.put_predictions({"probabilities": stored, "targets": np.eye(2)[truth].astype(np.uint8)})
            record["result"] |= {"predictions": kept, "images": images, "label_kind": "binary", "classes": ["x", "y"]}
            run.write(f"{name}-{seed}", record)
    results = Results.load(folder)
    each = by_pair(results)["a", "b"]
    assert each.over_patients.n == 60
    assert each.over_patients.difference == pytest.approx(each.means[0] - each.means[1], abs=1e-6)
    assert each.over_patients.low > 0
    assert each.over_patients.verdict() == "better"
    held = [run.get_predictions(record["result"]["predictions"]["sha256"]) for record in results.records]
    scores = {
        (record["unit"]["encoder"], record["unit"]["seed"]): predicted["probabilities"][:, 1]
        for record, predicted in zip(results.records, held, strict=True)
    }
    sides = [[scores[name, seed] for seed in (0, 1)] for name in "ab"]
    delong = delong_test_over_seeds(*sides, [truth] * 2, patients=[images] * 2)
    assert each.tests["delong"].p == pytest.approx(delong.p, rel=1e-6)
    assert each.tests["delong"].difference == pytest.approx(each.means[0] - each.means[1], abs=1e-6)
    assert each.tests["permutation"].difference == pytest.approx(each.means[0] - each.means[1], abs=1e-6)
    assert each.tests["permutation"].p < 0.05
    # Heads whose scores lie elsewhere at one seed rank the same images alike, and the swap test must not see it.
    rows = np.repeat([0, 1], 60)
    for offset in (0.0, 5.0):
        first, second = (
            np.column_stack([rows, np.concatenate([side[0], side[1] + shift])])
            for side, shift in zip(sides, (offset, 0.0), strict=True)
        )
        shifted = PairedCases(first, second, np.tile(truth, 2), np.array(images * 2), METRICS["auroc"])
        assert permute_cases(shifted, 199).p == pytest.approx(1 / 200)


@pytest.mark.parametrize("several", [False, True])
def test_the_bootstrap_of_a_mean_over_classes_is_a_slow_loops(several):
    """One class an image (macro AUROC) and several classes an image, two seeds, two images a patient."""
    draw = np.random.default_rng(8)
    truth = np.eye(3, dtype=int)[np.arange(48) % 3]
    if several:
        truth = (draw.random((48, 3)) < 0.4).astype(int)
    sides = [truth * signal + draw.normal(0, 1, (2, 48, 3)) for signal in (1.2, 0.9)]
    stacked = [np.column_stack([np.repeat([0, 1], 48), side.reshape(96, 3)]) for side in sides]
    labels, patients = np.concatenate([truth, truth]), np.tile(np.repeat(np.arange(24), 2), 2)

    def auroc(scores, own):
        won = scores[own == 1][:, None] - scores[own == 0]
        return np.mean(won > 0) + np.mean(won == 0) / 2

    def slow(predictions, own):
        seeds = [predictions[:, 0] == seed for seed in (0, 1)]
        return np.mean([auroc(predictions[rows, 1 + c], own[rows, c]) for rows in seeds for c in range(3)])

    words = {"patients": patients, "replicates": 199}
    fast = paired_bootstrap(*stacked, labels, metric=mean_over_seeds(mean_over_classes("auroc")), **words)
    expected = paired_bootstrap(*stacked, labels, metric=make_metric(slow), **words)
    assert (fast.difference, fast.low, fast.high, fast.p) == pytest.approx(
        (expected.difference, expected.low, expected.high, expected.p), rel=1e-9
    )


def test_the_other_tests_are_scipys_and_the_effect_is_hedges():
    results = Results(grid({"a": 0.8, "b": 0.79}, spread=0.03))
    each = by_pair(results)["a", "b"]
    values = results.frame[results.frame.metric == "auroc"].pivot(index="seed", columns="encoder", values="value")
    difference = values.a - values.b
    assert each.tests["paired"] == each.t_test
    assert each.tests["welch"].p == pytest.approx(scipy_stats.ttest_ind(values.a, values.b, equal_var=False).pvalue)
    assert each.tests["wilcoxon"].p == pytest.approx(scipy_stats.wilcoxon(values.a, values.b).pvalue)
    assert each.tests["wilcoxon"].smallest_p == 0.0625
    assert each.effect_size.value == pytest.approx(difference.mean() / difference.std() * np.sqrt(2 / np.pi))
    assert "mean over images" in each.tests["delong"].reason
    dice = by_pair(results, "dice")["a", "b"]
    assert dice.tests["delong"].reason == "DeLong's test applies to AUROC only"


def test_welchs_test_takes_all_seeds_of_each_and_bh_adjusts_as_statsmodels():
    records = list(grid({"a": 0.8, "b": 0.79, "c": 0.7}, spread=0.05, shots=(1, 2)))
    records = [r for r in records if (r["unit"]["encoder"], r["unit"]["seed"]) != ("b", 0)]
    results = Results(records)
    found = results.comparisons(["auroc", "dice"], procedure=Procedure("welch", "bh"))
    one = next(each for each in found if (each.condition.shots, each.metric) == (1, "auroc"))
    frame = results.frame[(results.frame.metric == "auroc") & (results.frame.shots == 1)]
    sides = [frame.value[frame.encoder == name] for name in (one.first, one.second)]
    assert one.t_test.p == pytest.approx(scipy_stats.ttest_ind(*sides, equal_var=False).pvalue)
    assert one.t_test.method.name == "Welch's t-test"
    assert one.effect_size.method.name == "Hedges' g"
    assert one.tests["paired"].n == 4
    for test in ("t_test", "over_patients"):
        tested = [getattr(each, test) for each in found]
        adjusted = multipletests([t.p for t in tested], method="fdr_bh")[1]
        assert [t.p_adjusted for t in tested] == pytest.approx(adjusted)
    row = results.compare("a", ["auroc"], test="welch", adjust="bh").iloc[0]
    assert (row.test, row.adjustment, row.effect_is) == ("Welch's t-test", "Benjamini–Hochberg", "Hedges' g")
    with pytest.raises(SettingsError, match=r"test=welsh.*did you mean 'welch'"):
        results.compare("a", test="welsh")


def test_without_a_shared_seed_welch_is_what_is_left():
    records = list(grid({"a": 0.8, "b": 0.7}, seeds=4, spread=0.05))
    records = [r for r in records if (r["unit"]["encoder"] == "a") == (r["unit"]["seed"] < 2)]
    each = by_pair(Results(records))["a", "b"]
    for name in ("paired", "wilcoxon", "permutation"):
        assert each.tests[name].reason == "no seed in common"
    assert each.effect_size.value is None
    assert each.tests["welch"].p is not None


def test_a_metric_that_is_no_mean_and_has_no_predictions_gets_a_reason():
    records = []
    for name in ("a", "b"):
        for seed in (0, 1, 2):
            one = {f"eye{n}": {"dice": 0.5 + seed / 10} for n in range(5)}
            value = 0.9 if name == "a" else 0.8 + seed / 50
            records.append(unit_record(name, seed=seed, images=one, metrics={"dice_pooled": value}))
    each = by_pair(Results(records), "dice_pooled")["a", "b"]
    assert each.t_test.p is not None
    assert each.over_patients.p is None
    assert "not a mean over images" in each.over_patients.reason


def test_holm_is_over_all_rows_and_the_bootstrap_is_fine_enough_for_them():
    results = Results(grid({"a": 0.9, "b": 0.8, "c": 0.7}, shots=(1, 2, 4)))
    found = results.comparisons(["auroc", "dice"])
    assert len(found) == 6
    p = np.array([each.over_patients.p for each in found])
    assert max(each.over_patients.p_adjusted for each in found) == pytest.approx(min(1, (p.min() * 6)), rel=1e-6)
    for count in (1, 40, 199):
        assert 2 / (bootstrap_replicates(count) + 1) * count < 0.05


def test_pairs_are_best_and_second_model_and_baseline_and_baseline():
    results = Results(grid({"a": 0.8, "b": 0.9, "tophat": 0.95, "scratch": 0.7}, baselines=["tophat", "scratch"]))
    summary = results.summary(["auroc"])
    chosen = select_key_pairs("a")(summary)
    assert chosen == [
        ModelPair("tophat", "b", ("best and second", "best model and best baseline")),
        ModelPair("a", "tophat", ("reference and best other",)),
    ]


def test_one_seed_gives_no_test_over_seeds_but_one_over_patients():
    each = by_pair(Results(grid({"a": 0.9, "b": 0.8}, seeds=1)))["a", "b"]
    assert each.t_test.p is None
    assert "at least two shared seeds" in each.t_test.reason
    assert each.over_patients.p < 0.05
    assert each.significance == "over patients only"


def test_compare_tells_all_three_and_their_reasons():
    results = Results(grid({"a": 0.9, "b": 0.8}, seeds=3))
    row = results.compare("b", ["auroc"]).iloc[0]
    assert row.best_other == "a"
    assert row.difference == pytest.approx(-0.1, abs=0.01)
    assert {"p", "p_adjusted", "p_corrected", "p_patients", "low", "high"} <= set(row.index[row.notna()])
    assert row.low < row.difference < row.high
    assert row.p_corrected > row.p


def test_many_comparisons_are_told_as_they_are_made(monkeypatch):
    said = []

    class Told(Silent):
        def begin(self, title, total):
            said.append((title, total))

        def advance(self, label):
            said.append(label)

    results = Results(grid({"a": 0.9, "b": 0.8}, shots=(1, 2)), progress=Told())
    results.comparisons(["auroc", "dice"])
    assert said == []
    monkeypatch.setattr("f2vbench.analysis.comparisons._LEAST_FOR_PROGRESS", 4)
    results.comparisons(["auroc", "dice"])
    assert said == [("comparing models", 4), *["eyes · auroc", "eyes · dice"] * 2]
