"""What a report says of comparisons: other tests, sentences, ranks across tasks, and what to know beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from f2vbench import Results
from f2vbench.report.content import report_content
from f2vbench.report.writers.html import page
from f2vbench.report.writers.latex import document
from tests.helpers.stored_runs import call_record, grid, write_run


def test_a_second_table_holds_the_other_tests_and_says_how_small_wilcoxons_p_can_be():
    held = report_content(Results(grid({"a": 0.9, "b": 0.8, "c": 0.7})))
    first, second = held.comparisons
    assert [row[:4] for row in first.rows] == [row[:4] for row in second.rows]
    frame = held.comparison
    columns = {column.title: place for place, column in enumerate(second.columns)}
    for title, name in (("Welch's t", "welch"), ("Wilcoxon", "wilcoxon"), ("permutation", "permutation")):
        assert [row[columns[title]].value for row in second.rows] == list(frame[f"p_{name}_adjusted"])
    assert [row[columns["effect size"]].value for row in second.rows] == list(frame.effect)
    assert {row[columns["DeLong"]].text for row in second.rows} == {"–"}
    assert "With 5 seeds, the p-value of Wilcoxon's test is at least 0.0625 before adjustment" in second.notes[0]
    assert "no difference can be significant at 0.05" in second.notes[0]
    assert any("mean over images" in note for note in second.notes)


def test_every_comparison_has_a_sentence_that_says_what_it_would_take():
    held = report_content(Results(grid({"a": 0.8, "b": 0.8001, "c": 0.5}, seeds=4, spread=0.05)), reference="c")
    assert len(held.comparison_sentences) == len(held.comparisons[0].rows) == len(held.comparison) == 4
    assert list(held.comparison.sentence) == held.comparison_sentences
    for row, sentence in zip(held.comparison.itertuples(), held.comparison_sentences, strict=True):
        assert sentence.startswith("eyes, few-shot, 1 shot, ")
        if "c" in (row.first, row.second):
            assert "c is significantly worse than" in sentence
            assert "n = 4" in sentence
        else:
            assert f"{row.first} and {row.second} do not differ significantly at n = 4 splits and n = " in sentence
            assert "would be needed" in sentence or "no number of splits" in sentence
    html = page(held)
    assert "All 4 comparisons in words" in html


def test_ranks_across_tasks_are_friedmans_and_against_the_first():
    levels = {"a": 0.9, "b": 0.8, "c": 0.7}
    turned = {"a": 0.9, "b": 0.7, "c": 0.8}
    records = [r for n, held in enumerate([levels, levels, turned]) for r in grid(held, seeds=2, task=f"t{n}")]
    held = report_content(Results(records))
    table = held.ranks.table
    assert [(row[0].text, row[1].value) for row in table.rows] == [
        ("a", 1.0),
        ("b", pytest.approx(7 / 3)),
        ("c", pytest.approx(8 / 3)),
    ]
    assert [row[2].text for row in table.rows] == ["–", "0–0–3", "0–0–3"]
    expected = friedmanchisquare([0.9] * 3, [0.8, 0.8, 0.7], [0.7, 0.7, 0.8])
    assert f"χ² = {expected.statistic:.3f}, p = {expected.pvalue:.4f}" in table.notes[0]
    scores = -np.array([[0.9, 0.8, 0.7], [0.9, 0.8, 0.7], [0.9, 0.7, 0.8]])
    gap = (rankdata(scores, axis=1).mean(0)[1] - 1) / np.sqrt(3 * 4 / (6 * 3)) * np.sqrt(2)
    assert table.rows[1][4].value == pytest.approx(studentized_range.sf(gap, 3, np.inf))
    assert table.rows[1][5].value == pytest.approx(0.75)  # 2/2³, times three pairs
    assert any("is at least 0.2500 before adjustment" in note for note in table.notes)
    assert "Average ranks across tasks" in document(held.tables)


def test_pictures_that_are_there_twice_are_told_before_any_number(tmp_path):
    counted = {"pictures": 3, "images": 7, "labels": 1, "pictures_across": 0}
    counted |= {"alike": 5, "alike_patients": 4, "alike_across": 2}
    call = call_record({"eyes": {}, "others": {}})
    call["data"]["eyes"]["doubles"] = counted
    call["data"]["others"]["doubles"] = dict.fromkeys(counted, 0)
    records = [*grid({"a": 0.9, "b": 0.8}, seeds=2), *grid({"a": 0.9, "b": 0.8}, seeds=2, task="others")]
    held = report_content(Results.load(write_run(tmp_path / "run", records, call)))
    told = " ".join(held.limitations)
    assert "eyes: 7 images are exact duplicates (3 distinct pictures, 1 of them with different" in told
    assert "none is in both the support set and the test set of an episode" in told
    assert "eyes: 5 pairs of photographs are near-duplicates, 4 of them of different patients" in told
    assert "2 of them in both the support set and the test set of an episode" in told
    assert any(note.startswith("others: no exact duplicates and no near-duplicates") for note in held.notes)
    old = report_content(Results(grid({"a": 0.9}, seeds=2)))
    assert any("did not check the images for duplicates" in note for note in old.notes)


def test_a_run_half_done_is_reported_and_said_to_be(tmp_path):
    records = [r for r in grid({"a": 0.9, "b": 0.8, "c": 0.7}, seeds=3) if r["unit"]["seed"] < 2 or r["floor"]]
    records += [r for r in grid({"a": 0.9}, seeds=3) if r["unit"]["seed"] == 2]
    held = report_content(Results.load(write_run(tmp_path / "run", records)))
    assert any("incomplete results: some models have 2 of 3 seeds" in warning for warning in held.limitations)
    assert "2 to 3 seeds" in held.conditions[0].caption
    assert "n = 2 seeds" in held.comparisons[0].rows[0][6].detail
    assert "incomplete results" in page(held)
