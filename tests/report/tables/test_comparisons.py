"""Tables of comparisons: the deciding and the further tests."""

from __future__ import annotations

from f2vbench import Results
from f2vbench.report.content import report_content
from tests.helpers.stored_runs import grid


def test_further_tests_are_those_of_the_data_frame_and_the_smallest_p_of_wilcoxon_is_noted():
    content = report_content(Results(grid({"a": 0.9, "b": 0.8, "c": 0.7})))
    deciding, further = content.comparisons
    assert [row[:4] for row in deciding.rows] == [row[:4] for row in further.rows]
    frame = content.comparison
    index = {column.title: number for number, column in enumerate(further.columns)}
    for title, name in (("Welch's t", "welch"), ("Wilcoxon", "wilcoxon"), ("permutation", "permutation")):
        assert [row[index[title]].value for row in further.rows] == list(frame[f"p_{name}_adjusted"])
    assert [row[index["effect size"]].value for row in further.rows] == list(frame.effect)
    assert {row[index["DeLong"]].text for row in further.rows} == {"–"}
    assert any("papers test predictions in classification only" in note for note in further.notes)
    assert "With 5 seeds, the p-value of Wilcoxon's test is at least 0.0625 before adjustment" in further.notes[0]
    assert "no difference can be significant at 0.05" in further.notes[0]
    assert any("mean over images" in note for note in further.notes)
