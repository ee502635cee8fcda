"""Figures of retrieval results."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.analysis.retrieval import RetrievalStatistics
from f2vbench.report.figures.catalogue import missing_figures
from f2vbench.report.figures.retrieved_images import similarity_decimals
from tests.helpers.drawn_figures import bar_heights, draw_one, point_values
from tests.helpers.made_runs import retrieval_record, retrieval_records, without_patients


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return retrieval_records()


def test_bars_are_means_whiskers_intervals_and_dashed_lines_chance_levels(records):
    drawn = draw_one(Results(records), "fig7")
    (axis,) = drawn.figure.axes
    recalls = ("recall@1", "recall@5", "recall@10")
    rows = Results(records).frame
    rows = rows[rows.metric.isin(recalls)]
    assert bar_heights(axis) == pytest.approx(sorted(rows.groupby(["metric", "encoder"]).value.mean()))
    assert point_values(axis) == pytest.approx(sorted(rows.value))
    intervals = RetrievalStatistics(records).intervals
    with_interval = intervals[intervals.metric.isin(recalls)].dropna(subset=["low"])
    assert len(with_interval) == 2
    ends = {round(y, 9) for line in axis.lines if line.get_marker() == "_" for y in line.get_ydata()}
    assert ends == {round(y, 9) for y in [*with_interval.low, *with_interval.high]}
    chance = sorted(line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "--")
    assert chance == pytest.approx([0.02, 0.1, 0.3])
    assert "120 queries of 20 patients" in drawn.caption
    assert drawn.name == "retrieval"


def test_units_of_an_older_version_give_bars_without_whiskers_and_the_reason(records):
    old = Results([without_patients(record) for record in records])
    drawn = draw_one(old, "retrieval")
    (axis,) = drawn.figure.axes
    assert bar_heights(axis) == bar_heights(draw_one(Results(records), "retrieval").figure.axes[0])
    assert not [line for line in axis.lines if line.get_marker() == "_"]
    assert "No whiskers in eyes: an older version made the units" in drawn.caption
    assert "BCa" not in drawn.caption
    assert "the patient of each image" in missing_figures(old)["retrieval-examples"]


def test_variants_have_their_own_panels():
    records = retrieval_records()
    for record in records:
        for recall in ("recall@1", "recall@5", "recall@10"):
            record["result"]["metrics"] |= {f"{recall}:other-eye": 0.5, f"{recall}:other-eye_chance": 0.25}
    titles = [axis.get_title(loc="left") for axis in draw_one(Results(records), "retrieval").figure.axes]
    assert titles == ["a  eyes", "b  eyes, other-eye"]


def test_pairs_of_modalities_are_a_matrix_of_means_with_chance_levels():
    values = {"CF-to-CF": 0.9, "CF-to-FFA": 0.4, "FFA-to-CF": 0.2, "FFA-to-FFA": None}
    records = retrieval_records()
    for record in records:
        for pair, value in values.items():
            shifted = value and value + 0.01 * record["unit"]["seed"]
            chance = value and 0.1
            record["result"]["metrics"] |= {f"recall@1:{pair}": shifted, f"recall@1:{pair}_chance": chance}
    for axis in draw_one(Results(records), "modality-pairs").figure.axes[:2]:
        assert [text.get_text() for text in axis.texts] == ["0.91\n(0.10)", "0.41\n(0.10)", "0.21\n(0.10)", "–"]
        shades = axis.images[0].get_array()
        assert shades[0, 0] > shades[0, 1] > shades[1, 0]


def test_a_task_of_one_patient_has_a_figure():
    record = retrieval_record("good", 0, 0.5)
    record["result"]["about"]["patient"] = ["p"] * 40
    assert bar_heights(draw_one(Results([record]), "retrieval").figure.axes[0])


def test_similarities_near_one_have_more_decimals():
    assert similarity_decimals([0.5, 0.2]) == similarity_decimals([1.0]) == similarity_decimals([]) == 3
    assert f"{0.99951:.{similarity_decimals([0.99951, 0.9])}f}" == "0.99951"
    assert similarity_decimals([0.99999999]) == 6
