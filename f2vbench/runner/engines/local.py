"""Engine ``local``: executes work items in this process or in worker processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from f2vbench.runner.context import Context
from f2vbench.runner.engines.base import Engine, OnStep, thread_limit
from f2vbench.runner.work_items import Item, Outcome
from f2vbench.runner.worker import Worker
from f2vbench.utils.processes import run_in_workers


class LocalEngine(Engine):
    """Executes work items in this process, or in several worker processes.

    Args:
        jobs: Maximum number of worker processes.
    """

    def __init__(self, jobs: int):
        self._jobs = jobs

    def execute(
        self, context: Context, items: Sequence[Item], on_step: OnStep | None = None
    ) -> Iterator[tuple[Item, Outcome]]:
        """Execute work items; see `Engine.execute`."""
        uses_torch = any(item.uses_torch(context) for item in items)
        return run_in_workers(partial(_open_worker, context, uses_torch), items, self._jobs, on_step=on_step)


@contextmanager
def _open_worker(context: Context, uses_torch: bool) -> Iterator[Callable[[Item], Outcome]]:
    worker = Worker(context)
    with thread_limit(context, uses_torch):
        yield worker.do
