"""Intervals, comparisons and figures of retrieval runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from f2vbench import Results
from f2vbench.analysis.retrieval import compare, intervals, queries, retrieval_records, untold
from f2vbench.cli.report import tables
from f2vbench.errors import StoreError
from f2vbench.report.content import content
from f2vbench.report.figures.catalogue import draw_figures, missing_figures
from f2vbench.report.figures.retrieved_images import similarity_decimals
from f2vbench.report.tables.retrieval import as_text, retrieval_tables
from f2vbench.report.writers.html import page
from tests.helpers.stored_runs import MACHINE, SOFTWARE


def record(encoder: str, seed: int, hit_rate: float, baseline: bool = False) -> dict:
    """A unit of 40 images of 20 patients with metrics that are drawn."""
    draw = np.random.default_rng([seed, int(100 * hit_rate)])
    names = [f"i{n:02}" for n in range(40)]
    patients = [f"p{n // 2}" for n in range(40)]
    hits = (draw.random(40) < hit_rate).astype(float)
    rows = {name: {"recall@1": hit, "map": draw.random()} for name, hit in zip(names, hits, strict=True)}
    rows = {
        name: values | dict.fromkeys(("recall@5", "recall@10", "mean_recall"), 1.0) for name, values in rows.items()
    }
    metrics = {"recall@1": hits.mean(), "recall@5": 1.0, "recall@10": 1.0, "mean_recall": 1.0, "map": 0.5}
    levels = {"recall@1": 0.02, "recall@5": 0.1, "recall@10": 0.3, "mean_recall": 0.14}
    about = {"patient": patients, "modality": ["CF", "FFA"] * 20, "eye": ["left"] * 40, "view": [""] * 40}
    return {
        "unit": {"encoder": encoder, "task": "eyes", "protocol": "zero-shot", "shots": 0, "seed": seed},
        "family": "retrieval",
        "main_metrics": ["recall@1", "recall@5", "recall@10", "mean_recall"],
        "fingerprint": f"{encoder}{seed}",
        "identity": {"data": "d", "model": {}},
        "timing": {},
        "provenance": {"software": SOFTWARE, "machine": MACHINE, "device": "cpu", "weights_sha256": None},
        "weights": "none" if baseline else "untrained",
        "floor": baseline,
        "result": {
            "episode": {"test": names, "support": [], "seed": seed, "patients": patients, "patients_in_all": 20},
            "reasons": {},
            "metrics": metrics | {f"{name}_chance": level for name, level in levels.items()},
            "per_image": rows,
            "gallery": names,
            "about": about,
        },
    }


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return [record("good", s, 0.8) for s in range(3)] + [record("poor", s, 0.3, baseline=True) for s in range(3)]


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
    assert "every replicate has the same value" in compared.reason["recall@5"]
    with pytest.raises(StoreError, match="did you mean 'good'"):
        compare(records, "goood")
    text = tables(Results(records), reference="good").text
    assert "resamples of patients" in text
    assert "poor (baseline)" in text


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


def test_tasks_of_an_older_version_are_left_out_whole_and_named(records):
    old = {**records[0], "result": {key: held for key, held in records[0]["result"].items() if key != "about"}}
    other = {**records[1], "unit": {**records[1]["unit"], "task": "others"}}
    assert retrieval_records([records[0], {**records[1], "family": "segmentation"}]) == [records[0]]
    assert retrieval_records([old, records[1], other]) == [other]
    (why,) = untold([old, records[1], other]).values()
    assert why.startswith("eyes: units made by an older version")
    assert "run the task again" in why


def one(results: Results, name: str):
    (drawn,) = draw_figures(results, [name])
    return drawn


def heights(axis) -> list[float]:
    return sorted(patch.get_height() for patch in axis.patches)


def test_the_bars_end_at_the_means_their_whiskers_at_the_intervals_and_dashes_at_chance(records):
    drawn = one(Results(records), "fig7")
    (axis,) = drawn.figure.axes
    table = intervals(records, ("recall@1", "recall@5", "recall@10"))
    means = Results(records).frame.query("metric in ('recall@1', 'recall@5', 'recall@10')")
    assert heights(axis) == pytest.approx(sorted(means.groupby(["metric", "encoder"]).value.mean()))
    ends = {round(y, 9) for line in axis.lines if line.get_marker() == "_" for y in line.get_ydata()}
    known = table.dropna(subset=["low"])
    assert len(known) == 2
    assert ends == {round(y, 9) for y in [*known.low, *known.high]}
    levels = sorted(line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--")
    assert levels == pytest.approx([0.02, 0.1, 0.3])
    points = [
        y
        for line in axis.lines
        if line.get_linestyle() == "None" and line.get_marker() != "_"
        for y in line.get_ydata()
    ]
    assert sorted(points) == pytest.approx(sorted(means.value))
    assert "120 queries of 20 patients" in drawn.caption
    assert drawn.name == "retrieval"


def test_old_units_give_bars_without_whiskers_and_the_reason(records):
    old = [
        {**each, "result": {key: held for key, held in each["result"].items() if key != "about"}} for each in records
    ]
    drawn = one(Results(old), "retrieval")
    (axis,) = drawn.figure.axes
    assert heights(axis) == heights(one(Results(records), "retrieval").figure.axes[0])
    assert not [line for line in axis.lines if line.get_marker() == "_"]
    assert "No whiskers in eyes: units made by an older version" in drawn.caption
    assert "BCa" not in drawn.caption
    assert "whose image each is" in missing_figures(Results(old))["retrieval-examples"]
    text = tables(Results(old)).text
    assert "note: eyes: units made by an older version" in text
    assert not content(Results(old)).retrieval


def test_variants_have_panels_of_their_own_and_pairs_of_modalities_a_matrix(records):
    values = {"CF-to-CF": 0.9, "CF-to-FFA": 0.4, "FFA-to-CF": 0.2, "FFA-to-FFA": None}
    told = [{**each, "result": {**each["result"], "metrics": dict(each["result"]["metrics"])}} for each in records]
    for seed, each in enumerate(told):
        metrics = each["result"]["metrics"]
        each["result"]["per_image"] = {
            name: {"recall@1": held["recall@1"], "recall@1:other-eye": 0.5}
            for name, held in each["result"]["per_image"].items()
        }
        for metric in ("recall@1", "recall@5", "recall@10"):
            metrics |= {f"{metric}:other-eye": 0.5, f"{metric}:other-eye_chance": 0.25}
        for pair, value in values.items():
            level = None if value is None else 0.1
            metrics |= {f"recall@1:{pair}": value and value + 0.01 * (seed % 3), f"recall@1:{pair}_chance": level}
    results = Results(told)
    assert [axis.get_title(loc="left") for axis in one(results, "retrieval").figure.axes] == [
        "a  eyes",
        "b  eyes, other-eye",
    ]
    for axis in one(results, "modality-pairs").figure.axes[:2]:
        assert [text.get_text() for text in axis.texts] == ["0.91\n(0.10)", "0.41\n(0.10)", "0.21\n(0.10)", "–"]
        shades = axis.images[0].get_array()
        assert shades[0, 0] > shades[0, 1] > shades[1, 0]
    tables = retrieval_tables(told, "good", str)
    assert [table.name for table in tables] == [
        "retrieval-intervals",
        "retrieval-comparisons",
        "modality-pairs-eyes-good",
        "modality-pairs-eyes-poor",
    ]
    assert tables[2].frame.to_numpy().tolist() == [["CF", 0.91, 0.41], ["FFA", 0.21, "–"]]
    assert "Recall@1, other-eye" in as_text(tables[0])


def test_a_task_of_one_patient_has_no_interval_and_still_a_figure():
    alone = record("good", 0, 0.5)
    alone["result"]["about"]["patient"] = ["p"] * 40
    assert intervals([alone]).low.isna().all()
    assert len(retrieval_tables([alone], None, str)) == 1
    assert heights(one(Results([alone]), "retrieval").figure.axes[0])


def test_similarities_near_one_are_told_from_it():
    assert similarity_decimals([0.5, 0.2]) == similarity_decimals([1.0]) == similarity_decimals([]) == 3
    assert f"{0.99951:.{similarity_decimals([0.99951, 0.9])}f}" == "0.99951"
    assert similarity_decimals([0.99999999]) == 6


def test_tables_hold_the_numbers_of_intervals_and_comparisons(records):
    first, second = retrieval_tables(records, None, str)  # the best that is no baseline
    assert second.title == "Retrieval: good against each other model"
    table = intervals(records)
    assert first.frame["value"].tolist() == table.value.tolist()
    marked = {(row[1].text, row[2].text) for row in first.rows if row[3].mark == "best"}
    assert ("Recall@1", "good") in marked
    compared = compare(records, "good")
    assert second.frame["difference"].tolist() == compared.difference.tolist()
    held = second.frame.set_index("metric")["p (Holm)"]
    assert held["Recall@1"] == compared.set_index("metric").p_holm["recall@1"]
    page_of = content(Results(records), reference="good")
    assert [table.name for table in page_of.retrieval] == ["retrieval-intervals", "retrieval-comparisons"]
    assert page_of.retrieval[0] in page_of.tables
    assert 'id="table-retrieval-intervals"' in page(page_of)
