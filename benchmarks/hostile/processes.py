"""Try one hostile input in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from benchmarks.hostile.inputs import Hostile


def act(category: str, number: int, folder: Path) -> None:
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


def try_input(category: str, number: int, hostile: Hostile, limit: float) -> str:
    """Why an input is not handled, or ""."""
    context = multiprocessing.get_context("forkserver")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = context.Process(target=act, args=(category, number, folder))
        process.start()
        process.join(limit)
        if process.exitcode is None:
            process.kill()
            process.join()
            return f"did not end in {limit:g} s"
        output = (folder / "output.txt").read_text(errors="replace")
    if "code was run" in output:
        return "code in the file was run"
    if "Traceback (most recent call last)" in output:
        return f"traceback: {output.strip().splitlines()[-1]}"
    if process.exitcode not in hostile.codes:
        return f"exit code {process.exitcode}, expected {hostile.codes}: {' '.join(output.split())[-300:]}"
    if not re.search(hostile.expected, " ".join(output.split()), re.IGNORECASE):
        return f"the output lacks '{hostile.expected}': {' '.join(output.split())[-300:]}"
    return ""
