"""A second look at a finished run: plan and report together, whole processes, without importing torch.

    python -m benchmarks.second_run --data <folder of RITE> [--words "preset=quick steps=2 scratch.steps=2 ..."]

The run itself is made first (and is long the first time, unless cut down as by default).
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


def command(*words: str, trace: bool = False) -> tuple[float, str]:
    """Seconds of a whole process, and the modules it loaded where ``trace``."""
    start = [sys.executable, *(["-X", "importtime"] if trace else []), "-m", "f2vbench", *words]
    began = time.perf_counter()
    done = subprocess.run(start, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - began, done.stderr


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.environ.get("F2VBENCH_TEST_DATA", "../shared/data")
    words.add_argument("--data", default=str(Path(root) / "rite"))
    words.add_argument("--words", default=DEFAULT)
    words.add_argument("--rounds", type=int, default=5)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as name:
        grid = ["task=rite", f"data={given.data}", f"out={name}/run", *given.words.split()]
        seconds, _ = command("run", *grid)
        print(f"first run: {seconds:.1f} s", flush=True)
        for _ in range(given.rounds):
            plan, report = command("plan", *grid)[0], command("report", f"run={name}/run")[0]
            print(f"plan {plan:.2f} s + report {report:.2f} s = {plan + report:.2f} s (aim: under 3 s)", flush=True)
        again, _ = command("run", *grid)
        print(f"the same run command again: {again:.2f} s")
        for verb in (["plan", *grid], ["report", f"run={name}/run"], ["run", *grid]):
            loaded = {line.rpartition("|")[2].strip() for line in command(*verb, trace=True)[1].splitlines()}
            print(f"{verb[0]}: torch imported: {'torch' in loaded}")


if __name__ == "__main__":
    main()
