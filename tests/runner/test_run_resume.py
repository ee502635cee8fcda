"""Runs give the same results with any number of workers and shards, and after kills, damage and full disks."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from f2vbench import Benchmark
from f2vbench.utils.progress import Silent
from tests.helpers.commands import run_command, start_command, use_fork_server
from tests.helpers.run_folders import comparable_files
from tests.helpers.segmentation_runs import ARGUMENTS, SETTINGS, UNITS


class Notes(Silent):
    """Progress that keeps its messages."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def limit_file_size(limit: int) -> None:
    """Let the system refuse files of more than ``limit`` bytes, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def become_interruptible() -> None:
    """Lead a new process group, and accept Ctrl-C, which background jobs ignore and the fork server may block."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_two_workers_give_bit_identical_results(eyes, expected, tmp_path, monkeypatch):
    use_fork_server(monkeypatch)
    Benchmark(data=str(eyes), out=tmp_path / "run", **{**SETTINGS, "jobs": 2}).run(Silent())
    assert comparable_files(tmp_path / "run") == expected


def test_a_script_without_main_guard_can_use_workers(eyes, tmp_path):
    arguments = {
        **SETTINGS,
        "model": "tophat",
        "baselines": ["green"],
        "jobs": 2,
        "data": str(eyes),
        "out": str(tmp_path / "run"),
    }
    script = tmp_path / "script.py"
    script.write_text(f"from f2vbench import Benchmark\nprint(len(Benchmark(**{arguments!r}).run().frame))\n")
    process = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    assert int(process.stdout) == 8 * 24


def test_two_shards_in_reverse_order_give_the_same_results(eyes, expected, tmp_path):
    for shard in ("2/2", "1/2"):
        Benchmark(data=str(eyes), out=tmp_path / "run", shard=shard, **SETTINGS).run(Silent())
    assert comparable_files(tmp_path / "run") == expected


def test_two_processes_can_write_to_one_run_folder(eyes, expected, tmp_path):
    arguments = ["run", *ARGUMENTS, f"data={eyes}", f"out={tmp_path / 'run'}", "jobs=1"]
    processes = [start_command(arguments, tmp_path / f"{number}.txt") for number in range(2)]
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    Benchmark(data=str(eyes), out=tmp_path / "run", **SETTINGS).run(Silent())
    assert comparable_files(tmp_path / "run") == expected


def test_a_run_that_is_killed_repeatedly_gives_the_same_results(eyes, expected, tmp_path):
    """The process is killed with SIGKILL at random moments; the completed run is byte for byte the undisturbed run."""
    out, moments = tmp_path / "run", random.Random(0)
    counts = [0]
    for jobs in (1, 1, 2, 1):
        # With two jobs new workers start; a filter lets them start quickly, because it needs no torch.
        models = ["model=tophat", "baselines=none"] if jobs == 2 else []
        keys = {argument.partition("=")[0] for argument in models}
        others = [argument for argument in ARGUMENTS if argument.partition("=")[0] not in keys]
        arguments = ["run", *others, *models, f"data={eyes}", f"out={out}", f"jobs={jobs}"]
        process = start_command(arguments, tmp_path / "output.txt")
        deadline = time.monotonic() + 60
        while process.is_alive() and time.monotonic() < deadline and len(list(out.glob("units/*.json"))) <= counts[-1]:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.join()
        counts.append(len(list(out.glob("units/*.json"))))
    assert counts == sorted(counts), "a completed unit was lost"
    assert counts[1] < counts[-1], "no unit was completed between the kills"
    assert sum(count < UNITS for count in counts) >= 3, f"the kills came too late: {counts}"
    deadline = time.monotonic() + 60
    while len(list(out.glob("units/*.json"))) < UNITS and time.monotonic() < deadline:
        # Workers of the last killed run may still have claimed a unit.
        Benchmark(data=str(eyes), out=out, **SETTINGS).run(Silent())
    assert comparable_files(out) == expected


def test_ctrl_c_stops_the_run_with_a_message(eyes, tmp_path):
    models = ["task=folder", "model=tophat", "baselines=green", "shots=1,2", "seeds=200"]
    arguments = ["run", *models, f"data={eyes}", f"out={tmp_path / 'run'}", "jobs=2"]
    process = start_command(arguments, tmp_path / "output.txt", become_interruptible)
    while not list(tmp_path.glob("run/units/*.json")) and process.is_alive():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    output = (tmp_path / "output.txt").read_text()
    assert "the same command continues from there" in output
    assert "Traceback" not in output


def test_a_completed_run_is_not_repeated_and_imports_no_torch(eyes, completed):
    arguments = [*ARGUMENTS, f"data={eyes}", f"out={completed}"]
    report = ["report", f"run={completed}", "format=html", "figures=segmentation-examples", "metric=auroc"]
    before = {path: path.stat().st_mtime_ns for path in (completed / "units").iterdir()}
    code = (
        "import sys; from f2vbench.cli.main import main\n"
        f"for arguments in {[['run', *arguments], ['plan', *arguments], report]}:\n"
        "    assert main(arguments) == 0\n"
        "    assert 'torch' not in sys.modules, arguments"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert {path: path.stat().st_mtime_ns for path in (completed / "units").iterdir()} == before


@pytest.mark.parametrize("part", ["units", "maps"])
def test_a_damaged_file_is_set_aside_and_computed_again(eyes, expected, completed, part):
    benchmark = Benchmark(data=str(eyes), out=completed, **SETTINGS)
    damaged = sorted((completed / part).rglob("*.*"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert benchmark.plan().missing.sum() >= 1
    benchmark.run(Silent())
    assert comparable_files(completed) == expected
    assert list((completed / "set-aside").iterdir())


def test_damaged_features_are_computed_again(eyes, expected, completed, tmp_path):
    for path in (tmp_path / "cache" / "features").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    progress = Notes()
    Benchmark(data=str(eyes), out=tmp_path / "again", **SETTINGS).run(progress)
    assert comparable_files(tmp_path / "again") == expected
    assert any("set aside" in note for note in progress.notes)


def test_damaged_features_are_named_by_the_estimate_that_opens_them(eyes, completed, tmp_path):
    benchmark = Benchmark(data=str(eyes), out=tmp_path / "again", **SETTINGS)
    shards = list((tmp_path / "cache" / "features").rglob("*.safetensors"))
    backup = shutil.copytree(tmp_path / "cache" / "features", tmp_path / "whole")
    timings = tmp_path / "cache" / "timings.jsonl"
    for is_rehearsed in (False, True):
        shutil.rmtree(tmp_path / "cache" / "features")
        shutil.copytree(backup, tmp_path / "cache" / "features")
        assert shards
        for path in shards:
            path.write_bytes(path.read_bytes()[:-9])
        if is_rehearsed:
            timings.unlink()
        progress = Notes()
        benchmark.estimate(progress)
        assert all(any(str(path) in note for note in progress.notes) for path in shards), is_rehearsed


def test_a_full_disk_is_reported_and_completed_units_are_kept(eyes, expected, tmp_path):
    """The system refuses files of more than 9,000 bytes; then there is space again."""
    arguments = ["run", *ARGUMENTS, f"data={eyes}", f"out={tmp_path / 'run'}", "jobs=1"]
    failed = run_command(arguments, tmp_path / "output.txt", partial(limit_file_size, 9000))
    assert failed.code == 2, failed.text
    assert "(File too large); write to another file system" in failed.text
    assert "Traceback" not in failed.text
    assert not list(tmp_path.rglob("*.part"))
    assert run_command(arguments, tmp_path / "output.txt").code == 0
    assert comparable_files(tmp_path / "run") == expected
