"""The pool of worker processes: results, errors, and workers that die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from f2vbench.errors import DataError, F2VBenchError
from f2vbench.utils.processes import run_in_workers
from tests.helpers.commands import use_fork_server


@contextmanager
def open_worker() -> Iterator[Callable[[int], int]]:
    """A worker that squares numbers, and fails in three ways."""
    yield process


def process(number: int) -> int:
    if number == 101:
        raise DataError("image 101: not readable")
    if number == 102:
        raise ZeroDivisionError("a defect")
    if number == 103:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_item_is_returned_with_its_result(jobs, monkeypatch):
    use_fork_server(monkeypatch)
    assert sorted(run_in_workers(open_worker, range(5), jobs)) == [(0, 0), (1, 1), (2, 4), (3, 9), (4, 16)]


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (101, DataError, "image 101: not readable"),
        (102, RuntimeError, "A worker process failed:\nTraceback.*ZeroDivisionError: a defect"),
        (103, F2VBenchError, "A worker process exited with code -9.*run the command again, with fewer jobs="),
    ],
)
def test_errors_and_deaths_of_workers_are_raised(number, error, message, monkeypatch):
    use_fork_server(monkeypatch)
    with pytest.raises(error, match=f"(?s){message}"):
        list(run_in_workers(open_worker, [1, 2, number], jobs=2))
