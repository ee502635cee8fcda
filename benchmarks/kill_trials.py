"""Kill workers and drivers of runs at random moments, and count what is lost and what runs again.

    python -m benchmarks.kill_trials [--kills 50] [--seed 0]

Four victims in turn: a worker and the driver of engine=local, a worker and the driver of engine=ray (a cluster of two
simulated nodes). Each is killed with SIGKILL, as the kernel does when memory runs out, a random time after a random
number of further units; then the same command runs again, until the kills are used up and the run is complete. A unit
is lost if its record or a prediction had been stored before a kill and is absent or has other bytes afterwards; it runs
again if it was in work at the kill. The completed run is compared byte for byte with an undisturbed one. The exit
status is 1 where something is lost or differs. Linux only: processes are found in /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing.forkserver
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from f2vbench import Benchmark
from f2vbench.errors import F2VBenchError
from f2vbench.utils.progress import Silent
from f2vbench.utils.text import layout
from tests.helpers.commands import fork_server, start_command, use_fork_server
from tests.helpers.eyes import write_eyes
from tests.helpers.run_folders import comparable_files

SETTINGS = {"task": "folder", "model": "tophat", "baselines": ["green"], "shots": [1, 2], "image_size": 64, "seeds": 15}
ARGUMENTS = ["task=folder", "model=tophat", "baselines=green", "shots=1,2", "image_size=64", "seeds=15"]
UNITS = 60
SHARES = (0.36, 0.32, 0.2, 0.12)  # of the kills; a driver of Ray takes longest to start again
MOST_UNITS_BETWEEN, MOST_SECONDS_AFTER = 3, 0.3


@dataclass
class Row:
    """What happened to the runs of one kind of victim."""

    victim: str
    kills: int = 0
    stored: int = 0
    lost: int = 0
    again: int = 0
    runs: int = 0
    equal: bool = True
    seen: dict[str, bytes] = field(default_factory=dict)

    def cells(self) -> list[str]:
        counts = [self.kills, self.stored, self.lost, self.again, self.runs]
        return [self.victim, *map(str, counts), "yes" if self.equal else "NO"]


def stored_files(out: Path) -> dict[str, bytes]:
    """Records and predictions of a run folder by name."""
    found = {}
    for path in [*out.glob("units/*.json"), *out.rglob("*.png")]:
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = path.read_bytes()
    return found


def units_in_work(out: Path) -> int:
    """Number of units with a lock file and without a record."""
    started = {path.stem for path in out.glob("claims/*.lock")}
    return len(started - {path.stem for path in out.glob("units/*.json")})


def children(parent: int) -> Iterator[tuple[int, str]]:
    """Process id and title of the living descendants of a process."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, above = status.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents.setdefault(int(above), []).append(int(status.parent.name))
    open_ends = [parent]
    while open_ends:
        for process in parents.get(open_ends.pop(), []):
            open_ends.append(process)
            with contextlib.suppress(OSError):
                yield process, Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def local_workers() -> list[int]:
    """Worker processes of the run in this process: the children of the fork server."""
    server = multiprocessing.forkserver._forkserver._forkserver_pid
    return [process for process, _ in children(server)] if server else []


def ray_workers() -> list[int]:
    """Actors of this process's cluster that have started."""
    titles = children(os.getpid())
    return [p for p, title in titles if title.startswith(("ray::RayWorker ", "ray::RayWorker.do"))]


def wait_for_moment(out: Path, draw: random.Random, stop: Callable[[], bool]) -> bool:
    """Wait for a random number of further units and a random time; False if the run ends before."""
    target = len(list(out.glob("units/*.json"))) + draw.randint(1, MOST_UNITS_BETWEEN)
    while len(list(out.glob("units/*.json"))) < target:
        if stop():
            return False
        time.sleep(0.01)
    time.sleep(draw.uniform(0, MOST_SECONDS_AFTER))
    return not stop()


def note_state(row: Row, out: Path) -> None:
    """Count what earlier kills had left and is lost now, and keep what is stored now."""
    now = stored_files(out)
    row.lost += sum(now.get(name) != content for name, content in row.seen.items())
    row.seen = now
    row.stored += len(list(out.glob("units/*.json")))


