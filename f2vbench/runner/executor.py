"""Execution of work items, in this process or in worker processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from f2vbench.runner.context import Context
from f2vbench.runner.work_items import Item, Outcome
from f2vbench.runner.worker import Worker
from f2vbench.utils.processes import run_in_workers


def execute(
    context: Context, items: Sequence[Item], jobs: int, on_step: Callable[[Item, float], None] | None = None
) -> Iterator[tuple[Item, Outcome]]:
    """Execute work items with up to ``jobs`` worker processes.

    Args:
        context: Tasks, models and settings of the run.
        items: Work items.
        jobs: Maximum number of worker processes.
        on_step: Receives an item in work and its completed fraction.

    Yields:
        Each item with its outcome, as it completes; with several jobs in no fixed order.

    Raises:
        F2VBenchError: An item can't be completed, or a worker process died.
        RuntimeError: A defect; the message contains the traceback of the worker.
    """
    uses_torch = any(item.uses_torch(context) for item in items)
    return run_in_workers(partial(_open_worker, context, uses_torch), items, jobs, on_step=on_step)


@contextmanager
def _open_worker(context: Context, uses_torch: bool) -> Iterator[Callable[[Item], Outcome]]:
    worker = Worker(context)
    with thread_limit(context, uses_torch):
        yield worker.do


def thread_limit(context: Context, uses_torch: bool) -> AbstractContextManager[None]:
    """Limit the threads of torch as the settings say; torch is not imported for work that does not use it."""
    if not uses_torch:
        return nullcontext()
    from f2vbench.utils.device import limited_threads

    return limited_threads(context.settings.threads)
