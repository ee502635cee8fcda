"""Entry point of the command line: selects the verb, and turns errors into messages and exit codes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from f2vbench.cli.verbs import VERBS, help_text
from f2vbench.errors import F2VBenchError, did_you_mean

_RESUMED = {
    "run": "Completed units are stored; the same command continues from there.",
    "train": "The same command continues from the last checkpoint, or starts again where none is stored yet.",
    "phantom": "Completed eyes are stored; the same command continues from there.",
    "generate": "Completed results are stored; the same command continues from there.",
    "search": "Encoded images are stored; the same command continues from there.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Arguments after the program's name; by default those of this process.

    Returns:
        Exit code: 0 on success, 2 on an error that the user can fix, 130 when interrupted.
    """
    in_own_process = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(help_text(), end="")
        return 0
    if verb in ("--version", "-V", "version"):
        from importlib.metadata import version

        print(f"f2vbench {version('f2vbench')}")
        return 0
    try:
        if verb not in VERBS:
            raise F2VBenchError(f"unknown verb '{verb}'{did_you_mean(verb, VERBS)} (f2vbench --help lists all verbs)")
        signal.signal(signal.SIGTERM, _interrupt)
        if in_own_process and verb == "report":  # its figures need many arrays of megabytes
            from f2vbench.utils.processes import keep_freed_memory

            keep_freed_memory()
        return VERBS[verb].run(verb, rest)
    except F2VBenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nInterrupted. {_RESUMED.get(verb, '')}".rstrip(), file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _interrupt(_: int, __: FrameType | None) -> None:
    """Handle SIGTERM, which schedulers send, like Ctrl-C."""
    raise KeyboardInterrupt
