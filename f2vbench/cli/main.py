"""Entry point of the command line: selects the verb, and turns errors into messages and exit codes."""

from __future__ import annotations

import io
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import TextIO

from f2vbench.cli.verbs import VERBS, help_text
from f2vbench.errors import F2VBenchError, WeightsNote, did_you_mean
from f2vbench.utils.text import is_utf8

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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files that are not valid UTF-8
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
        invalid = [argument for argument in arguments if not is_utf8(argument)]
        if invalid:
            raise F2VBenchError(f"the argument {invalid[0]!a} is not valid UTF-8: rename the file or folder")
        if verb not in VERBS:
            raise F2VBenchError(f"unknown verb '{verb}'{did_you_mean(verb, VERBS)} (f2vbench --help lists all verbs)")
        signal.signal(signal.SIGTERM, _interrupt)
        warnings.showwarning = _show_warning
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


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print notes on weights as sentences, and other warnings as Python does."""
    is_note = issubclass(category, WeightsNote)
    text = f"note: {message}\n" if is_note else warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(text)


def _interrupt(_: int, __: FrameType | None) -> None:
    """Handle SIGTERM, which schedulers send, like Ctrl-C."""
    raise KeyboardInterrupt
