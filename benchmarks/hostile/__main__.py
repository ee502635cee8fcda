"""Try hostile inputs by category, each in a process of its own with a time limit, and print a table.

    python -m benchmarks.hostile [category ...] [--limit 60] [--show]

A category is a module of this package with a function `inputs`. An input is handled if the process ends in time with
the expected exit code, prints no traceback, and its output contains the expected words. The exit status is 1 where an
input is not handled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pkgutil
import time
from importlib import import_module

import benchmarks.hostile
from benchmarks.hostile.processes import try_input

_HELPERS = {"inputs", "preloaded", "processes", "__main__"}


def _categories() -> list[str]:
    modules = (module.name for module in pkgutil.iter_modules(benchmarks.hostile.__path__))
    return sorted(name for name in modules if name not in _HELPERS)


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
            reason = try_input(category, number, hostile, arguments.limit)
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
