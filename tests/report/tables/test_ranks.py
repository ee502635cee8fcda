"""Table of average ranks across tasks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from f2vbench import Results
from f2vbench.report.content import report_content
from f2vbench.report.writers.html import page
from f2vbench.report.writers.latex import document
from tests.helpers.stored_runs import grid


def test_ranks_and_tests_are_those_of_scipy():
    levels, swapped = {"a": 0.9, "b": 0.8, "c": 0.7}, {"a": 0.9, "b": 0.7, "c": 0.8}
    records = [
        record
        for number, of_task in enumerate([levels, levels, swapped])
        for record in grid(of_task, seeds=2, task=f"t{number}")
    ]
    content = report_content(Results(records))
    table = content.ranks.table
    assert [(row[0].text, row[1].value) for row in table.rows] == [
        ("a", 1.0),
        ("b", pytest.approx(7 / 3)),
        ("c", pytest.approx(8 / 3)),
    ]
    assert [row[2].text for row in table.rows] == ["–", "0–0–3", "0–0–3"]
    friedman = friedmanchisquare([0.9] * 3, [0.8, 0.8, 0.7], [0.7, 0.7, 0.8])
    assert f"χ² = {friedman.statistic:.3f}, p = {friedman.pvalue:.4f}" in table.notes[0]
    scores = -np.array([[0.9, 0.8, 0.7], [0.9, 0.8, 0.7], [0.9, 0.7, 0.8]])
    gap = (rankdata(scores, axis=1).mean(0)[1] - 1) / np.sqrt(3 * 4 / (6 * 3)) * np.sqrt(2)
    assert table.rows[1][4].value == pytest.approx(studentized_range.sf(gap, 3, np.inf))
    assert table.rows[1][5].value == pytest.approx(0.75)  # 2 / 2³, times three pairs
    assert any("is at least 0.2500 before adjustment" in note for note in table.notes)
    assert "Average ranks across tasks" in document(content.tables)


def test_one_task_has_no_ranks_and_a_reason(content):
    assert content.ranks.table is None
    assert "same 2 or more tasks" in content.ranks.reason
    assert content.ranks.reason.replace("'", "&#39;") in page(content)
