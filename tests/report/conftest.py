"""Fixtures of the report tests: one stored run, its results, and the content of its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from f2vbench import Results
from f2vbench.report.content import ReportContent, report_content
from tests.helpers.stored_runs import call_record, grid, write_run
from tests.report.markup import MARKUP, TITLE

LEVELS = {"scratch": 0.95, "tophat": 0.9, "mine": 0.85, MARKUP: 0.8, "net:untrained": 0.6}


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Run folder of five models, two of them baselines and one with random weights, in two conditions of one task.

    The name of one model, the title of the task and a note contain markup.
    """
    records = grid(LEVELS, seeds=3, shots=(0, 1), baselines=("scratch", "tophat"), untrained=("net:untrained",))
    call = call_record({"eyes": {"title": TITLE}}, left_out=[f"{MARKUP}: no"])
    return write_run(tmp_path_factory.mktemp("report") / "run", records, call)


@pytest.fixture(scope="session")
def results(run) -> Results:
    return Results.load(run)


@pytest.fixture(scope="session")
def content(results) -> ReportContent:
    return report_content(results)
