"""Limitations come before the results: random weights, few seeds, duplicates, damaged units."""

from __future__ import annotations

import shutil

from f2vbench import Results
from f2vbench.cli.main import main
from f2vbench.report.content import report_content
from f2vbench.report.writers.html import page
from tests.helpers.stored_runs import call_record, grid, write_run

COUNTS = {"pictures": 3, "images": 7, "labels": 1, "pictures_across": 0}
COUNTS |= {"alike": 5, "alike_patients": 4, "alike_across": 2}


def test_random_weights_and_few_seeds_are_named_before_the_summary(content):
    html = page(content)
    assert html.index("random weights without training: net:untrained") < html.index("Summary</h2>")
    assert "fewer than five seeds" in html


def test_exact_duplicates_and_near_duplicates_are_limitations(tmp_path):
    call = call_record({"eyes": {}, "others": {}})
    call["data"]["eyes"]["doubles"] = COUNTS
    call["data"]["others"]["doubles"] = dict.fromkeys(COUNTS, 0)
    records = [record for task in ("eyes", "others") for record in grid({"a": 0.9, "b": 0.8}, seeds=2, task=task)]
    content = report_content(Results.load(write_run(tmp_path / "run", records, call)))
    limitations = " ".join(content.limitations)
    assert "eyes: 7 images are exact duplicates (3 distinct images, 1 of them with different" in limitations
    assert "none is in both the support set and the test set of an episode" in limitations
    assert "eyes: 5 pairs of photographs are near-duplicates, 4 of them of different patients" in limitations
    assert "2 of them in both the support set and the test set of an episode" in limitations
    assert any(note.startswith("others: no exact duplicates and no near-duplicates") for note in content.notes)


def test_runs_without_duplicate_counts_are_noted():
    content = report_content(Results(grid({"a": 0.9}, seeds=2)))
    assert any("did not check the images for duplicates" in note for note in content.notes)


def test_a_damaged_unit_is_set_aside_with_a_warning(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    path = sorted((folder / "units").glob("*mine*"))[0]
    path.write_bytes(path.read_bytes()[:-30])
    assert (
        main(["report", f"run={folder}", f"out={tmp_path / 'out'}", "format=html", "figures=none", "metric=auroc"]) == 0
    )
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.index("set aside") < html.index("Summary</h2>")
