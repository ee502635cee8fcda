"""Intervals of means over seeds: for other patients and other heads, over seeds only, and reasons for none."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from f2vbench import Results
from f2vbench.analysis import crossed_scores
from f2vbench.analysis.frames import Condition
from f2vbench.errors import SettingsError
from f2vbench.stats.crossed import crossed_interval
from f2vbench.stats.jackknife import JackknifeScores
from f2vbench.stats.procedure import Procedure
from tests.helpers.made_runs import SimulatedEncoder, classification_run
from tests.helpers.stored_runs import grid, unit_record, write_run

CONDITION = Condition("eyes", "few-shot", 1)


def interval_of_scores(results: Results, values: np.ndarray, without: np.ndarray) -> tuple[float, float]:
    """Ends of `crossed_interval` of (seeds,) values and (patients, seeds) values without each patient."""
    (models,) = results.crossed_scores.values()
    estimate = crossed_interval(
        JackknifeScores(values, without, len(without)),
        variation=models.design.variation,
        split_ratio=models.design.split_ratio,
        bounds=(0.0, 1.0),
    )
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def row_of(records, metric="auroc", **arguments):
    return Results(records).summary([metric], **arguments).iloc[0]


def binary_records(tmp_path, patients, **arguments) -> Results:
    """Results of a binary task whose image n belongs to ``patients[n]``, with stored predictions."""
    folder = classification_run(
        tmp_path / "run", ("ukb-stroke",), {"a": SimulatedEncoder(1.5, "hub")}, [("few-shot", 1)], **arguments
    )
    results = Results.load(folder)
    for record in results.records:
        record["result"]["episode"] |= {"patients": list(patients), "patients_in_all": 2 * len(set(patients))}
    return results


def test_the_interval_of_a_mean_over_images_equals_a_slow_loop():
    records = grid({"a": 0.9}, seeds=5, images=10, spread=0.05)
    everyone = sorted({image for record in records for image in record["result"]["per_image"]})
    values, without = np.empty(5), np.empty((len(everyone), 5))
    for seed, record in enumerate(records):
        of_image = {image: row["auroc"] for image, row in record["result"]["per_image"].items()}
        values[seed] = np.mean(list(of_image.values()))
        for number, patient in enumerate(everyone):
            without[number, seed] = np.mean([value for image, value in of_image.items() if image != patient])
    results = Results(records)
    row = results.summary(["auroc"]).iloc[0]
    assert (row.low, row.high) == pytest.approx(interval_of_scores(results, values, without), rel=1e-9)
    assert (row["mean"], row.sd) == pytest.approx((values.mean(), values.std(ddof=1)))
    assert row.interval == "patients and heads"
    assert row.interval_note == row.reason == ""


def test_the_interval_of_stored_predictions_leaves_out_patients_with_both_eyes(tmp_path):
    patients = [f"p{n // 4}{n % 2}" for n in range(40)]  # two images of each patient, of the same class
    results = binary_records(tmp_path, patients, seeds=3, images=40)
    names = sorted(set(patients))
    values, without = np.empty(3), np.empty((len(names), 3))
    for seed, record in enumerate(results.records):
        arrays = results.predictions(record)
        truth, scores = arrays["targets"][:, 1], arrays["probabilities"][:, 1]
        values[seed] = roc_auc_score(truth, scores)
        for number, name in enumerate(names):
            kept = np.array(patients) != name
            without[number, seed] = roc_auc_score(truth[kept], scores[kept])
    row = results.summary(["auroc"]).iloc[0]
    assert (row.low, row.high) == pytest.approx(interval_of_scores(results, values, without), rel=1e-6)
    assert row.interval == "patients and heads"


def test_the_interval_of_an_auroc_near_1_stays_below_1():
    row = row_of(grid({"a": 0.995}, seeds=5, spread=0.02))
    assert row["mean"] < row.high < 1
    assert row_of(grid({"a": 0.995}, seeds=5, spread=0.02), interval="papers").low < row["mean"]


def test_a_perfect_model_has_no_interval_and_a_reason():
    images = {f"eye{n}": {"auroc": 1.0, "dice": 0.5 + n / 100} for n in range(8)}
    row = row_of([unit_record("a", seed=seed, images=images) for seed in range(3)])
    assert row["mean"] == 1
    assert np.isnan(row.low)
    assert row.interval == ""
    assert row.interval_note == "all values are equal for all patients and seeds, so there is no variance"


def test_a_mean_at_the_end_of_the_range_has_no_interval_and_a_reason():
    scores = JackknifeScores(np.zeros(2), np.array([[0.0, 0.1], [0.1, 0.0], [0.0, 0.0], [0.1, 0.1], [0.0, 0.0]]), 5)
    estimate = crossed_interval(scores, bounds=(0.0, 1.0))
    assert estimate.low is None
    assert estimate.reason == "the mean is at the end of the range of the metric, where it cannot vary freely"
    assert crossed_interval(scores).low is not None


def test_one_seed_has_an_interval_for_other_patients_alone():
    records = grid({"a": 0.9}, seeds=1, images=12, spread=0.05)
    values = np.array([row["auroc"] for row in records[0]["result"]["per_image"].values()])
    row = row_of(records)
    se = values.std(ddof=1) / np.sqrt(len(values))
    half = stats.norm.ppf(0.975) * se / (row["mean"] * (1 - row["mean"]))
    assert (row.low, row.high) == pytest.approx(tuple(expit(logit(row["mean"]) + sign * half) for sign in (-1, 1)))
    assert row.interval == "patients"
    assert np.isnan(row.sd)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record["result"]["episode"].pop("patients"), "an older version made the records"),
        (lambda record: record["result"]["metrics"].update(auroc=0.5), "is not a mean over images"),
        (
            lambda record: record["result"]["episode"].update(patients=["p1", "p2"] * 5),
            "2 test patients: at least 5 are needed to estimate how patients vary",
        ),
    ],
)
def test_without_the_data_there_is_no_interval_but_a_reason(change, reason):
    records = grid({"a": 0.9}, seeds=3, images=10)
    for record in records:
        change(record)
    row = row_of(records)
    assert np.isnan(row.low)
    assert np.isnan(row.high)
    assert row.interval == ""
    assert reason in row.interval_note
    assert not np.isnan(row["mean"])
    student = row_of(records, interval="student")
    assert student.interval == ("seeds" if student.sd > 0 else "")


def test_a_class_with_a_single_patient_has_no_interval_and_rare_ones_a_warning(tmp_path):
    alone = ["p0" if n % 2 else f"q{n}" for n in range(40)]
    row = binary_records(tmp_path / "alone", alone, seeds=3, images=40).summary(["auroc"]).iloc[0]
    assert row.interval == ""
    assert row.interval_note == "the metric is undefined without one of the patients: a class has a single patient"
    few = [f"p{n % 14}" if n % 2 else f"q{n}" for n in range(40)]
    row = binary_records(tmp_path / "few", few, seeds=3, images=40).summary(["auroc"]).iloc[0]
    assert row.interval == "patients and heads"
    assert row.interval_note.startswith("only 7 test patients with (or without) the rarest class")


def test_predictions_that_cannot_be_read_are_named(tmp_path):
    results = binary_records(tmp_path, [f"p{n}" for n in range(40)], seeds=3, images=40)
    for record in results.records:
        record["result"]["predictions"] = {"sha256": "0" * 64}
    assert "cannot be read" in results.summary(["auroc"]).interval_note.iloc[0]


def test_intervals_over_seeds_are_those_of_the_values_alone():
    records = grid({"a": 0.9}, seeds=5)
    values = np.array([record["result"]["metrics"]["auroc"] for record in records])
    papers = row_of(records, interval="papers")
    se = values.std(ddof=1) / np.sqrt(5)
    assert (papers.low, papers.high) == pytest.approx((values.mean() - 1.96 * se, values.mean() + 1.96 * se))
    student = row_of(records, interval="student")
    half = stats.t.ppf(0.975, 4) * se / (values.mean() * (1 - values.mean()))
    assert (student.low, student.high) == pytest.approx(tuple(expit(logit(values.mean()) + s * half) for s in (-1, 1)))
    assert papers.interval == student.interval == "seeds"


def test_an_interval_is_computed_once_and_only_for_the_metrics_that_are_shown(monkeypatch):
    calls = []
    leave_out = crossed_scores.leave_out
    monkeypatch.setattr(crossed_scores, "leave_out", lambda *arguments: calls.append(1) or leave_out(*arguments))
    results = Results(grid({"a": 0.9, "b": 0.8}, seeds=3))
    results.comparisons(["dice"])
    before = len(calls)
    for _ in range(2):
        results.summary(["auroc"])
    assert len(calls) - before == 6
    values = np.full(3, 0.9)
    first, second = (results.mean_intervals.estimate(CONDITION, "a", "auroc", values, "crossed") for _ in range(2))
    assert first is second


def test_more_images_of_the_same_patients_do_not_narrow_an_interval():
    records = grid({"a": 0.9}, seeds=3, images=10, spread=0.05)
    doubled = copy.deepcopy(records)
    for record in doubled:
        result = record["result"]
        result["per_image"] |= {f"{image}-left": row for image, row in result["per_image"].items()}
        result["episode"]["patients"] = [*result["episode"]["test"], *result["episode"]["test"]]
        result["episode"]["test"] = list(result["per_image"])
    assert row_of(doubled).low == pytest.approx(row_of(records).low)


def test_a_metric_outside_its_range_has_an_unbounded_interval():
    images = [{f"eye{n}": {"dice": 80.0 + n + seed} for n in range(8)} for seed in range(3)]
    row = row_of([unit_record("a", seed=seed, images=images[seed]) for seed in range(3)], "dice")
    assert row["mean"] - row.low == pytest.approx(row.high - row["mean"])


def test_an_unknown_kind_of_interval_is_an_error_with_the_known_ones(tmp_path):
    with pytest.raises(SettingsError, match="interval=crosed: must be one of crossed, student, papers; did you mean"):
        Procedure(interval="crosed")
    results = Results.load(write_run(tmp_path / "run", grid({"a": 0.9}, seeds=2)))
    with pytest.raises(SettingsError, match="crossed"):
        results.report(tmp_path / "out", interval="normal")
