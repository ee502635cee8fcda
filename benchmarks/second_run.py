"""Time of `plan`, `report` and `run` for a completed run, in whole processes, and whether they import torch.

    python -m benchmarks.second_run --data <folder of RITE> [--grid "preset=quick steps=2 scratch.steps=2 ..."]

The run is made first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEFAULT = "model=timm:resnet18:untrained preset=quick steps=2 scratch.steps=2 shots=1,2,4 seeds=5"


def run_command(*arguments: str, trace: bool = False) -> tuple[float, str]:
    """Run f2vbench in a new process.

    Args:
        *arguments: Arguments of the command line.
        trace: Let Python list the modules that it imports on standard error.

    Returns:
        Seconds, and standard error.
    """
    command = [sys.executable, *(["-X", "importtime"] if trace else []), "-m", "f2vbench", *arguments]
    started = time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{process.stderr[-2000:]}")
    return time.perf_counter() - started, process.stderr


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.environ.get("F2VBENCH_TEST_DATA", "../shared/data")
    parser.add_argument("--data", default=str(Path(root) / "rite"))
    parser.add_argument("--grid", default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        grid = ["task=rite", f"data={arguments.data}", f"out={name}/run", *arguments.grid.split()]
        seconds, _ = run_command("run", *grid)
        print(f"first run: {seconds:.1f} s", flush=True)
        for _ in range(arguments.rounds):
            plan, report = run_command("plan", *grid)[0], run_command("report", f"run={name}/run")[0]
            print(
                f"plan {plan:.2f} s + report {report:.2f} s = {plan + report:.2f} s (target: less than 3 s)", flush=True
            )
        again, _ = run_command("run", *grid)
        print(f"the same run command again: {again:.2f} s")
        for verb in (["plan", *grid], ["report", f"run={name}/run"], ["run", *grid]):
            imported = {line.rpartition("|")[2].strip() for line in run_command(*verb, trace=True)[1].splitlines()}
            print(f"{verb[0]}: torch imported: {'torch' in imported}")


if __name__ == "__main__":
    main()
