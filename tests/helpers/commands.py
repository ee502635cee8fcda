"""Commands of f2vbench in processes of their own that have the libraries imported already."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from f2vbench.cli.main import main
from f2vbench.utils import processes

_PRELOADED = "tests.helpers.preloaded"


@dataclass(frozen=True)
class Completed:
    """Exit code and output of a command."""

    code: int
    text: str


def fork_server() -> ForkServerContext:
    """Starts processes as copies of a server process that has imported torch, in milliseconds instead of seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def start_command(arguments: Sequence[str], output: Path, prepare: Callable[[], None] | None = None) -> BaseProcess:
    """Start `f2vbench <arguments>`.

    Args:
        arguments: Arguments of the command line.
        output: File for its standard output and error.
        prepare: Called in the new process before the command.
    """
    process = fork_server().Process(target=_run, args=(list(arguments), output, dict(os.environ), prepare))
    process.start()
    return process


def run_command(
    arguments: Sequence[str], output: Path, prepare: Callable[[], None] | None = None, timeout: float = 300
) -> Completed:
    """Run `f2vbench <arguments>` to its end; see `start_command`."""
    process = start_command(arguments, output, prepare)
    process.join(timeout)
    assert process.exitcode is not None, f"{arguments} did not end in {timeout} s"
    return Completed(process.exitcode, output.read_text())


def use_fork_server(patch: pytest.MonkeyPatch) -> None:
    """Let the workers of this process start from the fork server, with the present environment variables."""
    fork_server()
    patch.setattr(processes, "START_METHOD", "forkserver")
    patch.setattr(processes, "_work", partial(_work, dict(os.environ)))


def _run(
    arguments: list[str], output: Path, environment: Mapping[str, str], prepare: Callable[[], None] | None
) -> None:
    os.environ.update(environment)
    with output.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
        if prepare is not None:
            prepare()
        raise SystemExit(main(arguments))


def _work(environment: Mapping[str, str], *arguments: Any) -> None:
    os.environ.update(environment)
    processes._work(*arguments)
