"""Data that are stored for results: predictions, and the images of tasks."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.report import stored_data
from f2vbench.report.stored_data import NotStored
from tests.helpers.stored_runs import call_record, grid


def test_a_task_is_opened_once_for_all_figures(monkeypatch):
    calls = []

    class OpenedTask:
        fingerprint = "data"

    def open_task(task, folder, progress):
        calls.append((task, folder))
        return OpenedTask()

    monkeypatch.setattr(stored_data, "open_task", open_task)
    results = Results(grid({"a": 0.9}, seeds=1), calls=[call_record({"eyes": {}})])
    assert results.stored.task_data("eyes") is results.stored.task_data("eyes")
    assert calls == [("eyes", "nowhere")]


def test_images_that_changed_since_the_run_are_not_stored(monkeypatch):
    class ChangedTask:
        fingerprint = "other data"

    monkeypatch.setattr(stored_data, "open_task", lambda task, folder, progress: ChangedTask())
    results = Results(grid({"a": 0.9}, seeds=1), calls=[call_record({"eyes": {}})])
    with pytest.raises(NotStored, match="the images in nowhere have changed since the run"):
        results.stored.task_data("eyes")


def test_results_without_a_run_folder_have_no_predictions():
    results = Results(grid({"a": 0.9}, seeds=1))
    record = results.records[0]
    with pytest.raises(NotStored, match="store no predictions"):
        results.predictions(record)
    record["result"]["predictions"] = {"sha256": "0" * 64, "bytes": 1}
    with pytest.raises(NotStored, match="do not come from a run folder"):
        results.predictions(record)
