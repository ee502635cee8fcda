"""Parts of engine=ray that need no cluster: the worker, its files, the queue of items, and the size of workers."""

from __future__ import annotations

import errno
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from f2vbench import Benchmark
from f2vbench.benchmark import _make_context
from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.errors import F2VBenchError, SettingsError, StoreError
from f2vbench.runner.context import Context
from f2vbench.runner.engines import item_queue, open_engine
from f2vbench.runner.engines.item_queue import ItemQueue
from f2vbench.runner.scheduling import make_work_items
from f2vbench.runner.work_items import Extract, Item, RunUnits
from f2vbench.store.runs import RunFolder
from f2vbench.utils import files
from f2vbench.utils.progress import Silent
from tests.helpers.run_folders import comparable_records

SETTINGS = {"task": "folder", "model": "tophat", "baselines": ["green"], "shots": 1, "seeds": 2, "image_size": 64}
ITEMS = [Extract("model", "task", "embedding", (f"image{number}",)) for number in range(4)]


@pytest.fixture
def planned(eyes, tmp_path, monkeypatch) -> tuple[Context, list[Item]]:
    monkeypatch.setattr("f2vbench.utils.processes.keep_freed_memory", lambda: None)  # not in this process
    benchmark = Benchmark(data=str(eyes), out=tmp_path / "run", **SETTINGS)
    plan = benchmark.make_plan()
    plan.folder.open_for_writing()
    context = _make_context(plan)
    return context, make_work_items(plan.missing, context)


def test_items_of_dead_workers_run_again_and_are_given_up_after_three_deaths():
    queue = ItemQueue(ITEMS)
    assert queue.take() == 0
    assert queue.take() == 1
    assert "runs again: encoding task with model" in queue.requeue(0, "node-1: killed", "worker.err")
    assert queue.take() == 0, "the requeued item is the next"
    queue.complete(1)
    queue.requeue(0, "node-1: killed", "worker.err")
    assert queue.take() == 0
    assert "the run goes on without it" in queue.requeue(0, "node-2: killed", "/logs/worker-7.err")
    for number in (2, 3):
        assert queue
        assert queue.take() == number
        queue.complete(number)
    assert not queue
    with pytest.raises(
        F2VBenchError, match=r"encoding task.*3 workers died.*node-2: killed.*/logs/worker-7\.err.*stored"
    ):
        queue.raise_given_up()
    ItemQueue(ITEMS).raise_given_up()


def test_an_item_whose_units_a_dead_worker_still_holds_is_tried_again(monkeypatch):
    monkeypatch.setattr(item_queue, "_RETRY_SECONDS", 0.05)
    queue = ItemQueue(ITEMS[:1])
    queue.take()
    assert not queue.wait_for_claims(0), "without a death another process has claimed it"
    queue.requeue(0, "killed", "log")
    assert queue.take() == 0
    assert queue.wait_for_claims(0)
    assert queue.take() is None
    time.sleep(0.06)
    assert queue.take() == 0
    monkeypatch.setattr(item_queue, "_RELEASE_SECONDS", 0.0)
    assert not queue.wait_for_claims(0)


def test_without_ray_the_message_names_the_extra(monkeypatch):
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(open_engine, "import_module", absent)
    settings = build(RunSettings, {"task": "rite", "engine": "ray"})
    with pytest.raises(SettingsError, match=r"engine=ray: No module named 'ray'.*pip install 'f2vbench\[ray\]'"):
        open_engine.open_engine(settings, print)
    with pytest.raises(SettingsError, match=r"engine=slurm: .*pip install 'f2vbench\[slurm\]'"):
        Benchmark(task="rite", engine="slurm").submit()


def test_units_of_a_worker_that_does_not_see_the_run_folder_have_the_same_bytes(planned, tmp_path, eyes):
    ray_worker = pytest.importorskip("f2vbench.runner.engines.ray_worker", reason="needs the extra f2vbench[ray]")
    context, items = planned
    worker = ray_worker.RayWorker({}, str(Path.cwd()))
    place = worker.start(context, str(tmp_path / "absent"), "token")
    assert not place.sees_folder
    assert place.temporary
    folder = RunFolder(context.folder)
    for item in items:
        reply = worker.do(item)
        assert reply.error is None, reply.error
        assert not reply.traceback
        assert len(reply.units) == (len(item.units) if isinstance(item, RunUnits) else 0)
        assert folder.count() < 4
        for unit in reply.units:
            folder.put_unit(unit)
    temporary = Path(worker._temporary)
    worker.close()
    assert not temporary.exists()

    Benchmark(data=str(eyes), out=tmp_path / "local", jobs=1, **SETTINGS).run(Silent())
    assert comparable_records(context.folder) == comparable_records(tmp_path / "local")
    maps = [
        {path.name: path.read_bytes() for path in (out / "maps").rglob("*.png")}
        for out in (context.folder, tmp_path / "local")
    ]
    assert maps[0] == maps[1]
    assert maps[0]


