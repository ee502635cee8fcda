"""The training log: a line of JSON for each batch and epoch, and the same numbers for run loggers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from f2vbench.config.base import flatten
from f2vbench.config.run_loggers import LoggerName
from f2vbench.errors import StoreError
from f2vbench.loggers.open_loggers import open_loggers
from f2vbench.utils.files import canonical_json, write_atomically, write_problem

LOG = "log.jsonl"


class TrainingLog:
    """Writes ``log.jsonl`` in a run folder; each line has the number of training ``videos`` at its time.

    TensorBoard events are written where TensorBoard is installed, whether or not it is named.

    Args:
        folder: The run folder.
        videos: Where the training resumes. Later lines, written before an interruption, are removed.
        loggers: Names of run loggers.
        settings: Settings of the training, which loggers receive.

    Raises:
        SettingsError: The package of a logger is not installed.
        StoreError: The log can't be written, or a logger can't be used.
    """

    def __init__(
        self,
        folder: Path,
        videos: int,
        loggers: Iterable[LoggerName] = (),
        settings: Mapping[str, Any] = MappingProxyType({}),
    ):
        self._path = folder / LOG
        lines = self._path.read_bytes().splitlines() if self._path.is_file() else []
        kept = [line for line in map(_parse, lines) if line is not None and line["videos"] <= videos]
        write_atomically(self._path, b"".join(canonical_json(line) + b"\n" for line in kept))
        installed: list[LoggerName] = ["tensorboard"] if find_spec("tensorboard") is not None else []
        names = dict.fromkeys([*loggers, *installed])
        self._loggers = open_loggers(names, folder, settings, videos + 1)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Args:
            line: ``videos`` and finite numbers, which may be nested one level deep.

        Raises:
            StoreError: The log can't be written, or a logger failed.
        """
        try:
            with self._path.open("ab") as log:
                log.write(canonical_json(line) + b"\n")
        except OSError as error:
            raise StoreError(f"{self._path}: can't be written: {write_problem(error)}") from error
        values = {name.replace(".", "/"): float(value) for name, value in flatten(line).items()}
        for logger in self._loggers:
            logger.log(values, line["videos"])

    def close(self) -> None:
        """Close the loggers."""
        for logger in self._loggers:
            logger.close()


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line of the log, or None for one that is incomplete because the training was killed."""
    try:
        parsed: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return parsed
