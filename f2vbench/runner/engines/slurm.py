"""Engine ``slurm``: submits a run as an array job whose tasks run one shard each with the local engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from f2vbench.config.engines import SlurmSettings
from f2vbench.config.run import RunSettings
from f2vbench.errors import F2VBenchError, SettingsError
from f2vbench.utils.text import plural, shortened

_NAME = "f2vbench"


class Shard:
    """One task of the array: runs a shard of a grid, and continues it after the limit of time.

    Args:
        settings: Settings of the shard.
        run: Runs the missing units of settings; can be pickled.
    """

    def __init__(self, settings: RunSettings, run: Callable[[RunSettings], None]):
        self.settings = settings
        self._run = run

    def __call__(self) -> None:
        """Run the missing units of the shard."""
        self._run(self.settings)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Submission that continues this shard; submitit calls it when the task reaches its limit of time."""
        return submitit.helpers.DelayedSubmission(Shard(self.settings, self._run))


@dataclass(frozen=True)
class ArrayJob:
    """A submitted array job.

    Attributes:
        jobs: Its tasks, as objects of submitit; empty if nothing was to be submitted.
        folder: The run folder.
        logs: Folder of submissions and logs.
    """

    jobs: Sequence[Any]
    folder: Path
    logs: Path

    @property
    def text(self) -> str:
        """Job id, logs, and what to do next."""
        if not self.jobs:
            return f"nothing to submit: all units are stored in {self.folder}"
        first, last = self.jobs[0].job_id, self.jobs[-1].job_id
        ids = first if first == last else f"{first} to {last}"
        return (
            f"submitted {plural(len(self.jobs), 'task')}: job {ids}\n"
            f"logs: {self.logs}/<job>_0_log.out and .err\n"
            "when they have finished, the same command submits what is missing, and "
            f"`f2vbench report run={self.folder}` writes the report"
        )

    def wait(self) -> None:
        """Wait for all tasks.

        Raises:
            F2VBenchError: Tasks failed; names their logs.
        """
        failed = []
        for job in self.jobs:
            error = job.exception()
            if error is not None:
                failed.append(f"task {job.job_id} failed ({_reason(error)}); its log: {job.paths.stderr}")
        if failed:
            raise F2VBenchError([*failed, "completed units are stored: the same command submits what is missing"])


def submit(settings: RunSettings, missing: int, run: Callable[[RunSettings], None]) -> ArrayJob:
    """Submit the missing units of a run as an array job.

    Args:
        settings: Settings of the run; the run folder exists.
        missing: Number of missing units; no more tasks than this are submitted.
        run: Runs the missing units of a shard, given its settings.

    Raises:
        SettingsError: Slurm is not usable on this machine, or refuses the job.
    """
    folder, options = settings.folder(), settings.slurm
    logs = folder.absolute() / "slurm"
    count = min(options.tasks, missing)
    if not count:
        return ArrayJob([], folder, logs)
    shards = [Shard(shard_settings(settings, number, count), run) for number in range(1, count + 1)]
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=options.cluster)
        executor.update_parameters(**_parameters(options))
        with executor.batch():
            jobs = [executor.submit(shard) for shard in shards]
    except (RuntimeError, OSError, submitit.core.utils.FailedJobError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(
            f"engine=slurm: the job can't be submitted ({shortened([reason])}); run the command on a login node of a "
            "Slurm cluster, check slurm.partition and slurm.account, or try it here with slurm.cluster=local"
        ) from error
    return ArrayJob(jobs, folder, logs)


def shard_settings(settings: RunSettings, number: int, count: int) -> RunSettings:
    """Settings of a task: the same run on the local engine, one shard of it."""
    changes = {"engine": "local", "slurm": SlurmSettings(), "shard": f"{number}/{count}", "log": [], "dry_run": False}
    return settings.model_copy(update=changes)


def _parameters(options: SlurmSettings) -> dict[str, Any]:
    """Parameters of submitit's executor; those of Slurm alone start with ``slurm_``."""
    given = {
        "slurm_partition": options.partition,
        "slurm_account": options.account,
        "slurm_array_parallelism": options.parallel,
    }
    return {
        "name": _NAME,
        "timeout_min": options.time,
        "cpus_per_task": options.cpus,
        "gpus_per_node": options.gpus,
        "mem_gb": options.memory,
        **{key: value for key, value in given.items() if value is not None},
    }


def _reason(error: BaseException) -> str:
    """Last line of the traceback in an error of submitit, or its first line where there is no traceback."""
    traceback = re.search(r"-{20,}\n(.*?)\n-{20,}", str(error), re.DOTALL)
    if traceback:
        return traceback[1].strip().splitlines()[-1]
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
