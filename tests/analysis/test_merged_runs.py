"""Merging of many runs by fingerprint."""

from __future__ import annotations

import pytest

from f2vbench.analysis.merged_runs import merge_runs
from f2vbench.errors import StoreError
from tests.helpers.stored_runs import call_record, grid, unit_record, write_run

IMAGES = {"eye1": {"auroc": 0.9}, "eye2": {"auroc": 0.8}}


def test_a_fingerprint_in_two_runs_counts_once_and_this_is_noted(tmp_path):
    one = write_run(tmp_path / "one", grid({"a": 0.9}, seeds=2), call_record({"eyes": {}}))
    two = write_run(tmp_path / "two", [*grid({"a": 0.9}, seeds=2), *grid({"b": 0.8}, seeds=3)])
    merged = merge_runs([one, two, one])
    assert len(merged.records) == len(merged.sources) == 5
    assert merged.sources[:2] == [one, one]
    assert merged.folders == [one, two]
    assert merged.notes == ["2 units in more than one folder, with equal results: each counts once"]


def test_different_results_of_one_fingerprint_are_an_error_that_names_both_folders(tmp_path):
    one = write_run(tmp_path / "one", [unit_record("a", images=IMAGES)])
    two = write_run(tmp_path / "two", [unit_record("a", images=IMAGES, metrics={"auroc": 0.86})])
    with pytest.raises(StoreError) as error:
        merge_runs([one, two])
    message = str(error.value)
    assert f"{one} and {two} both contain the unit " in message
    assert "auroc 0.85" in message
    assert "0.86" in message


def test_the_last_digits_of_a_value_may_differ(tmp_path):
    one = write_run(tmp_path / "one", [unit_record("a", images=IMAGES)])
    two = write_run(tmp_path / "two", [unit_record("a", images=IMAGES, metrics={"auroc": 0.85 + 1e-5})])
    assert len(merge_runs([one, two]).records) == 1


def test_other_weights_and_data_of_one_name_stay_side_by_side(tmp_path):
    one = write_run(tmp_path / "one", [unit_record("a", images=IMAGES, weights_sha256="1" * 64)])
    two = write_run(tmp_path / "two", [unit_record("a", images=IMAGES, weights_sha256="2" * 64, data="other")])
    assert len(merge_runs([one, two]).records) == 2


def test_folders_that_are_no_runs_are_left_out_and_missing_ones_are_an_error(tmp_path):
    run = write_run(tmp_path / "run", [unit_record("a", images=IMAGES)])
    (tmp_path / "training").mkdir()
    assert merge_runs([run, tmp_path / "training"]).notes == [
        f"{tmp_path / 'training'}: left out, it is not the folder of a benchmark run"
    ]
    with pytest.raises(StoreError, match="no such folder"):
        merge_runs([run, tmp_path / "nowhere"])
    with pytest.raises(StoreError, match="no completed unit"):
        merge_runs([tmp_path / "training"])
