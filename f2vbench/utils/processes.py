"""Worker processes: started afresh, unharmed by the user's script, ended with their parent."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import ModuleType
from typing import TypeVar

from f2vbench.errors import F2VBenchError

Item = TypeVar("Item")

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def do_all(function: Callable[[Item], None], items: Sequence[Item], jobs: int) -> Iterator[Item]:
    """Call a function for every item in ``jobs`` processes of one thread each; yields each item as it ends.

    Args:
        function: can be pickled; called here where there is one job or one item.

    Raises:
        F2VBenchError: what a call raised for the user, or that a worker died; items that were begun are finished.
    """
    if min(jobs, len(items)) <= 1:
        for item in items:
            function(item)
            yield item
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(items)), context, initializer=_begin) as pool:
        try:
            with main_module_hidden(), _environment(_ONE_THREAD):
                done = {pool.submit(function, item): item for item in items}
            for future in as_completed(done):
                future.result()
                yield done[future]
        except BrokenProcessPool:
            raise F2VBenchError(
                "a worker process died, perhaps for want of memory; what was finished is kept: run again, with fewer "
                "jobs= if it happens again"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def main_module_hidden() -> Iterator[None]:
    """Start workers without running the user's script again in each of them.

    A spawned process imports the parent's main module, so that a script without an ``if __name__ == "__main__"``
    would start itself over and over. Workers need nothing from it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def end_with_parent() -> None:
    """In a worker: leave the answer to ctrl-C to the parent, and end when it does, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, daemon=True).start()


def keep_freed_memory() -> None:
    """Let the C library of this process keep freed memory for the next array, where it is glibc.

    It would give arrays of megabytes back at once, and the system clears the pages of each new one: a tenth to a fifth
    of the time of encoding, a half of that of a report's figures. What the process holds is then the most that it ever
    needed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # other C libraries have none
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _begin() -> None:
    end_with_parent()
    import cv2

    cv2.setNumThreads(1)


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
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
