"""A pool of worker processes that end with their parent, and control over memory and threads of a process."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeVar

from f2vbench.errors import F2VBenchError
from f2vbench.utils.step_reports import listening

Item = TypeVar("Item")
Result = TypeVar("Result")

START_METHOD: Final = "spawn"
"""How worker processes start: as new interpreters, so that no state is inherited."""
_POLL_SECONDS = 1.0

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class _Step(NamedTuple):
    """Message of a worker process: the completed fraction of its item."""

    fraction: float


def run_in_workers(
    make_worker: Callable[[], AbstractContextManager[Callable[[Item], Result]]],
    items: Sequence[Item],
    jobs: int,
    *,
    one_thread: bool = False,
    on_step: Callable[[Item, float], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Process items in worker processes, or in this process if there is one job or one item.

    Each worker takes the next item as soon as it is free, so the order of the results is not fixed.

    Args:
        make_worker: Returns a context manager whose value processes one item. Each worker process calls it once, so it
            has to be picklable.
        items: Items to process; picklable.
        jobs: Maximum number of worker processes.
        one_thread: Limit the numerical libraries of a worker process to one thread.
        on_step: Receives an item in work and its completed fraction, see `f2vbench.utils.step_reports`.

    Yields:
        Each item with its result, as it completes.

    Raises:
        F2VBenchError: A worker raised it, or a worker process died.
        RuntimeError: A worker raised another exception; the message contains its traceback.
    """
    jobs = min(jobs, len(items))
    if jobs <= 1:
        with make_worker() as process:
            for item in items:
                with listening(partial(on_step, item)) if on_step is not None else nullcontext():
                    result = process(item)
                yield item, result
        return
    context = multiprocessing.get_context(START_METHOD)
    tasks: Any = context.Queue()
    results: Any = context.Queue()
    for number in [*range(len(items)), *([None] * jobs)]:
        tasks.put(number)
    arguments = (make_worker, items, tasks, results, one_thread)
    workers: list[BaseProcess] = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(jobs)]
    try:
        with _main_module_hidden(), _interrupts_deferred(), _environment(_ONE_THREAD if one_thread else {}):
            for worker in workers:
                worker.start()
        for _ in range(len(items)):
            number, result = _next_result(results, workers, items, on_step)
            yield items[number], result
    finally:
        started = [worker for worker in workers if worker.pid is not None]
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.join()
        for channel in (tasks, results):
            channel.cancel_join_thread()
            channel.close()


def keep_freed_memory() -> None:
    """Let the C library of this process keep freed memory for later arrays, where it is glibc.

    By default glibc returns arrays of megabytes to the system at once, and the system clears the pages of each new
    array. This takes 10–20 % of the time of encoding, and half of the time of the figures of a report. The process
    then holds the most memory that it ever needed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # absent in other C libraries
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _next_result(
    results: Any,
    workers: Sequence[BaseProcess],
    items: Sequence[Item],
    on_step: Callable[[Item, float], None] | None,
) -> tuple[int, Any]:
    """Wait for the next result, and pass steps on; a worker process that died without a result raises an error."""
    while True:
        try:
            number, result, error = results.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            for worker in workers:
                if worker.exitcode not in (None, 0):
                    raise F2VBenchError(
                        f"A worker process exited with code {worker.exitcode}, possibly because memory ran out. "
                        "Completed work is stored; run the command again, with fewer jobs= if it recurs."
                    ) from None
            continue
        if isinstance(result, _Step):
            if on_step is not None:
                on_step(items[number], result.fraction)
            continue
        if isinstance(error, F2VBenchError):
            raise error
        if error is not None:
            raise RuntimeError(f"A worker process failed:\n{error}")
        return number, result


def _work(
    make_worker: Callable[[], AbstractContextManager[Callable[[Any], Any]]],
    items: Sequence[Any],
    tasks: Any,
    results: Any,
    one_thread: bool,
) -> None:
    """Main function of a worker process: process items until the queue says None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    keep_freed_memory()
    if one_thread:
        import cv2

        cv2.setNumThreads(1)
    with make_worker() as process:
        while (number := tasks.get()) is not None:
            result: Any = None
            error: F2VBenchError | str | None = None
            try:
                with listening(partial(_send_step, results, number)):
                    result = process(items[number])
            except F2VBenchError as raised:
                error = raised
            except Exception:
                error = traceback.format_exc()
            results.put((number, result, error))


def _send_step(results: Any, number: int, fraction: float) -> None:
    results.put((number, _Step(fraction), None))


def _exit_with_parent() -> None:
    """End this process when its parent ends, even if the parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Start processes without running the user's script again in each of them.

    A spawned process imports the main module of its parent. A script without ``if __name__ == "__main__"`` would
    therefore start itself again and again. Workers need nothing from it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Start processes that never receive Ctrl-C, which a terminal sends to all of them; this process receives it later.

    A new process inherits the signal mask, so it prints no traceback if it is interrupted before its main function
    ignores the signal. Other threads of this process may still accept the signal, so its handler is replaced as well.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if received:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that processes started meanwhile inherit."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
