"""Fixtures shared by the tests of figures."""

from __future__ import annotations

import pytest

from f2vbench import Results
from tests.helpers.made_runs import classification_run


@pytest.fixture(scope="package")
def classification_results(tmp_path_factory) -> Results:
    """Simulated results of two classification tasks under four conditions, three seeds each."""
    conditions = [("zero-shot", 0), ("few-shot", 1), ("few-shot", 4), ("supervised", None)]
    folder = tmp_path_factory.mktemp("classification")
    return Results.load(classification_run(folder, ("papila", "ukb-stroke"), conditions=conditions, seeds=3, images=30))
