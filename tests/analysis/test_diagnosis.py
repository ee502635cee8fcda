"""Classification units as diagnostic tests: thresholds from validation images, values and intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef, recall_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from f2vbench import Results
from f2vbench.analysis.diagnosis import NO_VALIDATION, diagnosis_frame
from f2vbench.analysis.metric_inputs import mean_inputs
from f2vbench.analysis.paired_predictions import image_values
from f2vbench.errors import SettingsError
from f2vbench.metrics.operating_points import OperatingPoint, choose_threshold
from f2vbench.report.content import report_content
from f2vbench.report.tables.clinical import ClinicalSettings
from f2vbench.stats.delong import delong_interval, delong_interval_over_seeds
from f2vbench.store.runs import RunFolder
from tests.helpers.stored_runs import call_record, unit_record, write_run

CLASSES = ["no_dr", "referable_dr"]


def draw(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) probabilities and targets of n images."""
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.4
    p = 1 / (1 + np.exp(-(random.normal(size=n) + 1.4 * positive - 0.6)))
    return np.column_stack([1 - p, p]).astype(np.float32), np.column_stack([~positive, positive])


def write_units(folder: Path, *, seeds: int = 2, validation: bool = True, encoder: str = "model") -> Path:
    """A run of one model: 60 test images of 30 patients, 40 validation images."""
    run = RunFolder(folder)
    run.open_for_writing()
    records = []
    for seed in range(seeds):
        p, targets = draw(seed, 60)
        arrays = {"probabilities": p, "targets": targets.astype(np.uint8)}
        if validation:
            val_p, val_targets = draw(100 + seed, 40)
            arrays |= {"validation_probabilities": val_p, "validation_targets": val_targets.astype(np.uint8)}
        names = [f"image{number:02}" for number in range(60)]
        record = unit_record(
            encoder,
            seed=seed,
            family="classification",
            images={name: {"correct": 1.0} for name in names},
            metrics={"auroc": float(roc_auc_score(targets[:, 1], p[:, 1]))},
            main_metrics=["auroc"],
            patients=[f"p{number // 2}" for number in range(60)],
            patients_in_all=60,
        )
        record["result"] |= {"classes": CLASSES, "label_kind": "binary", "images": names}
        record["result"]["predictions"] = run.put_predictions(arrays)
        record["result"]["episode"]["val"] = [f"val{number:02}" for number in range(40)]
        records.append(record)
    return write_run(folder, records, call_record({"eyes": {}}))


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    return Results.load(write_units(tmp_path_factory.mktemp("diagnosis") / "run"))


def test_thresholds_come_from_validation_images_and_values_from_test_images(results):
    frame = results.diagnosis("sensitivity:0.9").set_index("metric")
    assert set(frame["class"]) == {"referable_dr"}
    expected: dict[str, list[float]] = {name: [] for name in ("threshold", "sensitivity", "specificity", "mcc")}
    for seed in range(2):
        (p, targets), (val_p, val_targets) = draw(seed, 60), draw(100 + seed, 40)
        threshold = choose_threshold(val_p[:, 1], val_targets[:, 1], OperatingPoint("sensitivity", 0.9))
        called, truth = p[:, 1] >= threshold, targets[:, 1]
        expected["threshold"].append(threshold)
        expected["sensitivity"].append(recall_score(truth, called))
        expected["specificity"].append(recall_score(~truth, ~called))
        expected["mcc"].append(matthews_corrcoef(truth, called))
    for name, values in expected.items():
        found = frame.threshold.iloc[0] if name == "threshold" else frame.value[name]
        assert found == pytest.approx(np.mean(values), abs=1e-9), name
    assert (frame.low < frame.value).all()
    assert (frame.value < frame.high).all()
    assert (frame.patients == 30).all()
    assert (frame.validation_images == 40).all()


