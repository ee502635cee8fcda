"""Table of equivalence and non-inferiority in a report."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.errors import SettingsError
from f2vbench.report.content import report_content
from f2vbench.report.tables.clinical import ClinicalSettings
from f2vbench.stats.equivalence import equivalence_test
from tests.helpers.stored_runs import call_record, grid, write_run


def test_the_table_has_a_row_for_each_comparison(tmp_path):
    records = grid({"a": 0.8, "b": 0.799, "c": 0.6}, baselines=["c"], spread=0.02, images=20)
    results = Results.load(write_run(tmp_path / "run", records, call_record({"eyes": {}})))
    content = report_content(results, ["auroc"], clinical=ClinicalSettings(margin=0.02))
    (table,) = content.clinical
    comparisons = results.comparisons(["auroc"])
    assert [[cell.text for cell in row[2:4]] for row in table.rows] == [["a", "b"], ["a", "c (baseline)"]]
    expected = equivalence_test(comparisons[0].crossed, 0.02)
    near, far = table.rows
    assert near[5].text == "equivalent"
    assert near[6].value == pytest.approx(min(1, 2 * expected.p_equivalence)), "the smaller of two p, by Holm"
    assert (far[5].text, near[4].detail[0]) == ("first not inferior", "[")
    results.report(tmp_path / "report", margin=0.02, metric="auroc", format="md", figures="none")
    assert "Equivalence and non-inferiority with a margin of 0.02" in (tmp_path / "report" / "report.md").read_text()
    with pytest.raises(SettingsError, match="margin"):
        results.report(tmp_path / "other", margin=0)
