"""Steps within one piece of work."""

from __future__ import annotations

import pytest

from f2vbench.utils import step_reports
from f2vbench.utils.processes import run_in_workers
from f2vbench.utils.step_reports import listening, report_step, set_part
from tests.utils.stepping_worker import open_stepping_worker


@pytest.fixture
def without_waiting(monkeypatch):
    monkeypatch.setattr(step_reports, "_SECONDS_BETWEEN_REPORTS", 0.0)


def test_steps_are_fractions_of_the_parts_of_the_work(without_waiting):
    received = []
    report_step(1, 2)  # nobody listens
    with listening(received.append):
        report_step(1, 2)
        set_part(1, 4)
        report_step(0, 10)
        report_step(10, 10)
        report_step(3, 0)
    report_step(1, 2)
    assert received == [0.5, 0.25, 0.5]


def test_steps_are_reported_at_most_twice_a_second():
    received = []
    with listening(received.append):
        for step in range(1000):
            report_step(step, 1000)
    assert len(received) < 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_steps_arrive_from_this_and_from_worker_processes(jobs):
    received = []
    results = dict(run_in_workers(open_stepping_worker, [3, 4], jobs, on_step=lambda *step: received.append(step)))
    assert results == {3: 9, 4: 16}
    assert sorted(received) == [(3, 0.5), (4, 0.5)]
