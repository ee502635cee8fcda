"""The papers' tables."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.errors import StoreError
from f2vbench.report.content import report_content
from tests.helpers.stored_runs import call_record, grid, unit_record, write_run


def test_eye_diseases_and_systemic_outcomes_have_separate_tables(tmp_path):
    folders = []
    for task, protocol, layout in (("dr", "few-shot", "aptos2019"), ("stroke", "zero-shot", "uk_biobank")):
        shots = (2,) if protocol == "few-shot" else (0,)
        records = grid(
            {"mine": 0.9, "other": 0.8},
            seeds=2,
            shots=shots,
            task=task,
            family="classification",
            main_metrics=["auroc"],
        )
        call = call_record({task: {"layout": layout, "title": f"Title of {task}"}})
        folders.append(write_run(tmp_path / task, records, call))
    results = Results.load(*folders)
    assert set(results.table("supp-2").frame["data set"]) == {"Title of dr"}
    assert list(results.table("supp-2").frame["images per class"]) == [2, 2]
    assert set(results.table("supp-4").frame["data set"]) == {"Title of stroke"}
    assert set(report_content(results).paper_tables) == {"supp-2", "supp-4"}
    with pytest.raises(StoreError, match="no results for supp-7"):
        results.table("supp-7")
    with pytest.raises(StoreError, match="did you mean 'supp-2'"):
        results.table("supp2")


def test_table_1_lists_published_values_without_ranking_them():
    records = [
        unit_record(
            name,
            family="generation",
            protocol="zero-shot",
            shots=0,
            seed=seed,
            images={"eye": {"psnr": 20.0 + seed, "lpips": lpips}},
            main_metrics=["psnr", "lpips"],
            lower_is_better=["lpips"],
        )
        for name, lpips in (("ours", 0.2), ("still", 0.3))
        for seed in (0, 1)
    ]
    table = Results(records).table("table-1")
    published = [row for row in table.rows if row[1].detail == "published"]
    assert len(published) == 8
    assert all(row[0].muted and "published" in row[0].text for row in published)
    assert not any(cell.mark for row in published for cell in row)
    assert any("no ranking" in note for note in table.notes)
    assert [column.title for column in table.columns][2:4] == ["PSNR", "LPIPS ↓"]
