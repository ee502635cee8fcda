"""The actor of ``engine=ray``: a worker in a process of its own on a node of a Ray cluster.

Numerical libraries read the number of threads when they are imported, and Ray sets it to the reserved cores. The actor
sets its environment first; this module therefore imports none of them.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ray

from f2vbench.errors import F2VBenchError

if TYPE_CHECKING:
    from f2vbench.runner.context import Context
    from f2vbench.runner.work_items import Item, Outcome, RunUnits
    from f2vbench.runner.worker import Worker
    from f2vbench.store.runs import RunFolder

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_NO_LOG = "the files worker-*.err in /tmp/ray/session_latest/logs on its node"


@dataclass(frozen=True)
class WorkerPlace:
    """Where a worker runs.

    Attributes:
        node: Host name of its node.
        process: Process id.
        log: File with its standard error.
        processor: Name of the processor.
        sees_folder: Whether it writes into the run folder; otherwise its files are sent to the driver.
        temporary: Whether it has temporary files, which `RayWorker.close` removes.
        warning: What is unusual there, or an empty text.
    """

    node: str
    process: int
    log: str
    processor: str
    sees_folder: bool
    temporary: bool
    warning: str = ""


@dataclass(frozen=True)
class Reply:
    """Reply of a worker to one item.

    Attributes:
        outcome: Outcome of the item; None after an error.
        units: Files of the completed units, if the worker does not see the run folder.
        error: An error that the user can fix.
        traceback: Traceback of any other error.
    """

    outcome: Outcome | None = None
    units: tuple[Mapping[str, bytes], ...] = ()
    error: F2VBenchError | None = None
    traceback: str = ""


class RayWorker:
    """A worker whose methods are called by the driver.

    Args:
        environment: Environment variables to set before anything is imported.
        working_folder: Working folder of the driver, which relative paths refer to.
    """

    def __init__(self, environment: Mapping[str, str], working_folder: str):
        os.environ.update(environment)
        with contextlib.suppress(OSError):  # absent on this node: then only absolute paths are usable
            os.chdir(working_folder)
        self._fraction = 0.0
        self._context: Context
        self._worker: Worker
        self._own_folder: RunFolder | None = None
        self._temporary: str | None = None

    def start(self, context: Context, probe: str, token: str) -> WorkerPlace:
        """Prepare the worker.

        Args:
            context: Tasks, models and settings of the run.
            probe: Absolute path of a file that the driver wrote in the run folder.
            token: Content of this file.

        Returns:
            Where the worker runs.
        """
        from f2vbench.runner.worker import Worker
        from f2vbench.store.runs import RunFolder
        from f2vbench.utils.files import cache_folder
        from f2vbench.utils.processes import keep_freed_memory
        from f2vbench.utils.system import machine

        keep_freed_memory()
        warning = ""
        try:
            cache_folder().mkdir(parents=True, exist_ok=True)
        except OSError as error:
            warning = (
                f"{platform.node()}: the cache {cache_folder()} can't be created there ({error.strerror or error}); "
                "features are kept in a temporary folder until the run ends"
            )
            os.environ["F2VBENCH_CACHE"] = str(Path(self._temporary_folder()) / "cache")
        sees_folder = reads(probe, token)
        if not sees_folder:
            self._own_folder = RunFolder(Path(self._temporary_folder()) / "run")
            self._own_folder.open_for_writing()
        self._context = context
        self._worker = Worker(context, self._own_folder)
        return WorkerPlace(
            platform.node(),
            os.getpid(),
            _log_file(),
            machine()["processor"],
            sees_folder,
            self._temporary is not None,
            warning,
        )

    def do(self, item: Item) -> Reply:
        """Execute one item; errors are part of the reply."""
        from f2vbench.runner.engines.base import thread_limit
        from f2vbench.runner.work_items import RunUnits
        from f2vbench.utils.step_reports import listening

        self._fraction = 0.0
        try:
            with thread_limit(self._context, item.uses_torch(self._context)), listening(self._set_fraction):
                outcome = self._worker.do(item)
            units = self._take_units(item) if isinstance(item, RunUnits) and self._own_folder is not None else ()
        except F2VBenchError as error:
            return Reply(error=error)
        except Exception:
            return Reply(traceback=traceback.format_exc())
        return Reply(outcome, units)

    @ray.method(concurrency_group="steps")
    def fraction(self) -> float:
        """Completed fraction of the item in work."""
        return self._fraction

    def close(self) -> None:
        """Remove the temporary files of this worker."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _set_fraction(self, fraction: float) -> None:
        self._fraction = fraction

    def _temporary_folder(self) -> str:
        if self._temporary is None:
            self._temporary = tempfile.mkdtemp(prefix="f2vbench-")
        return self._temporary

    def _take_units(self, item: RunUnits) -> tuple[dict[str, bytes], ...]:
        """Files of the completed units of an item, which are removed here."""
        folder = self._own_folder
        assert folder is not None
        taken = [folder.take_unit(unit.name) for unit in item.units]
        shutil.rmtree(folder.path)
        folder.open_for_writing()
        return tuple(files for files in taken if files is not None)


def reads(probe: str, token: str) -> bool:
    """Whether a file exists on this node and has this content."""
    try:
        return Path(probe).read_text() == token
    except OSError:
        return False


def _log_file() -> str:
    """File that standard error goes to; a description where the system does not tell."""
    try:
        target = str(Path("/proc/self/fd/2").readlink())
    except OSError:
        return _NO_LOG
    return target if target.startswith("/") and "null" not in target else _NO_LOG
