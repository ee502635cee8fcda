"""Connection to a Ray cluster, the workers that it can hold, and the checks of its nodes before work starts."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from f2vbench.config.run import RunSettings
from f2vbench.errors import DataError, F2VBenchError, SettingsError
from f2vbench.runner.context import Context
from f2vbench.utils.system import cores
from f2vbench.utils.text import plural

BYTES_PER_WORKER = 3 << 30
"""Memory that a worker is expected to need, as in the local engine."""
_CONNECT_SECONDS = 5.0
_CHECK_SECONDS = 120.0


@dataclass(frozen=True)
class Node:
    """A node of the cluster and all its resources, free or not."""

    identifier: str
    name: str
    cpus: float
    gpus: float
    memory: float


@dataclass(frozen=True)
class Workers:
    """Number of workers, and what each of them reserves."""

    count: int
    cpus: int
    gpus: float


@contextmanager
def connection(address: str | None) -> Iterator[str]:
    """Connect to a cluster, or start one on this machine that ends with the block.

    A connection that this process already has is used and kept.

    Args:
        address: ``auto``, ``host:port``, or None for ``RAY_ADDRESS`` or a new cluster.

    Yields:
        A description of the cluster for the user.

    Raises:
        SettingsError: There is no cluster at the address, or it has another version of Ray or Python.
    """
    if ray.is_initialized():
        yield "the cluster that this process is connected to"
        return
    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports use to its authors by default
        os.environ.setdefault("RAY_worker_niceness", "0")  # by default other processes of the machine go first
        options |= {"address": "local", "num_cpus": cores(), "include_dashboard": False}
    else:
        _check_address(address)
        options["address"] = address
    with _signal_handlers_kept():
        try:
            ray.init(**options)
        except Exception as error:  # Ray raises this class itself where a process of the cluster starts too slowly
            reason = " ".join(str(error).split())
            where = f"ray.address={address}" if address else "engine=ray"
            what = "join the cluster" if address else "start a cluster on this machine"
            raise SettingsError(
                f"{where}: can't {what} ({reason}); start one with `ray start --head`, see "
                "docs/how-to/cluster.md, or leave ray.address out to use this machine"
            ) from error
    try:
        yield f"the cluster at {address}" if address else "a cluster on this machine"
    finally:
        ray.shutdown()


def list_nodes() -> list[Node]:
    """All nodes of the cluster that are alive."""
    return [
        Node(
            node["NodeID"],
            f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            node["Resources"].get("CPU", 0.0),
            node["Resources"].get("GPU", 0.0),
            node["Resources"].get("memory", float("inf")),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def plan_workers(settings: RunSettings, nodes: Sequence[Node]) -> Workers:
    """Number and size of the workers of a run.

    Args:
        settings: Settings of the run.
        nodes: Nodes of the cluster.

    Raises:
        SettingsError: The cluster has fewer cores or GPUs than the settings ask for.
    """
    asked = settings.ray
    cpus = asked.cpus or settings.threads
    gpus = asked.gpus
    if gpus is None:
        gpus = 1.0 if settings.device != "cpu" and any(node.gpus for node in nodes) else 0.0
    if gpus > 1 and not gpus.is_integer():
        raise SettingsError(f"ray.gpus={gpus:g}: must be a whole number or at most 1; Ray does not divide several GPUs")
    if gpus == 0 and settings.device == "cuda":
        raise SettingsError("device=cuda: workers have no GPU (ray.gpus is 0, or the cluster has none); use device=cpu")
    room = {node.identifier: _room(node, cpus, gpus) for node in nodes}
    fitting = sum(room.values())
    has = ", ".join(f"{node.name}: {node.cpus:g} cores, {node.gpus:g} GPUs" for node in nodes)
    if not fitting:
        raise SettingsError(
            f"ray.cpus={cpus} ray.gpus={gpus:g}: no node of the cluster is large enough for one worker; it has {has}"
        )
    if asked.workers is not None and asked.workers > fitting:
        raise SettingsError(
            f"ray.workers={asked.workers}: the cluster has room for {plural(fitting, 'worker')} of "
            f"{plural(cpus, 'core')} and {gpus:g} GPUs; it has {has}. Ask for fewer"
            + (", or for less of a GPU (ray.gpus=0.5)" if gpus else "")
        )
    if asked.workers is not None:
        return Workers(asked.workers, cpus, gpus)
    by_memory = [
        min(room[node.identifier], max(1, int(node.memory // BYTES_PER_WORKER)))
        for node in nodes
        if room[node.identifier]
    ]
    return Workers(sum(by_memory), cpus, gpus)


def has_room(nodes: Sequence[Node], workers: Workers) -> bool:
    """Whether a node is large enough for a worker, once other work on it ends."""
    return any(_room(node, workers.cpus, workers.gpus) for node in nodes)


def check_nodes(context: Context, nodes: Sequence[Node], workers: Workers, probe: str, token: str) -> list[str]:
    """Check on every node that can hold a worker what workers need there.

    Args:
        context: Tasks, models and settings of the run.
        nodes: Nodes of the cluster.
        workers: Size of the workers.
        probe: Absolute path of a file that this process wrote in the run folder.
        token: Content of this file.

    Returns:
        Names of the nodes that do not see the run folder.

    Raises:
        DataError: A node does not see a data set or a weights file.
        F2VBenchError: A node has another version of f2vbench, or does not answer.
    """
    files = _files_to_check(context)
    version = metadata.version("f2vbench")
    check = ray.remote(_node_check())
    usable = [node for node in nodes if has_room([node], workers)]
    answers: list[tuple[str, Any]] = [
        (
            node.name,
            check.options(
                num_cpus=0,
                max_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.identifier, soft=False),
            ).remote(probe, token, [path for path, _ in files]),
        )
        for node in usable
    ]
    problems: list[str] = []
    unseen: list[str] = []
    _, late = ray.wait([answer for _, answer in answers], num_returns=len(answers), timeout=_CHECK_SECONDS)
    for name, answer in answers:
        if answer in late:
            problems.append(f"node {name} did not answer within {_CHECK_SECONDS:.0f} s; remove it, or start it again")
            continue
        try:
            found = ray.get(answer, timeout=_CONNECT_SECONDS)
        except (RayError, GetTimeoutError) as error:
            problems.append(f"node {name} failed: {_first_line(error)}")
            continue
        if found["version"] != version:
            has = f"f2vbench {found['version']}" if found["version"] else "no f2vbench"
            problems.append(f"node {name} has {has}: install f2vbench[ray] {version} there, as on this machine")
        absent = [description for path, description in files if path in found["absent"]]
        problems += [f"{what}: node {name} does not see it" for what in absent]
        if not found["sees_folder"]:
            unseen.append(name)
    if problems:
        advice = "put data and weights in a folder that all nodes share, or copy them to the same path on each node"
        kind = DataError if any("does not see it" in problem for problem in problems) else F2VBenchError
        raise kind([*problems, f"no unit was started; {advice}"] if kind is DataError else problems)
    return unseen


def worker_environment(threads: int) -> dict[str, str]:
    """Environment variables of a worker: its threads, and the folders of f2vbench as on this machine.

    Args:
        threads: Number of threads of a worker.
    """
    from f2vbench.runner.engines.ray_worker import THREAD_VARIABLES

    own = {name: value for name, value in os.environ.items() if name.startswith("F2VBENCH_") and value}
    if "F2VBENCH_CACHE" in own:
        own["F2VBENCH_CACHE"] = str(Path(own["F2VBENCH_CACHE"]).expanduser().absolute())
    return own | dict.fromkeys(THREAD_VARIABLES, str(threads))


def _room(node: Node, cpus: int, gpus: float) -> int:
    """Number of workers that fit on a node."""
    by_cpu = int(node.cpus // cpus)
    if not gpus:
        return by_cpu
    by_gpu = int(node.gpus) * int(1 / gpus + 1e-9) if gpus <= 1 else int(node.gpus // gpus)
    return min(by_cpu, by_gpu)


def _check_address(address: str) -> None:
    """Refuse an address where nothing listens; Ray itself would try for two minutes."""
    if address in ("auto", "local"):
        return
    if "://" in address:
        raise SettingsError(
            f"ray.address={address}: connections from outside the cluster are not supported; run the command on a node "
            "of the cluster, for example with `ray job submit`, and ray.address=auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"ray.address={address}: must be auto or host:port, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"ray.address={address}: no cluster answers there ({error}); `ray start --head` prints the address of a "
            "cluster, and ray.address=auto finds one that runs on this machine"
        ) from error


def _files_to_check(context: Context) -> list[tuple[str, str]]:
    """Absolute path and description of the files and folders that each worker reads."""
    files: list[tuple[str, str]] = []
    for name, task in context.tasks.items():
        first = str(task.index.path.iloc[0])
        files.append((str(Path(first).absolute()), f"data.{name}={task.folder}"))
    for name, spec in context.models.items():
        if spec.weights_file is not None:
            files.append((str(spec.weights_file.absolute()), f"weights of {name}, {spec.weights_file}"))
        if spec.folder is not None:
            files.append((spec.folder, f"frames of {name}, {spec.folder}"))
    return files


def _node_check() -> Callable[[str, str, list[str]], Mapping[str, Any]]:
    """Function that runs on a node; it is sent by value, so that f2vbench need not be installed there."""

    def check(probe: str, token: str, paths: list[str]) -> dict[str, Any]:
        from importlib import metadata
        from pathlib import Path

        try:
            version: str | None = metadata.version("f2vbench")
        except metadata.PackageNotFoundError:
            version = None
        try:
            sees_folder = Path(probe).read_text() == token
        except OSError:
            sees_folder = False
        absent = [path for path in paths if not Path(path).exists()]
        return {"version": version, "sees_folder": sees_folder, "absent": absent}

    return check


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Keep the handlers of Ctrl-C and SIGTERM, which Ray replaces by an exit without a message."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
