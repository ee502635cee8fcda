"""Runs with engine=ray on two nodes: the results are those of one process, also after workers and nodes die."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from f2vbench import Benchmark
from f2vbench.benchmark import _make_context
from f2vbench.errors import DataError, F2VBenchError
from f2vbench.utils.progress import Silent
from tests.helpers.run_folders import comparable_files

ray = pytest.importorskip("ray", reason="needs the extra f2vbench[ray]")

from ray.cluster_utils import Cluster  # noqa: E402

from f2vbench.runner.engines import ray_cluster, ray_engine  # noqa: E402
from f2vbench.runner.engines.ray_worker import WorkerPlace  # noqa: E402

UNITS = 12
SETTINGS = {"task": "folder", "model": "tophat", "baselines": ["green"], "shots": [1, 2], "seeds": 3, "image_size": 64}


class Notes(Silent):
    """Progress that keeps its messages, and calls a function after each completed unit."""

    def __init__(self, after_unit: Callable[[int], None] = lambda count: None) -> None:
        self.notes: list[str] = []
        self._count, self._after_unit = 0, after_unit

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, label: str) -> None:
        if not label.startswith("encoding"):
            self._count += 1
            self._after_unit(self._count)


@pytest.fixture(scope="module")
def cluster():
    """A cluster with a node of one core; this process is connected to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        options = {"include_dashboard": False, "object_store_memory": 80 << 20}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **options})
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def second_node(cluster):
    """Another node of one core."""
    return cluster.add_node(num_cpus=1, object_store_memory=80 << 20)


@pytest.fixture(scope="module")
def expected(eyes, tmp_path_factory) -> dict[str, bytes]:
    """Files of the run in this process."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        Benchmark(data=str(eyes), out=folder / "run", jobs=1, **SETTINGS).run(Silent())
    return comparable_files(folder / "run")


@pytest.fixture
def places(monkeypatch) -> list[WorkerPlace]:
    """Where the workers of a run are, in the order in which they start."""
    found: list[WorkerPlace] = []
    receive = ray_engine._Dispatch._receive_start
    monkeypatch.setattr(
        ray_engine._Dispatch,
        "_receive_start",
        lambda self, slot, place: (found.append(place), receive(self, slot, place))[1],
    )
    return found


def process_exists(number: int) -> bool:
    return Path(f"/proc/{number}").exists()


def run(eyes: Path, out: Path, progress: Notes) -> None:
    Benchmark(data=str(eyes), out=out, engine="ray", ray={"workers": 2}, **SETTINGS).run(progress)


def test_the_nodes_are_checked_before_work_starts(cluster, eyes, tmp_path):
    """A folder that nodes don't see, data and weights that they don't have, and another version of f2vbench."""
    benchmark = Benchmark(data=str(eyes), out=tmp_path / "run", **SETTINGS)
    context = _make_context(benchmark.make_plan())
    probe = tmp_path / "probe"
    probe.write_text("token")
    nodes = ray_cluster.list_nodes()
    workers = ray_cluster.Workers(1, 1, 0.0)
    assert ray_cluster.check_nodes(context, nodes, workers, str(probe), "token") == []
    names = [node.name for node in nodes]
    assert ray_cluster.check_nodes(context, nodes, workers, str(tmp_path / "absent"), "token") == names
    assert ray_cluster.check_nodes(context, nodes, workers, str(probe), "of another run") == names

    task = context.tasks["folder"]
    elsewhere = replace(task, folder=Path("/nowhere"), index=task.index.assign(path="/nowhere/eye.png"))
    with pytest.raises(DataError) as caught:
        ray_cluster.check_nodes(replace(context, tasks={"folder": elsewhere}), nodes, workers, str(probe), "token")
    assert caught.value.problems[0] == f"data.folder=/nowhere: node {names[0]} does not see it"
    assert "no unit was started; put data and weights in a folder that all nodes share" in caught.value.problems[-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_cluster.metadata, "version", lambda name: "9.9")
        with pytest.raises(F2VBenchError, match=r"has f2vbench \S+: install f2vbench\[ray\] 9.9 there"):
            ray_cluster.check_nodes(context, nodes, workers, str(probe), "token")


@pytest.mark.slow
def test_results_equal_those_of_one_process_after_an_interruption_and_the_loss_of_a_node_and_a_worker(
    cluster, second_node, eyes, expected, tmp_path, places
):
    """The run is interrupted after a unit; continued, a node is removed after one, and a worker killed after four."""
    out = tmp_path / "run"

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(eyes, out, Notes(interrupt))
    deadline = time.monotonic() + 30
    while any(process_exists(place.process) for place in places) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(process_exists(place.process) for place in places)
    assert not list(out.glob("claims/*.probe"))
    interrupted = {path.name: path.read_bytes() for path in out.glob("units/*.json")}
    assert 1 <= len(interrupted) < UNITS

    def lose(count: int) -> None:
        if count == 1:
            cluster.remove_node(second_node, allow_graceful=False)
        if count == 4:
            os.kill(next(place.process for place in reversed(places) if process_exists(place.process)), signal.SIGKILL)

    progress = Notes(lose)
    run(eyes, out, progress)
    assert comparable_files(out) == expected
    assert {name: (out / "units" / name).read_bytes() for name in interrupted} == interrupted, "a unit ran twice"
    assert progress.notes[0].startswith("Ray: 2 workers of 1 core on the cluster that this process is connected to")
    assert "all nodes see the run folder" in progress.notes[0]
    assert any("a worker died" in note and "runs again" in note for note in progress.notes)
