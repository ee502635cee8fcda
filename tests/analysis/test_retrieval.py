"""Intervals and comparisons of retrieval results."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.analysis.retrieval import RetrievalStatistics
from f2vbench.errors import StoreError
from tests.helpers import made_runs
from tests.helpers.made_runs import retrieval_record, without_patients


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return made_runs.retrieval_records()


def test_intervals_contain_the_mean_over_seeds(records):
    table = RetrievalStatistics(records).intervals.set_index(["metric", "encoder"])
    for encoder in ("good", "poor"):
        values = [r["result"]["metrics"]["recall@1"] for r in records if r["unit"]["encoder"] == encoder]
        row = table.loc["recall@1", encoder]
        assert row.value == pytest.approx(np.mean(values))
        assert row.low < row.value < row.high
        assert (row.patients, row.queries, row.chance) == (20, 120, 0.02)


def test_comparisons_are_paired_by_query(records):
    table = RetrievalStatistics(records).compare("good").set_index("metric")
    values = RetrievalStatistics(records).queries
    values = values[values.metric == "recall@1"].pivot(index=["seed", "image"], columns="encoder", values="value")
    assert table.difference["recall@1"] == pytest.approx((values.good - values.poor).mean())
    assert table.p_holm["recall@1"] < 0.05
    assert table.difference["recall@5"] == 0
    assert np.isnan(table.p["recall@5"])
    assert "every replicate has the same value" in table.reason["recall@5"]
    with pytest.raises(StoreError, match="did you mean 'good'"):
        RetrievalStatistics(records).compare("goood")


def test_intervals_equal_those_of_a_slow_bootstrap_of_patients(records):
    values = RetrievalStatistics(records).queries
    values = values[(values.metric == "recall@1") & (values.encoder == "good")]
    rng, patients = np.random.default_rng(0), values.patient.unique()
    by_patient = values.pivot_table(index="patient", columns="seed", values="value", aggfunc=["sum", "count"])
    sums, counts = by_patient["sum"], by_patient["count"]
    slow = []
    for _ in range(600):
        sample = rng.choice(patients, len(patients))
        slow.append((sums.loc[sample].sum() / counts.loc[sample].sum()).mean())
    row = RetrievalStatistics([r for r in records if r["unit"]["encoder"] == "good"]).intervals.iloc[0]
    assert row.high - row.low == pytest.approx(np.subtract(*np.quantile(slow, (0.975, 0.025))), rel=0.15)


def test_more_images_of_the_same_patients_do_not_narrow_an_interval(records):
    good = [r for r in records if r["unit"]["encoder"] == "good"]
    repeated = [retrieval_record("good", seed, 0.8) for seed in range(3)]
    for record in repeated:  # ten copies of each image
        result = record["result"]
        result["per_image"] = {f"{k}{name}": row for name, row in result["per_image"].items() for k in "abcdefghij"}
        result["gallery"] = [f"{k}{name}" for name in result["gallery"] for k in "abcdefghij"]
        result["about"] = {key: list(np.repeat(column, 10)) for key, column in result["about"].items()}
    row, repeated_row = (RetrievalStatistics(each).intervals.iloc[0] for each in (good, repeated))
    assert (repeated_row.low, repeated_row.high) == pytest.approx((row.low, row.high))
    assert repeated_row.queries == 10 * row.queries


def test_a_task_of_one_patient_has_no_interval():
    record = retrieval_record("good", 0, 0.5)
    record["result"]["about"]["patient"] = ["p"] * 40
    assert RetrievalStatistics([record]).intervals.low.isna().all()


def test_tasks_with_units_of_an_older_version_are_left_out_with_a_reason(records):
    old = without_patients(records[0])
    other_task = {**records[1], "unit": {**records[1]["unit"], "task": "others"}}
    assert RetrievalStatistics([records[0], {**records[1], "family": "segmentation"}]).records == [records[0]]
    assert RetrievalStatistics([old, records[1], other_task]).records == [other_task]
    (reason,) = RetrievalStatistics([old, records[1], other_task]).unavailable.values()
    assert reason.startswith("eyes: an older version made the units")
    assert "run the task again" in reason
