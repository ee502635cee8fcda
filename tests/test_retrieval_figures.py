"""Intervals, comparisons and figures of retrieval runs."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from f2vbench.errors import StoreError
from f2vbench.report.retrieval_figures import best_median_worst, example_rows, examples, recall_bars, save
from f2vbench.retrieval_results import compare, intervals, queries, retrieval_records, told


def record(encoder: str, seed: int, hit_rate: float, floor: bool = False) -> dict:
    """A unit of 40 images of 20 patients with metrics that are drawn."""
    draw = np.random.default_rng([seed, int(100 * hit_rate)])
    names = [f"i{n:02}" for n in range(40)]
    patients = [f"p{n // 2}" for n in range(40)]
    hits = (draw.random(40) < hit_rate).astype(float)
    rows = {name: {"recall@1": hit, "map": draw.random()} for name, hit in zip(names, hits, strict=True)}
    rows = {
        name: values | dict.fromkeys(("recall@5", "recall@10", "mean_recall"), 1.0) for name, values in rows.items()
    }
    metrics = {"recall@1": hits.mean(), "map": 0.5}
    levels = {"recall@1": 0.02, "recall@5": 0.1, "recall@10": 0.3, "mean_recall": 0.14}
    about = {"patient": patients, "modality": ["CF", "FFA"] * 20, "eye": ["left"] * 40, "view": [""] * 40}
    return {
        "unit": {"encoder": encoder, "task": "eyes", "protocol": "zero-shot", "shots": 0, "seed": seed},
        "family": "retrieval",
        "weights": "none" if floor else "untrained",
        "floor": floor,
        "result": {
            "metrics": metrics | {f"{name}_chance": level for name, level in levels.items()},
            "per_image": rows,
            "gallery": names,
            "about": about,
        },
    }


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return [record("good", s, 0.8) for s in range(3)] + [record("poor", s, 0.3, floor=True) for s in range(3)]


def test_intervals_hold_the_mean_over_seeds_and_comparisons_are_paired_by_query(records):
    table = intervals(records).set_index(["metric", "encoder"])
    for encoder in ("good", "poor"):
        values = [r["result"]["metrics"]["recall@1"] for r in records if r["unit"]["encoder"] == encoder]
        row = table.loc["recall@1", encoder]
        assert row.value == pytest.approx(np.mean(values))
        assert row.low < row.value < row.high
        assert (row.patients, row.queries, row.chance) == (20, 120, 0.02)
    compared = compare(records, "good").set_index("metric")
    asked = queries(records)
    asked = asked[asked.metric == "recall@1"].pivot(index=["seed", "image"], columns="encoder", values="value")
    assert compared.difference["recall@1"] == pytest.approx((asked.good - asked.poor).mean())
    assert compared.p_holm["recall@1"] < 0.05
    assert compared.difference["recall@5"] == 0
    assert np.isnan(compared.p["recall@5"])
    assert "every replicate gives the same value" in compared.reason["recall@5"]
    with pytest.raises(StoreError, match="did you mean 'good'"):
        compare(records, "goood")
    text = told(records, "good")
    assert "resamples of patients" in text
    assert "poor" in text


def test_the_intervals_are_those_of_a_slow_bootstrap_of_patients_and_not_of_images(records):
    asked = queries(records)
    asked = asked[(asked.metric == "recall@1") & (asked.encoder == "good")]
    draw, people = np.random.default_rng(0), asked.patient.unique()
    of = dict(list(asked.groupby("patient")))
    slow = [
        pd.concat([of[name] for name in draw.choice(people, len(people))]).groupby("seed").value.mean().mean()
        for _ in range(600)
    ]
    row = intervals([r for r in records if r["unit"]["encoder"] == "good"], ["recall@1"]).iloc[0]
    assert row.high - row.low == pytest.approx(np.subtract(*np.quantile(slow, (0.975, 0.025))), rel=0.15)
    for each in (often := [record("good", s, 0.8) for s in range(3)]):  # ten images as one has them
        result = each["result"]
        result["per_image"] = {f"{k}{n}": v for n, v in result["per_image"].items() for k in "abcdefghij"}
        result["gallery"] = [f"{k}{n}" for n in result["gallery"] for k in "abcdefghij"]
        result["about"] = {key: list(np.repeat(held, 10)) for key, held in result["about"].items()}
    more = intervals(often, ["recall@1"]).iloc[0]
    assert (more.low, more.high) == pytest.approx((row.low, row.high))
    assert more.queries == 10 * row.queries


def test_units_of_an_older_version_are_refused_by_name(records):
    old = {**records[0], "result": {key: held for key, held in records[0]["result"].items() if key != "about"}}
    assert retrieval_records([records[0], {**records[1], "family": "segmentation"}]) == [records[0]]
    with pytest.raises(StoreError, match=r"eyes: units made by an older version.*run the task again"):
        retrieval_records([old, records[1]])


def test_examples_are_the_best_the_median_and_the_worst_by_rule():
    scores = [("d", 0.5), ("b", 0.9), ("a", 0.9), ("c", 0.1), ("e", 0.3)]
    assert best_median_worst(scores) == {"best": "a", "median": "d", "worst": "c"}
    with pytest.raises(ValueError, match="no query"):
        best_median_worst([])


def test_the_bars_show_values_intervals_and_chance(records):
    figure = recall_bars(intervals(records))
    axis = figure.axes[0]
    heights = sorted(patch.get_height() for patch in axis.patches if patch.get_height() < 1)
    table = intervals(records)
    assert heights == pytest.approx(sorted(table[table.metric == "recall@1"].value))
    levels = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--"]
    assert sorted(levels)[:2] == pytest.approx([0.02, 0.1])
    assert figure.get_figwidth() == pytest.approx(183 / 25.4)


def test_example_rows_show_found_images_with_hits_framed(records, tmp_path):
    result = records[0]["result"]
    found = np.array([[(n + 1) % 40, n ^ 1, -1] for n in range(40)], np.int32)
    arrays = {"queries": np.arange(40), "found": found, "similarity": np.full((40, 3), 0.5, np.float32)}
    rows, rule = example_rows(result, arrays, lambda name: np.full((8, 8, 3), int(name[1:]), np.uint8), k=3)
    assert [title.split()[0] for title, _ in rows] == ["Best", "Median", "Worst"]
    assert "Of 40 queries" in rule
    by_map = sorted(result["per_image"], key=lambda name: -result["per_image"][name]["map"])
    for (_, pictures), name in zip(rows, (by_map[0], by_map[20], by_map[-1]), strict=True):
        query = int(name[1:])
        assert [int(shown.rgb[0, 0, 0]) for shown in pictures] == [query, (query + 1) % 40, query ^ 1]
        assert [shown.hit for shown in pictures] == [None, query % 2 == 0, True]
    path = tmp_path / "examples.png"
    save(examples(rows, rule), path, tmp_path / "examples.pdf")
    with Image.open(io.BytesIO(path.read_bytes())) as drawn:
        assert drawn.width == pytest.approx(183 / 25.4 * 300, abs=2)
    assert (
        b"/Type42" in (tmp_path / "examples.pdf").read_bytes()
        or b"/FontFile2" in (tmp_path / "examples.pdf").read_bytes()
    )


def test_a_table_of_one_patient_has_no_interval_and_still_a_figure():
    one = record("good", 0, 0.5)
    one["result"]["about"]["patient"] = ["p"] * 40
    table = intervals([one])
    assert table.low.isna().all()
    assert isinstance(table, pd.DataFrame)
    recall_bars(table)