def test_a_full_disk_is_the_error_of_the_item_and_nothing_is_lost(planned, tmp_path, monkeypatch):
    """The disk of the worker is full; then that of the driver, which stores the files of the worker."""
    ray_worker = pytest.importorskip("f2vbench.runner.engines.ray_worker", reason="needs the extra f2vbench[ray]")
    context, items = planned
    item = next(item for item in items if isinstance(item, RunUnits))
    folder = RunFolder(context.folder)
    write = files._write_part

    def full(part: Path, content: bytes, durable: bool) -> None:
        write(part, content[:10], durable)
        raise OSError(errno.ENOSPC, "No space left on device")

    worker = ray_worker.RayWorker({}, str(Path.cwd()))
    worker.start(context, str(tmp_path / "absent"), "token")
    monkeypatch.setattr(files, "_write_part", full)
    reply = worker.do(item)
    assert isinstance(reply.error, StoreError)
    assert "the disk or the quota is full (No space left on device); free some space" in str(reply.error)
    monkeypatch.setattr(files, "_write_part", write)
    reply = worker.do(item)
    assert reply.error is None
    monkeypatch.setattr(files, "_write_part", full)
    with pytest.raises(StoreError, match="the disk or the quota is full"):
        folder.put_unit(reply.units[0])
    assert folder.count() == 0
    assert not list(context.folder.rglob("*.part"))
    monkeypatch.setattr(files, "_write_part", write)
    folder.put_unit(reply.units[0])
    assert folder.count() == 1
    worker.close()


def test_a_defect_returns_its_traceback(planned, monkeypatch):
    ray_worker = pytest.importorskip("f2vbench.runner.engines.ray_worker", reason="needs the extra f2vbench[ray]")
    context, items = planned
    probe = context.folder / "probe"
    probe.write_text("token")
    worker = ray_worker.RayWorker({}, str(Path.cwd()))
    assert worker.start(context, str(probe), "token").sees_folder
    reply = worker.do(replace(items[-1], units=(object(),)))
    assert reply.outcome is None
    assert "Traceback" in reply.traceback


@pytest.fixture
def cluster():
    return pytest.importorskip("f2vbench.runner.engines.ray_cluster", reason="needs the extra f2vbench[ray]")


@pytest.mark.parametrize(
    ("changes", "count", "cpus", "gpus"),
    [
        ({}, 3, 1, 1.0),  # as many as GPUs
        ({"device": "cpu"}, 24, 1, 0.0),
        ({"threads": 4, "device": "cpu"}, 6, 4, 0.0),
        ({"ray": {"gpus": 0.5}}, 6, 1, 0.5),
        ({"ray": {"gpus": 0.3, "cpus": 2}}, 8, 2, 0.3),  # three share a GPU; one node has cores for four only
        ({"ray": {"gpus": 2}}, 1, 1, 2.0),
        ({"ray": {"workers": 2}}, 2, 1, 1.0),
    ],
)
def test_as_many_workers_as_cores_and_gpus_allow(cluster, changes, count, cpus, gpus):
    nodes = [cluster.Node("a", "node-a", 8, 1, 1e12), cluster.Node("b", "node-b", 16, 2, 1e12)]
    if changes.get("ray", {}).get("cpus"):
        nodes = [cluster.Node("a", "node-a", 4, 1, 1e12), cluster.Node("b", "node-b", 16, 2, 1e12)]
    settings = build(RunSettings, {"task": "rite", "engine": "ray", **changes})
    assert cluster.plan_workers(settings, nodes) == cluster.Workers(count, cpus, gpus)


def test_a_node_has_one_worker_for_each_3_gib_and_at_least_one(cluster):
    nodes = [cluster.Node("a", "node-a", 8, 0, 7 << 30), cluster.Node("b", "node-b", 8, 0, 1 << 30)]
    settings = build(RunSettings, {"task": "rite", "engine": "ray"})
    assert cluster.plan_workers(settings, nodes).count == 2 + 1
    assert cluster.plan_workers(build(RunSettings, {"task": "rite", "engine": "ray", "ray": {"workers": 9}}), nodes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ray": {"workers": 17}}, r"ray\.workers=17: the cluster has room for 16 workers.*node-a: 16 cores, 1 GPUs"),
        ({"ray": {"gpus": 2}}, r"ray\.gpus=2: no node of the cluster is large enough.*node-a: 16 cores, 1 GPUs"),
        ({"ray": {"gpus": 0.5, "workers": 3}}, r"room for 2 workers of 1 core and 0\.5 GPUs"),
        ({"ray": {"cpus": 32}}, r"ray\.cpus=32 .*no node"),
        ({"ray": {"gpus": 1.5}}, r"ray\.gpus=1\.5: must be a whole number or at most 1"),
        ({"ray": {"gpus": 0}, "device": "cuda"}, r"device=cuda: workers have no GPU"),
    ],
)
def test_more_than_the_cluster_has_is_refused(cluster, changes, message):
    nodes = [cluster.Node("a", "node-a", 16, 1, 1e12)]
    changes = {"device": "cpu", **changes} if "workers" in changes["ray"] and "gpus" not in changes["ray"] else changes
    settings = build(RunSettings, {"task": "rite", "engine": "ray", **changes})
    with pytest.raises(SettingsError, match=message):
        cluster.plan_workers(settings, nodes)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("cluster", "must be auto or host:port"),
        ("ray://node:10001", "connections from outside the cluster are not supported.*ray job submit"),
        ("127.0.0.1:{port}", "no cluster answers there"),
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(cluster, address, message):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = address.format(port=unused.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(SettingsError, match=message), cluster.connection(address):
            pass
    assert time.monotonic() - started < 10


def test_workers_get_their_threads_and_the_folders_of_this_process(cluster, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("F2VBENCH_CACHE", "cache")
    monkeypatch.setenv("F2VBENCH_DATA", "/data")
    environment = cluster.worker_environment(3)
    assert environment["F2VBENCH_CACHE"] == str(tmp_path / "cache")
    assert environment["F2VBENCH_DATA"] == "/data"
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert not [name for name in environment if not name.startswith("F2VBENCH_") and not name.endswith("_THREADS")]
