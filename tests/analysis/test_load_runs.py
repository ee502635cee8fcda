"""Loading several run folders together, and conflicts between them."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.errors import StoreError
from tests.helpers.stored_runs import call_record, grid, unit_record, write_run

IMAGES = {"eye1": {"auroc": 0.9}, "eye2": {"auroc": 0.8}}


def test_run_folders_are_merged_and_a_shared_unit_counts_once(tmp_path):
    first = write_run(tmp_path / "one", grid({"a": 0.9}, seeds=2))
    second = write_run(tmp_path / "two", [*grid({"a": 0.9}, seeds=2), *grid({"b": 0.8}, seeds=2)])
    results = Results.load(first, second)
    assert sorted(results.frame.encoder.unique()) == ["a", "b"]
    assert results.frame.unit.nunique() == 4
    assert len(results.sources) == len(results.records) == 4


def test_one_unit_with_different_data_is_an_error_that_names_both_folders(tmp_path):
    one = write_run(tmp_path / "one", [unit_record("a", seed=s, images=IMAGES, data="x") for s in (0, 1)])
    two = write_run(tmp_path / "two", [unit_record("a", seed=s, images=IMAGES, data="y") for s in (0, 1)])
    with pytest.raises(StoreError) as error:
        Results.load(one, two)
    assert len(error.value.problems) == 2
    for problem in error.value.problems:
        assert str(one) in problem
        assert str(two) in problem
        assert "different data" in problem


def test_one_model_name_with_different_weights_is_an_error_across_tasks(tmp_path):
    one = write_run(tmp_path / "one", [unit_record("a", images=IMAGES, weights_sha256="1" * 64)])
    two = write_run(tmp_path / "two", [unit_record("a", task="others", images=IMAGES, weights_sha256="2" * 64)])
    with pytest.raises(StoreError, match="different weights") as error:
        Results.load(one, two)
    assert str(one) in str(error.value)
    assert str(two) in str(error.value)


def test_damaged_units_are_set_aside_with_a_warning(tmp_path):
    records = grid({"a": 0.9, "b": 0.8}, seeds=2)
    folder = write_run(tmp_path / "run", records, call_record({"eyes": {}}, planned=records))
    broken = sorted((folder / "units").glob("*.json"))[0]
    broken.write_bytes(broken.read_bytes()[:-40])
    results = Results.load(folder)
    assert results.frame.unit.nunique() == 3
    assert any("set aside" in note for note in results.warnings)
    assert any("incomplete results" in note for note in results.warnings)


def test_an_empty_run_and_a_missing_run_folder_are_errors(tmp_path):
    empty = write_run(tmp_path / "empty", [])
    with pytest.raises(StoreError, match="no completed unit"):
        Results.load(empty)
    with pytest.raises(StoreError, match="not a run folder"):
        Results.load(tmp_path / "nowhere")


def test_a_record_without_required_keys_is_an_error(tmp_path):
    record = unit_record("a", images=IMAGES)
    del record["provenance"], record["fingerprint"]
    folder = write_run(tmp_path / "run", [record])
    with pytest.raises(StoreError, match="lacks fingerprint, provenance"):
        Results.load(folder)
