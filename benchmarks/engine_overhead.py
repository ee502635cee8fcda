"""Time of 1,000 short work items through engine=ray and through the pool of engine=local, on the same cores.

    python -m benchmarks.engine_overhead [--items 1000] [--seconds 0.1] [--workers 2] [--rounds 3] [--work compute]

Each item computes for a tenth of a second of processor time, or sleeps so long (``--work sleep``, which other work on
the machine disturbs less). Both sides run in alternation; the time is from the first to the last outcome, as the start
of workers, mostly imports, is the same for both and is printed apart. Requirement: a ratio of at most 1.15.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from unittest import mock

from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.runner.context import Context
from f2vbench.runner.engines import ray_engine
from f2vbench.runner.engines.ray_cluster import connection
from f2vbench.runner.engines.ray_worker import RayWorker, Reply, WorkerPlace
from f2vbench.runner.work_items import Extract, Item, Outcome
from f2vbench.store.runs import RunFolder
from f2vbench.utils.processes import run_in_workers
from f2vbench.utils.system import machine

REQUIRED_RATIO = 1.15
WORK: dict[str, Callable[[float], None]] = {"sleep": time.sleep}


def compute(seconds: float) -> None:
    """Use so much processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


WORK["compute"] = compute


@contextmanager
def open_worker(work: str, seconds: float) -> Iterator[Callable[[Item], Outcome]]:
    """A worker of the local pool whose items take so long."""

    def do(item: Item) -> Outcome:
        WORK[work](seconds)
        return Outcome()

    yield do


class ShortWorker(RayWorker):
    """An actor whose items take so long; the item says how."""

    def start(self, context: Context, probe: str, token: str) -> WorkerPlace:
        return WorkerPlace("node", os.getpid(), "", machine()["processor"], True, False)

    def do(self, item: Item) -> Reply:
        work, seconds = item.model.split()
        {"sleep": time.sleep, "compute": compute}[work](float(seconds))
        return Reply(Outcome())


def timed(outcomes: Iterable[tuple[Item, Outcome]]) -> tuple[float, float]:
    """Seconds to the first outcome, and from there to the last."""
    started = time.perf_counter()
    moments = [time.perf_counter() for _ in outcomes]
    return moments[0] - started, moments[-1] - moments[0]


def main() -> int:
    """Print the times of both sides and their ratio; returns 1 if it is above the requirement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", choices=sorted(WORK), default="compute")
    arguments = parser.parse_args()
    items: Sequence[Item] = [
        Extract(f"{arguments.work} {arguments.seconds}", "task", "embedding", (str(number),))
        for number in range(arguments.items)
    ]
    importable = import_module("benchmarks.engine_overhead")  # worker processes do not have the main module
    settings = build(RunSettings, {"task": "short", "engine": "ray", "ray": {"workers": arguments.workers}})
    times: dict[str, list[tuple[float, float]]] = {"local": [], "ray": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        connection(None),
        mock.patch.object(ray_engine, "RayWorker", ShortWorker),
    ):
        RunFolder(Path(folder)).open_for_writing()
        context = Context(settings, {}, {}, Path(folder))
        engine = ray_engine.RayEngine(settings, lambda text: print(text, file=sys.stderr))
        for _ in range(arguments.rounds):
            local = functools.partial(importable.open_worker, arguments.work, arguments.seconds)
            times["local"].append(timed(run_in_workers(local, items, arguments.workers)))
            times["ray"].append(timed(engine.execute(context, items, lambda item, fraction: None)))
            print(f"local {times['local'][-1][1]:.1f} s, ray {times['ray'][-1][1]:.1f} s", file=sys.stderr, flush=True)
    ratio = median(ray[1] / local[1] for ray, local in zip(times["ray"], times["local"], strict=True))
    print(f"{machine()['processor']}, {machine()['cores']} cores; {arguments.workers} workers, {len(items)} items")
    for name, values in times.items():
        start, rest = (median(each) for each in zip(*values, strict=True))
        print(f"{name:<6} {rest:7.1f} s, after {start:.1f} s until the first outcome")
    met = ratio <= REQUIRED_RATIO
    print(f"ratio {ratio:.3f}; required at most {REQUIRED_RATIO}: {'met' if met else 'not met'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
