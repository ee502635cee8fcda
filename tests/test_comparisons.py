"""Comparisons between models: which pairs, over what, and when a difference is called sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import roc_auc_score
from stored_runs import grid, unit_record, write_run

from f2vbench import Results
from f2vbench.comparisons import pairs_that_matter, replicates_for
from f2vbench.store.runs import RunFolder


def by_pair(results, metric="auroc", **words):
    return {(each.first, each.second): each for each in results.comparisons([metric], **words)}


def test_the_papers_test_is_scipys_and_the_corrected_one_is_wider_by_the_overlap():
    results = Results(grid({"a": 0.8, "b": 0.79, "floor": 0.7}, floors=["floor"], spread=0.03))
    each = by_pair(results)["a", "b"]
    values = results.frame[results.frame.metric == "auroc"].pivot(index="seed", columns="encoder", values="value")
    expected = scipy_stats.ttest_rel(values.a, values.b)
    assert each.seeds.p == pytest.approx(expected.pvalue)
    # Half of 20 patients are tested at each seed, so test ÷ train is 1: t shrinks by √((1/5 + 1) ÷ (1/5)).
    assert each.splits.statistic == pytest.approx(expected.statistic / np.sqrt((1 / 5 + 1) / (1 / 5)))
    assert each.patients.difference == pytest.approx(each.means[0] - each.means[1])


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
    assert (each.patients.high - each.patients.low) / (2 * 1.96) == pytest.approx(expected, rel=0.15)
    assert each.patients.n == 12
    assert each.seeds.varies == ("episode", "head seed")
    assert each.splits.p is None
    assert "same images" in each.splits.reason


def test_two_eyes_of_a_patient_are_drawn_together():
    draw = np.random.default_rng(3)
    images = [f"eye{n}" for n in range(40)]
    shared = np.repeat(draw.normal(0.02, 0.05, 20), 2)
    records = []
    for name, values in {"a": 0.8 + shared, "b": np.full(40, 0.8)}.items():
        one = {image: {"auroc": float(v)} for image, v in zip(images, values, strict=True)}
        records += [unit_record(name, images=one, patients=[f"p{n // 2}" for n in range(40)])]
    each = next(iter(by_pair(Results(records)).values()))
    assert each.patients.n == 20
    assert each.patients.high - each.patients.low == pytest.approx(2 * 1.96 * shared.std() / np.sqrt(20), rel=0.2)


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
    assert each.patients.n == 60
    assert each.patients.difference == pytest.approx(each.means[0] - each.means[1], abs=1e-6)
    assert each.patients.low > 0
    assert each.patients.verdict() == "better"


def test_a_metric_that_is_no_mean_and_has_no_predictions_gets_a_reason():
    records = []
    for name in ("a", "b"):
        for seed in (0, 1, 2):
            one = {f"eye{n}": {"dice": 0.5 + seed / 10} for n in range(5)}
            value = 0.9 if name == "a" else 0.8 + seed / 50
            records.append(unit_record(name, seed=seed, images=one, metrics={"dice_pooled": value}))
    each = by_pair(Results(records), "dice_pooled")["a", "b"]
    assert each.seeds.p is not None
    assert each.patients.p is None
    assert "not a mean over images" in each.patients.reason


def test_holm_is_over_all_rows_and_the_bootstrap_is_fine_enough_for_them():
    results = Results(grid({"a": 0.9, "b": 0.8, "c": 0.7}, shots=(1, 2, 4)))
    found = results.comparisons(["auroc", "dice"])
    assert len(found) == 6
    p = np.array([each.patients.p for each in found])
    assert max(each.patients.p_adjusted for each in found) == pytest.approx(min(1, (p.min() * 6)), rel=1e-6)
    for count in (1, 40, 199):
        assert 2 / (replicates_for(count) + 1) * count < 0.05


def test_pairs_are_best_and_second_model_and_floor_and_baseline():
    results = Results(grid({"a": 0.8, "b": 0.9, "tophat": 0.95, "scratch": 0.7}, floors=["tophat", "scratch"]))
    summary = results.summary(["auroc"])
    chosen = pairs_that_matter("a")(summary)
    assert chosen == {
        ("tophat", "b"): ("best and second", "best model and best floor"),
        ("a", "tophat"): ("baseline and best other",),
    }


def test_one_seed_gives_no_test_over_seeds_but_one_over_patients():
    each = by_pair(Results(grid({"a": 0.9, "b": 0.8}, seeds=1)))["a", "b"]
    assert each.seeds.p is None
    assert "one shared seed" in each.seeds.reason
    assert each.patients.p < 0.05
    assert each.certainty == "over patients only"


def test_compare_tells_all_three_and_their_reasons():
    results = Results(grid({"a": 0.9, "b": 0.8}, seeds=3))
    row = results.compare("b", ["auroc"]).iloc[0]
    assert row.best_other == "a"
    assert row.difference == pytest.approx(-0.1, abs=0.01)
    assert {"p", "p_holm", "p_corrected", "p_patients", "low", "high"} <= set(row.index[row.notna()])
    assert row.low < row.difference < row.high
    assert row.p_corrected > row.p