def test_analytic_intervals_are_those_of_wilson_and_obuchowski(tmp_path):
    results = Results.load(write_units(tmp_path / "run", seeds=1))
    frame = results.diagnosis("youden").set_index("metric")
    p, targets = draw(0, 60)
    positives = int(targets[:, 1].sum())
    hits = round(frame.value["sensitivity"] * positives)
    expected = proportion_confint(hits, positives, method="wilson")
    assert (frame.low_analytic["sensitivity"], frame.high_analytic["sensitivity"]) == pytest.approx(expected, abs=1e-9)
    clustered = delong_interval(p[:, 1], targets[:, 1], patients=[number // 2 for number in range(60)])
    found = frame.low_analytic["auroc"], frame.high_analytic["auroc"]
    assert found == pytest.approx((clustered.low, clustered.high), abs=1e-12)
    seeds = delong_interval_over_seeds([p[:, 1]] * 2, [targets[:, 1]] * 2, patients=[[n // 2 for n in range(60)]] * 2)
    assert (seeds.low, seeds.high) == pytest.approx((clustered.low, clustered.high), abs=1e-12)


def test_accuracy_is_compared_by_generalised_estimating_equations_and_auroc_is_not(tmp_path):
    results = Results.load(write_units(tmp_path / "a", encoder="a"), write_units(tmp_path / "b", encoder="b"))
    draw = np.random.default_rng(0)
    for record in results.records:
        shares = {name: {"correct": float(draw.random() < 0.8)} for name in record["result"]["images"]}
        record["result"]["per_image"] = shares
        record["result"]["metrics"]["accuracy"] = float(np.mean([each["correct"] for each in shares.values()]))
    inputs = [mean_inputs(record, "accuracy") for record in results.records]
    assert [each.predictions.mean() for each in inputs] == pytest.approx(
        [record["result"]["metrics"]["accuracy"] for record in results.records]
    )
    sides = [[record for record in results.records if record["unit"]["encoder"] == name] for name in "ab"]
    values = image_values(*sides, "accuracy")
    assert len(values.first) == 60, "each image once, although two seeds test it"
    assert set(values.first) <= {0.0, 0.5, 1.0}
    assert image_values(*sides, "auroc") is None


def test_records_without_validation_predictions_say_so(tmp_path):
    results = Results.load(write_units(tmp_path / "run", validation=False, seeds=1))
    frame = results.diagnosis().set_index("metric")
    assert frame.reason["sensitivity"] == NO_VALIDATION
    assert np.isnan(frame.value["sensitivity"])
    assert frame.value["partial_auroc"] > 0.5, "needs no threshold"
    for record in results.records:
        record["result"]["episode"].pop("val")
        record["result"]["episode"].pop("patients")
    frame = diagnosis_frame(results.records, results.predictions, OperatingPoint()).set_index("metric")
    assert "has no validation images" in frame.reason["ppv"]
    assert "do not name the patient" in frame.reason["auroc"]
    assert np.isnan(frame.low["auroc"])


def test_the_report_has_tables_of_operating_points_on_request(results, tmp_path):
    assert report_content(results).clinical == []
    point = OperatingPoint.parse("specificity:0.9")
    points, discrimination = report_content(results, clinical=ClinicalSettings(point)).clinical
    assert points.columns[5].title == "sensitivity"
    value = results.diagnosis(point).set_index("metric").value["sensitivity"]
    assert points.rows[0][5].text == f"{value:.3f}"
    assert " W [" in points.rows[0][5].detail
    assert " O [" in discrimination.rows[0][5].detail
    results.report(tmp_path / "report", operating_point="specificity:0.90", format="csv,md", figures="none")
    methods = report_content(results, clinical=ClinicalSettings(point)).methods
    assert any("specificity of at least 0.9 was chosen on the validation images" in each for each in methods)
    assert "Operating points" in (tmp_path / "report" / "report.md").read_text()
    assert "calibration_slope" in (tmp_path / "report" / "diagnosis.csv").read_text()
    for call in (lambda: results.diagnosis("best"), lambda: results.report(tmp_path / "no", operating_point="best")):
        with pytest.raises(SettingsError, match="no operating point: use youden"):
            call()
    assert not (tmp_path / "no").exists()
