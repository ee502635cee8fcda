"""Tables of retrieval results, in the terminal and in the report."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.analysis.retrieval import RetrievalStatistics
from f2vbench.cli.report import tables
from f2vbench.report.content import report_content
from f2vbench.report.tables.retrieval import retrieval_tables
from f2vbench.report.tables.terminal import table_text
from f2vbench.report.text.wording import TaskNames
from f2vbench.report.writers.html import page
from tests.helpers.made_runs import retrieval_record, retrieval_records, without_patients

NAMES = TaskNames({"eyes": "eyes"}, {"eyes": "retrieval"})


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return retrieval_records()


def test_tables_have_the_numbers_of_intervals_and_comparisons(records):
    # By default the reference is the best model that is not a baseline.
    first, second = retrieval_tables(Results(records), None, NAMES)
    assert second.title == "Retrieval: good against each other model"
    assert first.frame["value"].tolist() == RetrievalStatistics(records).intervals.value.tolist()
    best = {(row[1].text, row[2].text) for row in first.rows if row[3].mark == "best"}
    assert ("Recall@1", "good") in best
    comparison = RetrievalStatistics(records).compare("good")
    assert second.frame["difference"].tolist() == comparison.difference.tolist()
    adjusted = second.frame.set_index("metric")["p (Holm)"]
    assert adjusted["Recall@1"] == comparison.set_index("metric").p_holm["recall@1"]


def test_the_report_has_the_tables(records):
    report = report_content(Results(records), reference="good")
    assert [table.name for table in report.retrieval] == ["retrieval-intervals", "retrieval-comparisons"]
    assert report.retrieval[0] in report.tables
    assert 'id="table-retrieval-intervals"' in page(report)


def test_the_terminal_names_the_resampling_and_the_baselines(records):
    text = tables(Results(records), reference="good").text
    assert "resamples of patients" in text
    assert "poor (baseline)" in text


def test_units_of_an_older_version_give_a_note_instead_of_tables(records):
    old = Results([without_patients(record) for record in records])
    assert "note: eyes: an older version made the units" in tables(old).text
    assert not report_content(old).retrieval


def test_a_task_of_one_patient_has_a_table_of_values_without_comparisons():
    record = retrieval_record("good", 0, 0.5)
    record["result"]["about"]["patient"] = ["p"] * 40
    assert len(retrieval_tables(Results([record]), None, NAMES)) == 1


def test_variants_are_rows_and_pairs_of_modalities_a_matrix_for_each_encoder():
    records = retrieval_records()
    for record in records:
        result = record["result"]
        for values in result["per_image"].values():
            values["recall@1:other-eye"] = 0.5
        pairs = {"CF-to-CF": 0.91, "CF-to-FFA": 0.41, "FFA-to-CF": 0.21, "FFA-to-FFA": None}
        result["metrics"] |= {"recall@1:other-eye": 0.5, "recall@1:other-eye_chance": 0.25}
        result["metrics"] |= {f"recall@1:{pair}": value for pair, value in pairs.items()}
        result["metrics"] |= {f"recall@1:{pair}_chance": value and 0.1 for pair, value in pairs.items()}
    found = retrieval_tables(Results(records), "good", NAMES)
    assert [table.name for table in found] == [
        "retrieval-intervals",
        "retrieval-comparisons",
        "modality-pairs-eyes-good",
        "modality-pairs-eyes-poor",
    ]
    assert found[2].frame.to_numpy().tolist() == [["CF", 0.91, 0.41], ["FFA", 0.21, "–"]]
    assert "Recall@1, other-eye" in table_text(found[0])