def kill_workers(
    row: Row,
    out: Path,
    data: Path,
    engine: dict[str, object],
    workers: Callable[[], list[int]],
    kills: int,
    draw: random.Random,
) -> None:
    """Runs in this process whose workers another thread kills, until the kills are used up and the run is complete."""
    while True:
        ended = threading.Event()

        def kill_while_it_runs(ended: threading.Event = ended) -> None:
            while row.kills < kills and wait_for_moment(out, draw, ended.is_set):
                victims = workers()
                if victims:
                    in_work = units_in_work(out)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(draw.choice(victims), signal.SIGKILL)
                        row.kills += 1
                        row.again += in_work if "engine" not in engine else 0
                        note_state(row, out)

        progress = CountingNotes()
        killer = threading.Thread(target=kill_while_it_runs, daemon=True)
        killer.start()
        row.runs += 1
        try:
            Benchmark(data=str(data), out=out, **SETTINGS, **engine).run(progress)
        except F2VBenchError as error:
            if "worker process exited" not in str(error):
                raise
        finally:
            ended.set()
            killer.join()
        row.again += progress.again
        if len(list(out.glob("units/*.json"))) == UNITS:
            return


class CountingNotes(Silent):
    """Progress that counts the items that run again."""

    def __init__(self) -> None:
        self.again = 0

    def note(self, text: str) -> None:
        self.again += "runs again" in text


def kill_drivers(row: Row, out: Path, data: Path, arguments: list[str], kills: int, draw: random.Random) -> None:
    """Commands that are killed, until the kills are used up and the run is complete."""
    while True:
        command = start_command(["run", *ARGUMENTS, f"data={data}", f"out={out}", *arguments], out.with_suffix(".txt"))
        row.runs += 1
        if row.kills < kills and wait_for_moment(out, draw, lambda command=command: not command.is_alive()):
            row.again += units_in_work(out)
            command.kill()
            row.kills += 1
            command.join()
            note_state(row, out)
        else:
            command.join()
        if len(list(out.glob("units/*.json"))) == UNITS and not command.exitcode:
            return


def main() -> int:
    """Run the trials, and print a row per kind of victim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("local", "ray"), help="victims of one engine")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    fork_server()
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        folder = Path(temporary)
        data = write_eyes(folder / "eyes", 6)
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        Benchmark(data=str(data), out=folder / "undisturbed", jobs=1, **SETTINGS).run(Silent())
        expected = comparable_files(folder / "undisturbed")
        shares = [round(share * arguments.kills) for share in SHARES[:-1]]
        shares.append(arguments.kills - sum(shares))
        rows: list[Row] = []

        def trial(victim: str, perform: Callable[[Row, Path], None]) -> None:
            """Kills of one kind of victim in a run folder with an empty cache."""
            row, out = Row(victim), folder / f"run-{len(rows)}"
            patch.setenv("F2VBENCH_CACHE", str(folder / f"cache-{len(rows)}"))
            started = time.monotonic()
            perform(row, out)
            note_state(row, out)
            Benchmark(data=str(data), out=out, jobs=1, **SETTINGS).run(Silent())  # writes the table
            row.equal = comparable_files(out) == expected
            rows.append(row)
            seconds = time.monotonic() - started
            print(f"{seconds:.0f} s: {' | '.join(row.cells())}", file=sys.stderr, flush=True)

        if arguments.only != "ray":
            with pytest.MonkeyPatch.context() as fork_patch:
                use_fork_server(fork_patch)
                local = {"jobs": 2}
                trial(
                    "worker, engine=local",
                    lambda row, out: kill_workers(row, out, data, local, local_workers, shares[0], draw),
                )
            trial("driver, engine=local", lambda row, out: kill_drivers(row, out, data, ["jobs=1"], shares[1], draw))
        if arguments.only != "local":
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20})
            cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
            ray.init(address=cluster.address, log_to_driver=False)
            of_ray = {"engine": "ray", "ray": {"workers": 2}}
            trial(
                "worker, engine=ray",
                lambda row, out: kill_workers(row, out, data, of_ray, ray_workers, shares[2], draw),
            )
            ray.shutdown()
            join = ["engine=ray", f"ray.address={cluster.address}", "ray.workers=2"]
            trial("driver, engine=ray", lambda row, out: kill_drivers(row, out, data, join, shares[3], draw))
            cluster.shutdown()
    header = ["victim", "kills", "records checked after a kill", "lost", "run again", "commands", "result equal"]
    print(layout(header, [row.cells() for row in rows]))
    return int(any(row.lost or not row.equal for row in rows))


if __name__ == "__main__":
    sys.exit(main())
