"""Methods section: data, settings, tests and software as the runs recorded them."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.report.content import report_content
from tests.helpers.stored_runs import grid
from tests.report.markup import TITLE


@pytest.mark.parametrize(
    "part", [TITLE, "20 images of 20 patients", "50%", "preset quick", "Nadeau & Bengio", "torch 2.8.0", "123456"]
)
def test_methods_contain_what_the_run_recorded(content, part):
    assert part in " ".join(content.methods)


def test_a_task_without_a_recorded_card_is_reported_as_such():
    methods = " ".join(report_content(Results(grid({"a": 0.9}))).methods)
    assert "did not record the card of this task" in methods
