"""Runs with engine=slurm: the submission file of an array job, and its tasks as processes on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from f2vbench import Benchmark
from f2vbench.cli.main import main
from f2vbench.config.parsing import build, parse
from f2vbench.config.run import RunSettings
from f2vbench.errors import F2VBenchError, SettingsError
from f2vbench.runner.plan import make_plan
from f2vbench.utils.progress import Silent
from tests.helpers.run_folders import comparable_files

pytest.importorskip("submitit", reason="needs the extra f2vbench[slurm]")

from submitit.core.utils import FailedJobError, UncompletedJobError

from f2vbench.runner.engines.slurm import ArrayJob, Shard, shard_settings

ARGUMENTS = ["task=folder", "model=tophat", "baselines=green", "shots=1", "seeds=2", "image_size=64"]
SETTINGS = {"task": "folder", "model": "tophat", "baselines": "green", "shots": 1, "seeds": 2, "image_size": 64}


def write_command(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_submission_has_the_settings_and_says_how_to_go_on(eyes, tmp_path, monkeypatch, capsys):
    """Commands of Slurm that only record what they receive stand for a cluster."""
    commands = tmp_path / "bin"
    commands.mkdir()
    write_command(commands / "srun", "exit 0")
    write_command(commands / "sbatch", f'cp "$1" {tmp_path}/submission.sh; echo Submitted batch job 4711')
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    out = tmp_path / "run"
    slurm = ["tasks=16", "partition=gpu", "account=eyes", "time=1-12:00:00", "cpus=4", "gpus=2", "memory=32"]
    arguments = ["run", *ARGUMENTS, f"data={eyes}", f"out={out}", "engine=slurm", *(f"slurm.{each}" for each in slurm)]
    assert main([*arguments, "slurm.parallel=3"]) == 0
    submission = (tmp_path / "submission.sh").read_text()
    for line in (
        "array=0-3%3",  # four units, so four tasks
        "partition=gpu",
        "account=eyes",
        "time=2160",
        "cpus-per-task=4",
        "gpus-per-node=2",
        "mem=32GB",
    ):
        assert f"#SBATCH --{line}\n" in submission
    output = capsys.readouterr().out
    assert "submitted 4 tasks: job 4711_0 to 4711_3" in output
    assert f"{out.absolute()}/slurm" in output
    assert f"f2vbench report run={out}" in output


def test_a_task_gives_the_results_of_one_process(eyes, tmp_path):
    """The task is a process on this machine."""
    data = {"data": str(eyes), **SETTINGS}
    Benchmark(out=tmp_path / "local", jobs=1, **data).run(Silent())
    array = Benchmark(out=tmp_path / "run", engine="slurm", slurm={"tasks": 1, "cluster": "local"}, **data)
    array.run(Silent())
    assert comparable_files(tmp_path / "run") == comparable_files(tmp_path / "local")
    assert len(list((tmp_path / "run" / "slurm").glob("*_log.out"))) == 1
    assert array.submit().text.startswith("nothing to submit")


def test_the_tasks_share_all_units(eyes, tmp_path):
    settings = build(RunSettings, {"data": str(eyes), "out": tmp_path / "run", "engine": "slurm", **SETTINGS})
    shards = [shard_settings(settings, number, 3) for number in (1, 2, 3)]
    units = [unit.name for shard in shards for unit in make_plan(shard).units]
    assert sorted(units) == sorted(unit.name for unit in make_plan(settings).requested)
    assert {shard.engine for shard in shards} == {"local"}
    ran = []
    Shard(shards[0], ran.append).checkpoint().function()
    assert ran == shards[:1], "a task that reached its limit of time continues its shard"


@dataclass
class EndedJob:
    """A task of submitit that has ended."""

    error: Exception | None
    job_id: str = "12_3"
    paths: Any = field(default_factory=lambda: SimpleNamespace(stderr="logs/12_3_0_log.err"))

    def exception(self) -> Exception | None:
        return self.error


def test_failed_tasks_are_named_with_reason_and_log(tmp_path):
    line = "-" * 22
    trace = f"Traceback (most recent call last):\n  File\nf2vbench.errors.StoreError: no space\n{line}\nYou can check"
    failed = EndedJob(FailedJobError(f"Job (task=0) failed during processing with trace:\n{line}\n{trace}"))
    lost = EndedJob(UncompletedJobError("Job 12_4 (task: 0) with path x\nhas not produced any output"), "12_4")
    with pytest.raises(F2VBenchError) as caught:
        ArrayJob([failed, EndedJob(None), lost], tmp_path, tmp_path / "slurm").wait()
    assert caught.value.problems == [
        "task 12_3 failed (f2vbench.errors.StoreError: no space); its log: logs/12_3_0_log.err",
        "task 12_4 failed (Job 12_4 (task: 0) with path x); its log: logs/12_3_0_log.err",
        "completed units are stored: the same command submits what is missing",
    ]
    assert ArrayJob([EndedJob(None)], tmp_path, tmp_path / "slurm").wait() is None


def test_without_slurm_the_message_says_how_to_try_it(eyes, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=r"(?s)engine=slurm: .*srun.*slurm.cluster=local"):
        Benchmark(data=str(eyes), out=tmp_path / "run", engine="slurm", **SETTINGS).submit()


@pytest.mark.parametrize(
    ("time", "minutes"), [("90", 90), ("08:00:00", 480), ("1-02:30", 1590), ("45:30", 46), ("2-00:00:01", 2881)]
)
def test_limits_of_time_are_read_as_slurm_reads_them(time, minutes):
    assert parse(RunSettings, ["task=rite", "engine=slurm", f"slurm.time={time}"]).slurm.time == minutes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slurm.tasks=4"], "slurm.tasks: engine=local has no such setting; set engine=slurm"),
        (["engine=slurm", "ray.workers=4"], "ray.workers: engine=slurm has no such setting; set engine=ray"),
        (["engine=slurm", "shard=1/2"], "shard=1/2: engine=slurm divides the run into slurm.tasks shards"),
        (["engine=slurm", "slurm.time=soon"], "slurm.time: time must be minutes, HH:MM:SS or D-HH:MM:SS"),
        (["engine=ray", "jobs=4"], "jobs=4: engine=ray takes its number of workers from ray.workers"),
        (["engine=ray", "device=cuda:1"], "device=cuda:1: Ray assigns the GPUs"),
    ],
)
def test_settings_of_another_engine_are_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        parse(RunSettings, ["task=rite", *arguments])
