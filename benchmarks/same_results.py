"""Show that a refactoring changes no result: one grid before it, and three checks after it.

    python -m benchmarks.same_results before --folder check      # with the code as it was
    python -m benchmarks.same_results after --folder check       # with the code as it is now

``before`` runs a small grid over all four task families (several models, one fusion, every protocol) on simulated eyes
into ``check/runs/stored`` and writes its report. ``after`` checks that

1. the same command finds every unit done (fingerprints, record keys and feature keys are unchanged),
2. a fresh run into ``check/runs/fresh``, with an empty cache, gives equal records apart from timing, provenance and the
   wording of texts (metrics, episodes, values by image, hashes of predictions and maps), and
3. the report of the stored run has the same numbers in every CSV file.

Each side takes about ten minutes on two cores. The exit status is 1 where a check fails. Only command line and files
are used, so that the script runs on both sides of a change of the package's layout.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

GRID = [
    "task=phantom-vessels,phantom-dr,phantom-retrieval,phantom-video",
    "model=fundus2video,mae,timm:test_resnet:untrained,mae+timm:test_resnet:untrained",
    "protocol=zero-shot,prototype,knn,few-shot,supervised,probe",
    *("shots=0,1,4,all", "seeds=2", "preset=quick", "image_size=192", "steps=10"),
    *("decoder.crop=96", "decoder.pool=4", "scratch.steps=20"),
]
REPORT = ["format=csv,md"]
# What may differ between two runs of the same code.
VOLATILE = ("timing", "provenance")
TEXTS = ("reasons", "remarks")  # by metric; a refactoring may reword them
RENAMED_COLUMNS = {"floor": "baseline"}


def f2vbench(folder: Path, cache: str, *arguments: str) -> str:
    """Run a command of f2vbench in ``folder`` and return what it prints; progress passes through."""
    command = [sys.executable, "-m", "f2vbench", *arguments]
    environment = os.environ | {"F2VBENCH_CACHE": str(folder / cache)}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}")
    return done.stdout


def records(run: Path) -> dict[str, dict[str, Any]]:
    """The records of a run folder by fingerprint, without what may differ; texts are reduced to their keys."""
    found = {}
    for path in sorted((run / "units").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))["payload"]
        found[record["fingerprint"]] = _without_wording({k: v for k, v in record.items() if k not in VOLATILE})
    return found


def _without_wording(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: sorted(v) if k in TEXTS and isinstance(v, dict) else _without_wording(v) for k, v in value.items()}
    return [_without_wording(each) for each in value] if isinstance(value, list) else value


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Paths at which two JSON values differ, with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return [d for key in sorted(keys) for d in differences(one.get(key), other.get(key), f"{where}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for i, pair in enumerate(zip(one, other, strict=True)) for d in differences(*pair, f"{where}/{i}")]
    return [] if one == other else [f"{where}: {one!r:.60} and {other!r:.60}"]


def numbers_differ(one: Path, other: Path) -> list[str]:
    """Numeric cells that differ between the CSV files of two report folders; texts may be reworded."""
    problems = []
    for path in sorted(one.glob("*.csv")):
        first = pd.read_csv(path).rename(columns=RENAMED_COLUMNS)
        second = pd.read_csv(other / path.name).rename(columns=RENAMED_COLUMNS)
        if len(first) != len(second):
            problems.append(f"{path.name}: {len(first)} and {len(second)} rows")
            continue
        for name in first.select_dtypes([np.number, bool]).columns:
            if name not in second:
                problems.append(f"{path.name}: no column {name}")
            elif not np.array_equal(first[name].to_numpy(float), second[name].to_numpy(float), equal_nan=True):
                problems.append(f"{path.name}: column {name} differs")
    return problems


def before(folder: Path) -> None:
    """Run the grid and write its report."""
    folder.mkdir(parents=True, exist_ok=True)
    f2vbench(folder, "cache", "run", *GRID, "out=runs/stored")
    f2vbench(folder, "cache", "report", "run=runs/stored", *REPORT, "out=report-before")
    print(f"{len(records(folder / 'runs/stored'))} units stored in {folder}")


def after(folder: Path) -> bool:
    """The three checks; prints one line each and returns whether all hold."""
    plan = f2vbench(folder, "cache", "plan", *GRID, "out=runs/stored")
    found = re.search(r"(\d+) units: (\d+) done", plan)
    done = bool(found) and found[1] == found[2]
    print(f"1. same command, stored run: {found[0] if found else plan[-300:]}: {_verdict(done)}")

    f2vbench(folder, "cache-fresh", "run", *GRID, "out=runs/fresh")
    stored, fresh = records(folder / "runs/stored"), records(folder / "runs/fresh")
    problems = differences(stored, fresh)
    print(
        f"2. fresh run: {len(stored)} and {len(fresh)} records, {len(problems)} differences: {_verdict(not problems)}"
    )

    f2vbench(folder, "cache", "report", "run=runs/stored", *REPORT, "out=report-after")
    cells = numbers_differ(folder / "report-before", folder / "report-after")
    print(f"3. numbers of the report: {len(cells)} differences: {_verdict(not cells)}")
    for line in [*problems, *cells][:30]:
        print("  ", line)
    return done and not problems and not cells


def _verdict(holds: bool) -> str:
    return "equal" if holds else "DIFFERENT"


def main() -> None:
    """Parse the arguments and run one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=("before", "after"))
    parser.add_argument("--folder", type=Path, default=Path("same-results"))
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.side == "before":
        before(folder)
    elif not after(folder):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
