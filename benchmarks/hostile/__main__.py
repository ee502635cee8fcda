"""Try hostile inputs by category, each in a process of its own with a time limit, and print a table.

    python -m benchmarks.hostile [category ...] [--limit 60] [--show]

A category is a module of this package with a function `inputs`. An input is handled if the process ends in time with
the expected exit code, prints no traceback, and its output contains the expected words. The exit status is 1 where an
input is not handled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pkgutil
import re
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import benchmarks.hostile
from benchmarks.hostile.inputs import Hostile

_HELPERS = {"inputs", "preloaded", "__main__"}


def _categories() -> list[str]:
    modules = (module.name for module in pkgutil.iter_modules(benchmarks.hostile.__path__))
    return sorted(name for name in modules if name not in _HELPERS)


def _act(category: str, number: int, folder: Path) -> None:
    """Try one input in this process; the inputs are made again here, because they can't be pickled."""
    with (folder / "output.txt").open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    work = folder / "work"
    work.mkdir()
    os.chdir(work)
    os.environ["F2VBENCH_CACHE"] = str(folder / "cache")
    hostile = list(import_module(f"benchmarks.hostile.{category}").inputs())[number]
    raise SystemExit(hostile.act(work))


def _try(category: str, number: int, hostile: Hostile, limit: float) -> str:
    """Why an input is not handled, or ""."""
    context = multiprocessing.get_context("forkserver")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = context.Process(target=_act, args=(category, number, folder))
        process.start()
        process.join(limit)
        if process.exitcode is None:
            process.kill()
            process.join()
            return f"did not end in {limit:g} s"
        output = (folder / "output.txt").read_text(errors="replace")
    if "Traceback (most recent call last)" in output:
        return f"traceback: {output.strip().splitlines()[-1]}"
    if process.exitcode != hostile.code:
        return f"exit code {process.exitcode}, expected {hostile.code}: {' '.join(output.split())[-300:]}"
    if not re.search(hostile.expected, " ".join(output.split()), re.IGNORECASE):
        return f"the output lacks '{hostile.expected}': {' '.join(output.split())[-300:]}"
    return ""


def main() -> int:
    """Try the inputs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("category", nargs="*", default=_categories(), help="categories, by default all")
    parser.add_argument("--limit", type=float, default=60, help="seconds for one input")
    parser.add_argument("--show", action="store_true", help="print every input as it is tried")
    arguments = parser.parse_args()
    multiprocessing.get_context("forkserver").set_forkserver_preload(["benchmarks.hostile.preloaded"])
    rows, failures = [], []
    for category in arguments.category:
        hostile_inputs = list(import_module(f"benchmarks.hostile.{category}").inputs())
        start, handled = time.perf_counter(), 0
        for number, hostile in enumerate(hostile_inputs):
            reason = _try(category, number, hostile, arguments.limit)
            handled += not reason
            if reason:
                failures.append(f"{category}: {hostile.name}: {reason}")
            if arguments.show or reason:
                print(f"{category}: {hostile.name}: {reason or 'handled'}", flush=True)
        rows.append((category, len(hostile_inputs), handled, time.perf_counter() - start))
    print("\n| category | tried | handled | time |\n|---|---|---|---|")
    for category, tried, handled, seconds in rows:
        print(f"| {category} | {tried} | {handled} | {seconds:.0f} s |")
    print(
        f"| all | {sum(row[1] for row in rows)} | {sum(row[2] for row in rows)} | {sum(row[3] for row in rows):.0f} s |"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
