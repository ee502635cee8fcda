"""Metrics of one unit as functions of the weights of its test images."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench import Results
from f2vbench.analysis.metric_inputs import NO_PATIENTS, NOT_COMPUTABLE, MetricInputs, metric_inputs, prediction_metric
from f2vbench.analysis.paired_predictions import mean_predictions, pair_cases
from f2vbench.analysis.significance_tests import permute_cases
from f2vbench.errors import StoreError
from f2vbench.metrics.classification import evaluate
from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.permutation import paired_permutation_test
from f2vbench.stats.weighted_metrics import make_metric, mean_over_seeds
from f2vbench.store.runs import RunFolder
from tests.helpers.stored_runs import unit_record, write_run

CLASSES = {
    "binary": ["healthy", "ill"],
    "nominal": ["AMD", "DR: any", "other"],
    "ordinal": ["R0", "R1", "R2", "R3"],
    "multilabel": ["AMD", "DR", "other"],
}
IMAGES = [f"eye{n:02d}" for n in range(48)]
PATIENTS = [f"p{n // 2:02d}" for n in range(48)]


def simulate(kind: str, seed: int = 0, signal: float = 1.0) -> dict[str, np.ndarray]:
    """Stored arrays of a unit; the targets depend on the kind alone."""
    k, rng = len(CLASSES[kind]), np.random.default_rng([seed, round(10 * signal)])
    targets = np.eye(k, dtype=np.uint8)[np.random.default_rng(4).permutation(48) % k]
    if kind == "multilabel":
        targets = (np.random.default_rng(3).random((48, k)) < [0.5, 0.3, 0.2]).astype(np.uint8)
    exponentials = np.exp(signal * targets + rng.normal(0, 1, (48, k)))
    others = 1 if kind == "multilabel" else exponentials.sum(axis=1, keepdims=True) - exponentials
    return {"probabilities": (exponentials / (exponentials + others)).astype(np.float32), "targets": targets}


def classification_record(kind: str, arrays: dict[str, np.ndarray], encoder: str = "a", seed: int = 0) -> dict:
    """Record of a unit with the metrics of its arrays, as the adapter stores it."""
    values, reasons = evaluate(arrays["probabilities"], arrays["targets"].astype(bool), kind, CLASSES[kind])
    record = unit_record(
        encoder,
        family="classification",
        seed=seed,
        images={image: {"correct": 1.0} for image in IMAGES},
        patients=PATIENTS,
        metrics=values,
        reasons=reasons,
        lower_is_better=("brier", "calibration_error"),
    )
    record["result"] |= {
        "images": IMAGES,
        "label_kind": kind,
        "classes": CLASSES[kind],
        "predictions": {"sha256": "0" * 64, "bytes": 1},
    }
    return record


METRICS = [
    (kind, metric) for kind in CLASSES for metric in classification_record(kind, simulate(kind))["result"]["metrics"]
]


@pytest.mark.parametrize(("kind", "metric"), METRICS)
def test_every_metric_of_a_classification_unit_has_inputs_and_leaves_patients_out(kind, metric):
    arrays = simulate(kind)
    inputs = metric_inputs(classification_record(kind, arrays), metric, lambda record: arrays)
    assert isinstance(inputs, MetricInputs)
    assert inputs.images == tuple(IMAGES)
    assert inputs.patients.tolist() == PATIENTS
    weights = (inputs.patients != np.unique(inputs.patients)[:, None]).astype(float)
    expected = [
        evaluate(arrays["probabilities"][rows], arrays["targets"][rows].astype(bool), kind, CLASSES[kind])[0][metric]
        for rows in weights.astype(bool)
    ]
    assert inputs.weighted_function()(weights) == pytest.approx(expected, rel=1e-7)


def test_a_metric_of_one_class_takes_the_column_of_the_class():
    record = classification_record("nominal", simulate("nominal"))
    assert prediction_metric(record, "auroc:DR: any").columns == 1
    assert prediction_metric(record, "auroc:glaucoma") is None
    assert prediction_metric(record, "recall@1") is None


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("binary", "auroc"), ("binary", "f1"), ("nominal", "auroc"), ("nominal", "auroc:DR: any"), ("multilabel", "f1")],
)
def test_the_papers_test_compares_one_prediction_of_each_image_averaged_over_its_seeds(kind, metric):
    """Seed 1 tests the last 40 images only."""
    units = {(name, seed): simulate(kind, seed, signal) for name, signal in (("a", 1.4), ("b", 0.9)) for seed in (0, 1)}
    units = {key: {name: array[8 * key[1] :] for name, array in arrays.items()} for key, arrays in units.items()}
    sides = []
    for name in ("a", "b"):
        sides.append([classification_record(kind, units[name, 0], name, 0)])
        record = classification_record(kind, units[name, 1], name, 1)
        episode = record["result"]["episode"]
        record["result"]["images"] = episode["test"] = IMAGES[8:]
        episode["patients"] = PATIENTS[8:]
        sides[-1].append(record)
    found = mean_predictions(*sides, metric, lambda record: units[record["unit"]["encoder"], record["unit"]["seed"]])
    for name, values in zip(("a", "b"), found, strict=True):
        for position in range(48):
            expected = []
            for seed in (0, 1) if position >= 8 else (0,):
                arrays = units[name, seed]
                p = arrays["probabilities"][position - 8 * seed].astype(float)
                own = arrays["targets"][position - 8 * seed].astype(bool)
                if kind == "binary" or metric == "auroc:DR: any":
                    expected.append(p[1])
                elif kind == "nominal":
                    expected.append(p[own].item())
                else:
                    expected.append(np.mean([q if has else 1 - q for q, has in zip(p, own, strict=True)]))
            assert values[position] == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "metric"), [("ordinal", "quadratic_kappa"), ("binary", "f1"), ("multilabel", "brier")]
)
def test_tests_over_patients_equal_those_of_a_slow_loop(kind, metric):
    """Two seeds, and two images of each patient."""
    units = {(name, seed): simulate(kind, seed, signal) for name, signal in (("a", 1.4), ("b", 0.9)) for seed in (0, 1)}
    sides = [[classification_record(kind, units[name, seed], name, seed) for seed in (0, 1)] for name in ("a", "b")]
    cases = pair_cases(*sides, metric, lambda record: units[record["unit"]["encoder"], record["unit"]["seed"]])

    def mean_over_both_seeds(predictions, labels):
        values = []
        for seed in (0, 1):
            rows = predictions[:, 0] == seed
            values.append(evaluate(predictions[rows, 1:], labels[rows].astype(bool), kind, CLASSES[kind])[0][metric])
        return None if None in values else float(np.mean(values))

    stacked = [
        np.concatenate([np.column_stack([np.full(48, seed), units[name, seed]["probabilities"]]) for seed in (0, 1)])
        for name in ("a", "b")
    ]
    labels = np.tile(simulate(kind)["targets"], (2, 1))
    slow = {"metric": make_metric(mean_over_both_seeds), "patients": PATIENTS * 2, "replicates": 199}
    fast = {"metric": mean_over_seeds(cases.metric), "patients": cases.patients, "replicates": 199}
    bootstrap = paired_bootstrap(cases.first, cases.second, cases.labels, **fast)
    expected = paired_bootstrap(*stacked, labels, **slow)
    assert (bootstrap.difference, bootstrap.low, bootstrap.high, bootstrap.p) == pytest.approx(
        (expected.difference, expected.low, expected.high, expected.p), rel=1e-9
    )
    permutation, expected = permute_cases(cases, 199), paired_permutation_test(*stacked, labels, **slow)
    assert (permutation.difference, permutation.p) == pytest.approx((expected.difference, expected.p), rel=1e-9)


@pytest.fixture
def results(tmp_path) -> Results:
    run = RunFolder(write_run(tmp_path / "run", []))
    for name, signal in {"a": 2.5, "b": 0.3}.items():
        for seed in (0, 1):
            arrays = simulate("nominal", seed, signal)
            record = classification_record("nominal", arrays, name, seed)
            record["result"]["predictions"] = run.put_predictions(arrays)
            run.write(f"{name}-{seed}", record)
    return Results.load(tmp_path / "run")


def test_every_metric_of_stored_units_is_tested_over_patients(results):
    metrics = [metric for kind, metric in METRICS if kind == "nominal"]
    comparisons = {each.metric: each for each in results.comparisons(metrics)}
    assert set(comparisons) == set(metrics)
    for metric, comparison in comparisons.items():
        for name in ("bootstrap", "permutation"):
            test = comparison.tests[name]
            assert test.n == 24, metric
            assert 0 < test.p <= 1, metric
            assert test.difference == pytest.approx(comparison.means[0] - comparison.means[1], abs=1e-6), metric
    for metric in ("balanced_accuracy", "f1", "brier"):
        comparison = comparisons[metric]
        verdict = comparison.tests["bootstrap"].verdict(higher_is_better=comparison.better == "higher")
        assert {comparison.first, verdict} == {"a", "better"}


def test_delongs_test_applies_to_the_auroc_of_one_class(results):
    comparisons = {each.metric: each for each in results.comparisons(["auroc", "auroc:AMD", "f1"])}
    assert "mean over classes" in comparisons["auroc"].tests["delong"].reason
    assert "AUROC only" in comparisons["f1"].tests["delong"].reason
    one_class = comparisons["auroc:AMD"]
    assert one_class.tests["delong"].difference == pytest.approx(one_class.means[0] - one_class.means[1], abs=1e-6)
    assert one_class.tests["delong"].p < 0.05


def load_damaged(record):
    raise StoreError("the file is damaged")


def test_the_reason_says_why_a_metric_has_no_inputs():
    arrays = simulate("binary")

    def reason(metric="f1", load=lambda record: arrays, **changes):
        record = classification_record("binary", arrays)
        record["result"] |= changes
        return metric_inputs(record, metric, load)

    assert isinstance(reason(), MetricInputs)
    assert reason("quadratic_kappa") == "the unit has no value of this metric"
    assert reason(metrics={"f1": None}, reasons={"f1": "no test image is ill"}) == "no test image is ill"
    assert reason("recall@1:CF-to-FFA", metrics={"recall@1:CF-to-FFA": 0.5}) == NOT_COMPUTABLE
    assert "no features of single videos" in reason("fvd", metrics={"fvd": 3.0})
    assert "no pixel counts of images" in reason("dice_pooled", metrics={"dice_pooled": 0.5})
    assert "cannot be read (the file is damaged)" in reason(load=load_damaged)
    assert "is not the stored one, 0.123" in reason(metrics={"f1": 0.123})
    assert "not those of the test images" in reason(images=IMAGES[::-1])
    half = {name: array[:24] for name, array in arrays.items()}
    assert "48 test images and 2 classes" in reason(load=lambda record: half)
    assert reason(episode={"test": IMAGES, "support": [], "seed": 0}) == NO_PATIENTS


def test_models_with_other_labels_of_the_same_images_are_not_compared():
    arrays = simulate("binary")
    units = {"a": arrays, "b": {name: array[:, ::-1].copy() for name, array in arrays.items()}}
    first, second = (classification_record("binary", units[name], name) for name in ("a", "b"))
    reason = pair_cases([first], [second], "accuracy", lambda record: units[record["unit"]["encoder"]])
    assert reason == "the two models were tested with different labels"


def load_nothing(record):
    raise AssertionError("values of images need no arrays")


def test_a_metric_that_some_images_do_not_have_is_a_mean_over_the_others():
    """A query without relevant images in a variant of retrieval has no value there."""
    images = {f"eye{n}": {"recall@1": n / 8} | ({"recall@1:other-eye": n / 4} if n % 2 else {}) for n in range(6)}
    record = unit_record("a", images=images, metrics={"recall@1": 2.5 / 8, "recall@1:other-eye": 3 / 4})
    whole, variant = (metric_inputs(record, metric, load_nothing) for metric in record["result"]["metrics"])
    assert whole.images == tuple(images)
    assert variant.images == ("eye1", "eye3", "eye5")
    assert variant.patients.tolist() == ["eye1", "eye3", "eye5"]
    assert variant.weighted_function()(np.array([[2.0, 1.0, 0.0]])) == pytest.approx([(2 * 0.25 + 0.75) / 3])


def test_an_undefined_value_of_an_image_is_not_left_out_of_a_mean():
    record = unit_record("a", images={"eye0": {"dice": 0.5}, "eye1": {"dice": None}}, metrics={"dice": 0.5})
    assert metric_inputs(record, "dice", load_nothing) == NOT_COMPUTABLE
