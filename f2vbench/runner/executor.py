"""Worker processes on this machine.

Workers are started afresh (spawn), so that none inherits another's state; each takes the next item when it
is free. They end when the parent does, however it ends: a killed run leaves nothing behind that works on.
"""

from __future__ import annotations

import multiprocessing
import queue
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from f2vbench.errors import F2VBenchError
from f2vbench.runner.context import Context
from f2vbench.runner.worker import Extract, Item, Outcome, Worker
from f2vbench.utils.processes import end_with_parent, keep_freed_memory, main_module_hidden


def run_in_processes(context: Context, items: Sequence[Item], jobs: int) -> Iterator[tuple[Item, Outcome]]:
    """Yield each item with its outcome as it ends, in no fixed order.

    Raises:
        F2VBenchError: what a worker raised for the user, or that a worker died.
        RuntimeError: a defect, with the worker's traceback.
    """
    start = multiprocessing.get_context("spawn")
    todo: Any = start.Queue()
    ended: Any = start.Queue()
    for number in range(len(items)):
        todo.put(number)
    for _ in range(jobs):
        todo.put(None)
    workers = [start.Process(target=_work, args=(context, items, todo, ended), daemon=True) for _ in range(jobs)]
    try:
        with main_module_hidden():
            for worker in workers:
                worker.start()
        for _ in range(len(items)):
            number, outcome = _next(ended, workers)
            yield items[number], outcome
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        for channel in (todo, ended):
            channel.cancel_join_thread()
            channel.close()


def _next(ended: Any, workers: Sequence[Any]) -> tuple[int, Outcome]:
    """Wait for the next outcome; notice a worker that died without a word (killed, or out of memory)."""
    while True:
        try:
            number, outcome = ended.get(timeout=1.0)
        except queue.Empty:
            for worker in workers:
                if worker.exitcode not in (None, 0):
                    raise F2VBenchError(
                        f"a worker process died (exit code {worker.exitcode}), perhaps for want of memory; "
                        "finished units are kept: run again, with fewer jobs= if it happens again"
                    ) from None
            continue
        if isinstance(outcome, F2VBenchError):
            raise outcome
        if isinstance(outcome, str):
            raise RuntimeError(f"a worker failed:\n{outcome}")
        return number, outcome


def _work(context: Context, items: Sequence[Item], todo: Any, ended: Any) -> None:
    """A worker process: items until the queue says None."""
    end_with_parent()
    keep_freed_memory()
    worker = Worker(context)
    with threads_for(context, items):
        while (number := todo.get()) is not None:
            try:
                outcome: Any = worker.do(items[number])
            except F2VBenchError as error:
                outcome = error
            except Exception:
                outcome = traceback.format_exc()
            ended.put((number, outcome))


def execute(context: Context, items: Sequence[Item], jobs: int) -> Iterator[tuple[Item, Outcome]]:
    """Do the items here, or in worker processes where there is more than one of both."""
    if min(jobs, len(items)) <= 1:
        return run_serially(context, items)
    return run_in_processes(context, items, min(jobs, len(items)))


def run_serially(context: Context, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
    """Yield each item with its outcome as it ends."""
    worker = Worker(context)
    with threads_for(context, items):
        for item in items:
            yield item, worker.do(item)


def threads_for(context: Context, items: Sequence[Item]) -> AbstractContextManager[None]:
    """The thread limit of a run, without importing torch for items that do without it."""
    if not any(
        context.models[item.model].uses_torch if isinstance(item, Extract) else context.uses_torch(item.unit)
        for item in items
    ):
        return nullcontext()
    from f2vbench.utils.device import limited_threads

    return limited_threads(context.settings.threads)
