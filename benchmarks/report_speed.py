"""Speed of the report and of the tests behind it, on made-up numbers, against the times that are aimed at.

    python -m benchmarks.report_speed [--units 2000] [--figures all]

Report over 2,000 units below 20 s, with page, tables in every format and figures; DeLong's test of two models at
n = 100,000 below 1 s; 2,000 clustered bootstrap replicates of a difference of AUROCs at n = 1,000 below 2 s. Times are
processor seconds, so that other work on the machine does not count; the report's are those of the command, imports
included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from f2vbench.stats.bootstrap import paired_bootstrap
from f2vbench.stats.delong import delong_test
from tests.helpers.stored_runs import call_record, grid, write_run

MODELS = {"net-1": 0.93, "net-2": 0.92, "net-3": 0.9, "net-4": 0.88, "net:untrained": 0.7}
BASELINES = {"scratch": 0.91, "tophat": 0.89, "sato": 0.87, "frangi": 0.85, "green": 0.6}
SHOTS, SEEDS, IMAGES = (1, 2, 4, 8), 5, 20


def made_units(folder: Path, units: int) -> int:
    """A run folder of at least so many units: tasks of ten models, four numbers of support images and five seeds."""
    a_task = len(MODELS | BASELINES) * len(SHOTS) * SEEDS
    tasks = [f"task-{number}" for number in range(-(-units // a_task))]
    records = [
        record
        for task in tasks
        for record in grid(
            MODELS | BASELINES,
            seeds=SEEDS,
            shots=SHOTS,
            images=IMAGES,
            baselines=tuple(BASELINES),
            untrained=("net:untrained",),
            spread=0.05,
            task=task,
        )
    ]
    write_run(folder, records, call_record({task: {"title": task} for task in tasks}))
    return len(records)


def report_seconds(units: int, figures: str) -> tuple[int, float]:
    """How many units there were, and processor seconds of a `f2vbench report` in every format."""
    with tempfile.TemporaryDirectory() as place:
        made = made_units(Path(place) / "run", units)
        words = [f"run={place}/run", f"out={place}/out", "format=html,csv,md,latex,pdf", f"figures={figures}"]
        before = sum(os.times()[2:4])
        subprocess.run([sys.executable, "-m", "f2vbench", "report", *words], check=True, stdout=subprocess.DEVNULL)
        return made, sum(os.times()[2:4]) - before


def delong_seconds(cases: int = 100_000) -> float:
    draw = np.random.default_rng(0)
    labels = draw.random(cases) < 0.3
    first, second = (labels + draw.normal(0, 1, cases) for _ in range(2))
    started = time.process_time()
    delong_test(first, second, labels)
    return time.process_time() - started


def bootstrap_seconds(cases: int = 1_000) -> float:
    draw = np.random.default_rng(0)
    labels = draw.random(cases) < 0.3
    first, second = (labels + draw.normal(0, 1, cases) for _ in range(2))
    started = time.process_time()
    paired_bootstrap(first, second, labels, patients=np.arange(cases) // 2, replicates=2_000)
    return time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=2000)
    parser.add_argument("--figures", default="all")
    words = parser.parse_args()
    units, report = report_seconds(words.units, words.figures)
    rows = [
        (f"report over {units:,} units", report, 20.0),
        ("DeLong's test, n = 100,000", delong_seconds(), 1.0),
        ("2,000 clustered bootstrap replicates of a difference of AUROCs, n = 1,000", bootstrap_seconds(), 2.0),
    ]
    for what, seconds, aim in rows:
        print(f"{seconds:7.2f} s of {aim:4.0f} s  {'' if seconds < aim else 'not met  '}{what}")
    return int(any(seconds >= aim for _, seconds, aim in rows))


if __name__ == "__main__":
    sys.exit(main())
