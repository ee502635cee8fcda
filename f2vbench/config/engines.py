"""Settings of the engines that execute a run: Ray and Slurm."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from f2vbench.config.base import Settings

EngineName = Literal["local", "ray", "slurm"]
SlurmCluster = Literal["slurm", "local"]


def _minutes(value: Any) -> Any:
    """Convert ``D-HH:MM``, ``D-HH:MM:SS``, ``HH:MM:SS`` or ``MM:SS`` to minutes, rounded up."""
    if not isinstance(value, str) or value.strip().isdecimal():
        return value
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?", value.strip())
    if found is None:
        raise ValueError("time must be minutes, HH:MM:SS or D-HH:MM:SS, such as 480, 08:00:00 or 1-12:00:00")
    days, first, second, third = found.groups()
    if days is None and third is None:
        hours, minutes, seconds = 0, int(first), int(second)
    else:
        hours, minutes, seconds = int(first), int(second), int(third or 0)
    return (24 * int(days or 0) + hours) * 60 + minutes + (seconds > 0)


class RaySettings(Settings):
    """Workers of ``engine=ray``."""

    address: str | None = Field(
        None,
        description="engine=ray: cluster to join: auto (one that runs on this machine) or host:port; default: the one "
        "in $RAY_ADDRESS, else a cluster on this machine that ends with the run",
    )
    workers: int | None = Field(
        None, ge=1, description="engine=ray: number of workers; default: as many as the cluster can hold"
    )
    cpus: int | None = Field(
        None, ge=1, description="engine=ray: cores that a worker reserves; default: threads. It computes with threads="
    )
    gpus: float | None = Field(
        None,
        ge=0,
        description="engine=ray: GPUs of a worker, a fraction (0.5: two workers share a GPU) or a whole number; "
        "default: 1 if the cluster has GPUs, else 0",
    )


class SlurmSettings(Settings):
    """Array job of ``engine=slurm``."""

    tasks: int = Field(8, ge=1, description="engine=slurm: tasks of the array; each runs one shard with engine=local")
    partition: str | None = Field(None, description="engine=slurm: partition; default: that of the cluster")
    account: str | None = Field(None, description="engine=slurm: account that is charged")
    time: Annotated[int, BeforeValidator(_minutes), Field(ge=1)] = Field(
        480, description="engine=slurm: limit of a task, in minutes or as HH:MM:SS; a task that reaches it is requeued"
    )
    cpus: int = Field(1, ge=1, description="engine=slurm: cores of a task")
    gpus: int = Field(0, ge=0, description="engine=slurm: GPUs of a task")
    memory: int = Field(8, ge=1, description="engine=slurm: memory of a task, in GB")
    parallel: int | None = Field(None, ge=1, description="engine=slurm: most tasks that run at the same time")
    cluster: SlurmCluster = Field(
        "slurm",
        description="engine=slurm: slurm; local, to try it without a cluster: each task is a process on this machine",
    )
    wait: bool = Field(False, description="engine=slurm: wait for all tasks and print the results")


def check_engine(engine: EngineName, jobs: int | str, device: str, shard: str | None, **groups: Settings) -> None:
    """Refuse settings that the chosen engine does not have.

    Args:
        engine: The engine.
        jobs: Number of worker processes.
        device: Device of the workers.
        shard: Shard of the run.
        **groups: Settings of each engine, by the engine's name.

    Raises:
        ValueError: A setting belongs to another engine.
    """
    for name, group in groups.items():
        defaults = type(group)().model_dump()
        keys = ", ".join(f"{name}.{key}" for key, value in group.model_dump().items() if value != defaults[key])
        if keys and engine != name:
            raise ValueError(f"{keys}: engine={engine} has no such setting; set engine={name}, or leave it out")
    if engine == "ray" and jobs != "auto":
        raise ValueError(f"jobs={jobs}: engine=ray takes its number of workers from ray.workers; leave jobs out")
    if engine == "ray" and ":" in device:
        raise ValueError(f"device={device}: Ray assigns the GPUs of a worker; use device=cuda, and ray.gpus")
    if engine == "slurm" and shard is not None:
        raise ValueError(f"shard={shard}: engine=slurm divides the run into slurm.tasks shards; leave shard out")
